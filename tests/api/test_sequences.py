"""Encoding, reverse complements, one-hot and grouping, against plain string handling."""

import numpy as np
import pytest

from benchmarks.api import sequences

COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def turned(text):
    return "".join(COMPLEMENT[base] for base in reversed(text))


def random_texts(n, length, *, seed, letters="ACGTN"):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(letters), length)) for _ in range(n)]


def test_codes_are_those_of_the_published_models():
    assert sequences.encode(["AGCTN"], 5).tolist() == [[0, 1, 2, 3, 4]]


def test_encode_agrees_with_a_dictionary_per_letter():
    texts = random_texts(50, 37, seed=1)
    by_letter = {"A": 0, "G": 1, "C": 2, "T": 3, "N": 4}
    codes = sequences.encode(texts, 37)
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[by_letter[base] for base in text] for text in texts]


def test_encode_ignores_case():
    assert sequences.encode(["acgtn"], 5).tolist() == sequences.encode(["ACGTN"], 5).tolist()


def test_encode_of_nothing_has_no_rows():
    assert sequences.encode([], 7).shape == (0, 7)


def test_encoded_codes_cannot_be_written_to():
    codes = sequences.encode(["ACGT"], 4)
    with pytest.raises(ValueError, match="read-only"):
        codes[0, 0] = 3


@pytest.mark.parametrize("letter", ["X", "U", "-", "?", " ", "\n", "é", "α", "🧬"])
def test_encode_names_row_and_position_of_the_first_bad_letter(letter):
    with pytest.raises(sequences.SequenceError, match="position 3 ") as caught:
        sequences.encode(["ACGT", f"AC{letter}T", "XXXX"], 4)
    assert caught.value.row == 1
    assert repr(letter) in caught.value.reason


def test_encode_names_the_first_row_of_another_length():
    with pytest.raises(sequences.SequenceError, match="length 4 expected, got 3") as caught:
        sequences.encode(["ACGT", "ACGT", "ACG", "ACGTA"], 4)
    assert caught.value.row == 2


def test_lengths_that_cancel_out_are_not_mistaken_for_right_ones():
    with pytest.raises(sequences.SequenceError) as caught:
        sequences.encode(["ACG", "ACGTA"], 4)
    assert caught.value.row == 0


def test_decode_returns_upper_case_text():
    assert sequences.decode(np.array([[0, 1, 2], [3, 4, 0]], dtype=np.uint8)) == ["AGC", "TNA"]


def test_decode_undoes_encode():
    texts = random_texts(40, 23, seed=2)
    assert sequences.decode(sequences.encode(texts, 23)) == texts


def test_reverse_complement_agrees_with_strings():
    texts = random_texts(40, 19, seed=3)
    back = sequences.decode(sequences.reverse_complement(sequences.encode(texts, 19)))
    assert back == [turned(text) for text in texts]


def test_reverse_complement_works_on_the_last_axis_of_any_array():
    codes = np.array([[[0, 1], [2, 4]], [[3, 3], [0, 2]]], dtype=np.uint8)  # AG, CN; TT, AC
    assert sequences.reverse_complement(codes).tolist() == [[[2, 3], [4, 1]], [[0, 0], [1, 3]]]  # CT, NG; AA, GT


@pytest.mark.parametrize("order", ["AGCT", "ACGT", "TGCA"])
def test_one_hot_has_the_asked_channel_order_and_zeros_for_n(order):
    hot = sequences.one_hot(sequences.encode(["GATCN"], 5), order)
    expected = [[float(base == channel) for channel in order] for base in "GATCN"]
    assert hot.dtype == np.float32
    assert hot.tolist() == [expected]


def test_one_hot_defaults_to_the_order_of_the_published_models():
    assert sequences.one_hot(sequences.encode(["G"], 1)).tolist() == [[[0, 1, 0, 0]]]


def test_flipping_both_axes_of_one_hot_is_the_reverse_complement():
    codes = sequences.encode(random_texts(5, 11, seed=4), 11)
    flipped = sequences.one_hot(codes)[:, ::-1, ::-1]
    np.testing.assert_array_equal(flipped, sequences.one_hot(sequences.reverse_complement(codes)))


@pytest.mark.parametrize("order", ["ACG", "ACGU", "AACG", "acgt", "ACGTN"])
def test_one_hot_refuses_an_order_that_is_no_permutation(order):
    with pytest.raises(ValueError, match="permutation of ACGT"):
        sequences.one_hot_table(order)


@pytest.mark.parametrize("seed", range(5))
def test_canonical_groups_agree_with_a_dictionary_of_strings(seed):
    # Four letters of three make every kind of coincidence: repeats, reverse forms, palindromes.
    texts = random_texts(120, 4, seed=seed, letters="ACG" if seed % 2 else "ACGT")
    codes = sequences.encode(texts, 4)
    numbers = {}
    expected = [numbers.setdefault(min(text, turned(text)), len(numbers)) for text in texts]
    groups, _ = sequences.canonical_groups(codes, sequences.reverse_complement(codes))
    assert groups.dtype == np.int64
    assert groups.tolist() == expected


def test_canonical_groups_take_the_reverse_form_of_the_caller():
    codes = sequences.encode(["AACC", "CCAA", "GGTT"], 4)
    mirrored = codes[:, ::-1]  # AACC and CCAA are mirror images; GGTT is the reverse complement of AACC
    groups, turned = sequences.canonical_groups(codes, mirrored)
    assert groups.tolist() == [0, 0, 1]
    assert turned[0] != turned[1]


@pytest.mark.parametrize("values", [[7, 3, 7, -1, 3], ["b", "a", "b", "c"], [2.5]])
def test_first_appearance_ids_count_up_as_values_first_come(values):
    seen = {}
    expected = [seen.setdefault(value, len(seen)) for value in values]
    assert sequences.first_appearance_ids(np.array(values)).tolist() == expected
