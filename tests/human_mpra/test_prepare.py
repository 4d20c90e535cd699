"""The reader of lentiMPRA tables: layouts, strands, pairs, folds, refusals; expected values from plain strings."""

import csv
import gzip
import re
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest

from benchmarks.api import sequences
from benchmarks.errors import BadInput
from benchmarks.human_mpra import prepare

LEFT, RIGHT = "AGGACCGGATCAACT", "CATTGCGTGAACCGA"
DREAM = ["seq_id", "seq", "mean_value", "fold"]
LEGNET = "human_mpra/wtc11_legnet_folds.tsv.gz"
SAMPLE = "human_mpra/wtc11_dream_sample.tsv.gz"


def elements(n=12, *, seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACGT"), 200)) for _ in range(n)]


def turned(element):
    return element[::-1].translate(str.maketrans("ACGT", "TGCA"))


def full(element):
    return LEFT + element + RIGHT


def both_orientations(n=12, *, marks=("_F", "_Reversed:"), wrap=full, first_fold=0):
    """Return rows of id, sequence, value, fold: every element forward, then reversed, in ten folds in turn."""
    rows = []
    for i, element in enumerate(elements(n)):
        for strand, sequence in enumerate((element, turned(element))):
            value = f"{(-1) ** i * (i + 0.125 * strand):.3f}"
            rows.append([f"seq{100 + i}{marks[strand]}", wrap(sequence), value, str(i % 10 + first_fold)])
    return rows


def codes_of(texts):
    return [["AGCTN".index(base) for base in text] for text in texts]


def as_text(rows, *, sep="\t", end="\n"):
    return "".join(sep.join(map(str, row)) + end for row in rows)


@pytest.fixture
def write(tmp_path):
    """Write rows, text or bytes to a file and return its path."""

    def write(content, name="K562.tsv"):
        path = tmp_path / name
        content = as_text(content) if isinstance(content, list) else content
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def read(path, **options):
    return prepare.read(path, "K562", **options)


def refusal(path, **options):
    """Return the one sentence or two with which a file is refused; it always names the file."""
    with pytest.raises(BadInput) as caught:
        read(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def assert_names(message, *words, line=None):
    """Check the essential words of a refusal, and that the first line it names is the wrong one."""
    for word in words:
        assert word in message
    if line is not None:
        assert re.search(r"line (\d+)", message)[1] == str(line), message


def said(data, *words):
    """Tell whether one note has all the words."""
    return any(all(word in note for word in words) for note in data.notes)


def assert_reads_as(data, rows, *, fold_offset=0):
    """Check a dataset against rows of id, whole sequence, value, fold whose ids carry strand marks."""
    np.testing.assert_array_equal(data.codes, codes_of(row[1] for row in rows))
    assert data.targets["expression"].dtype == np.float32
    np.testing.assert_array_equal(data.targets["expression"], np.array([row[2] for row in rows], dtype=np.float32))
    assert data.meta["seq_id"].tolist() == [row[0] for row in rows]
    assert data.meta["fold"].tolist() == [int(row[3]) - fold_offset for row in rows]
    assert data.meta["is_reverse"].tolist() == [int("_R" in row[0]) for row in rows]


# --- layouts and kinds of file


def test_the_dream_layout_is_read_as_it_stands(write):
    rows = both_orientations()
    data = read(write([DREAM, *rows]))
    assert_reads_as(data, rows)
    assert (data.name, data.origin, list(data.targets)) == ("K562", "measured", ["expression"])
    assert data.meta["group"].tolist() == [i for i in range(12) for _ in range(2)]
    assert said(data, "DREAM")


def test_the_dream_layout_goes_by_column_names(write):
    """In any order, among other columns."""
    rows = both_orientations()
    shuffled = [["replicates", "fold", "mean_value", "seq", "seq_id"]]
    shuffled += [["3", fold, value, seq, seq_id] for seq_id, seq, value, fold in rows]
    assert_reads_as(read(write(shuffled)), rows)


PARQUET_TYPES = {"mean_value": float, "fold": int}


@pytest.mark.parametrize(
    "kind", ["tsv", "csv", "quoted csv", "CRLF", "byte order mark", "gzip", "gzip named plain", "lower case", "parquet"]
)
def test_every_kind_of_file_gives_the_same_dataset(write, tmp_path, kind):
    rows = both_orientations()
    table = [DREAM, *rows]
    if kind == "parquet":
        path = tmp_path / "K562.parquet"
        pd.DataFrame(rows, columns=DREAM).astype(PARQUET_TYPES).to_parquet(path)
    else:
        content = {
            "tsv": as_text(table),
            "csv": as_text(table, sep=","),
            "quoted csv": as_text([[f'"{cell}"' for cell in row] for row in table], sep=","),
            "CRLF": as_text(table, end="\r\n"),
            "byte order mark": "\ufeff" + as_text(table),
            "gzip": gzip.compress(as_text(table).encode()),
            "gzip named plain": gzip.compress(as_text(table, sep=",").encode()),
            "lower case": as_text([DREAM, *([row[0], row[1].lower(), *row[2:]] for row in rows)]),
        }[kind]
        path = write(content, "K562.tsv.gz" if kind == "gzip" else "K562.tsv")
    assert_reads_as(read(path), rows)


@pytest.mark.parametrize("header", [["a", "b", "c", "d"], ["ID", "sequence", "log2", "bin"]])
def test_an_unknown_header_is_answered_with_what_to_type(write, header):
    rows = both_orientations()
    path = write([header, *rows])
    message = refusal(path)
    assert_names(message, ", ".join(header), "--columns")
    given = dict(zip(("id", "sequence", "value", "fold"), header, strict=True))
    assert_reads_as(read(path, given=given), rows)


def test_blanks_around_cells_do_not_matter(write):
    rows = both_orientations()
    padded = [[f" {cell} " for cell in row] for row in [DREAM, *rows]]
    assert_reads_as(read(write(padded)), rows)


@pytest.mark.parametrize("first_fold", [0, 1])
def test_a_table_without_header_goes_by_column_position(write, first_fold):
    rows = both_orientations(first_fold=first_fold)
    data = read(write(rows))
    assert_reads_as(data, rows, fold_offset=first_fold)
    assert said(data, "MPRALegNet")
    assert said(data, "10 folds", "numbered 1 to 10") == bool(first_fold)


@pytest.mark.parametrize("header", [None, ["seq_id", "seq", "mean_value", "fold_num", "rev"], [*DREAM, "rev"]])
def test_rows_whose_rev_is_not_zero_are_left_out_with_a_count(write, header):
    rows = both_orientations()
    five = []
    for row in rows:
        five += [[*row, "0"], [row[0] + "copy", full(turned(row[1][15:215])), row[2], row[3], "1"]]
    data = read(write([header, *five] if header else five))
    assert_reads_as(data, rows)
    assert said(data, "24 rows", "rev")


def test_a_rev_column_of_zeros_leaves_nothing_out(write):
    rows = both_orientations()
    data = read(write([[*row, "0"] for row in rows]))
    assert_reads_as(data, rows)
    assert not said(data, "rev other than 0")


def test_the_mpra_mnist_layout_gets_adapters_and_folds_from_zero(write):
    header = ["seq_id", "chromosome", "start", "end", "strand", "seq", "expression", "averaged_expression", "fold"]
    bare = both_orientations(marks=("_F", "_R"), wrap=str, first_fold=1)
    table = [header, *([i, "chr1", "5", "205", "+", seq, value, "9.9", fold] for i, seq, value, fold in bare)]
    data = read(write(table))
    assert_reads_as(data, [[i, full(seq), value, fold] for i, seq, value, fold in bare], fold_offset=1)
    assert data.meta["group"].tolist() == [i for i in range(12) for _ in range(2)]
    assert sorted(set(data.meta["fold"])) == list(range(10))
    assert said(data, "24", "adapters")
    assert said(data, "MNIST")


def test_bare_elements_may_stand_beside_whole_ones(write):
    rows = both_orientations()
    mixed = [[i, seq[15:215] if n % 3 == 0 else seq, *rest] for n, (i, seq, *rest) in enumerate(rows)]
    data = read(write([DREAM, *mixed]))
    assert_reads_as(data, rows)
    assert said(data, "8 bare 200-bp")


def test_sequences_with_other_ends_are_kept_and_counted(write):
    rows = both_orientations()
    rows[4][1] = "A" * 15 + rows[4][1][15:]
    rows[7][1] = rows[7][1][:-1] + "C"
    data = read(write([DREAM, *rows]))
    assert_reads_as(data, rows)
    assert said(data, "2 sequences", "adapters")


def test_sequence_and_value_suffice(write):
    rows = both_orientations()
    data = read(write([["seq", "mean_value"], *(row[1:3] for row in rows)]))
    np.testing.assert_array_equal(data.codes, codes_of(row[1] for row in rows))
    assert data.targets["expression"].tolist() == [float(row[2]) for row in rows]
    assert sorted(set(data.meta["fold"])) == list(range(10))
    assert "seq_id" not in data.meta
    assert said(data, "10 folds were drawn by pair")


def test_n_is_a_letter_that_sequences_may_have(write):
    rows = both_orientations()
    rows[3][1] = rows[3][1].replace("AC", "NN")
    assert_reads_as(read(write([DREAM, *rows])), rows)


# --- strands and pairs


@pytest.mark.parametrize(
    ("name", "is_reverse"),
    [
        ("seq1_F", 0),
        ("seq1_Reversed:", 1),
        ("seq1_Reversed", 1),
        ("seq1_R", 0),  # no partner shows that it is a strand
        ("seq1", 0),
        ("seq1_shuffled_0", 0),
        ("ENSG00000196569_F", 0),
        ("GATA_Rich", 0),
        ("Reversed", 0),
    ],
)
def test_the_strand_comes_from_the_id(write, name, is_reverse):
    rows = both_orientations()
    rows[5][0], rows[4][0] = name, "partner"
    assert read(write([DREAM, *rows])).meta["is_reverse"][5] == is_reverse


@pytest.mark.parametrize(
    ("forward", "reverse"),
    [("x_F", "x_Reversed:"), ("x_F", "x_R"), ("x", "x_Reversed:"), ("x_F", "x_Reversed"), ("a_R_b_F", "a_R_b_R")],
)
def test_pairs_share_what_stands_before_the_strand_mark(write, forward, reverse):
    rows = both_orientations()
    rows[4][0], rows[5][0] = forward, reverse
    rows = [rows[5], *rows[6:], *rows[:5]]  # far apart in the file
    group = read(write([DREAM, *rows])).meta["group"]
    assert group.iloc[0] == group.iloc[-1]
    assert (group == group.iloc[0]).sum() == 2
    assert group.nunique() == 12


def test_an_element_whose_name_begins_another_is_its_own(write):
    rows = both_orientations()
    by_hand = [re.sub(r"_(F|Reversed:)$", "", row[0]) for row in rows]
    short, long = by_hand[0], by_hand[2]
    for row, element in zip(rows, by_hand, strict=True):
        row[0] = row[0].replace(element, {short: "seq9", long: "seq91"}.get(element, element))
    data = read(write([DREAM, *rows]))
    assert short != long
    assert data.meta["group"].nunique() == len(set(by_hand))


def test_equal_sequences_under_several_ids_share_a_drawn_fold(write):
    """Where the file gives the folds, they are noted."""
    rows = both_orientations()
    again = [f"other{i}_F" for i in range(6)]
    copies = [[name, row[1], "7.5", str((int(row[3]) + 1) % 10)] for name, row in zip(again, rows[:12:2], strict=True)]
    path = write([DREAM, *rows, *copies])
    assert said(read(path), "6 sequences", "several ids")
    drawn = read(path, refold=True).meta
    assert drawn.groupby("group")["fold"].nunique().max() == 1
    assert drawn["group"].nunique() == 12


@pytest.mark.parametrize("marks", [("_F", "_b_F"), ("a", "b"), None])
def test_without_strand_marks_pairs_are_found_by_sequence(write, marks):
    rows = both_orientations(marks=marks or ("_F", "_F"))
    rows = [rows[i] for i in np.random.default_rng(2).permutation(len(rows))]
    table = [DREAM, *rows] if marks else [["seq", "mean_value", "fold"], *(row[1:] for row in rows)]
    data = read(write(table))
    assert data.meta["is_reverse"].tolist() == [0] * 24
    seen = {}
    by_hand = [seen.setdefault(min(row[1][15:215], turned(row[1][15:215])), len(seen)) for row in rows]
    assert data.meta["group"].tolist() == by_hand
    assert len(seen) == 12
    assert said(data, "pairs were found by sequence", "strand channel is 0")


def test_marked_ids_raise_no_note_on_strands(write):
    assert not said(read(write([DREAM, *both_orientations()])), "strand channel")


def test_an_element_turned_with_its_adapters_is_the_same_element(write):
    rows = [[full(element), "1"] for element in elements(11)]
    rows.append([turned(rows[0][0]), "2"])
    assert read(write([["seq", "mean_value"], *rows])).meta["group"].nunique() == 11


def test_measurements_of_one_sequence_without_ids_stay_together(write):
    rows = [[full(element), "1"] for element in elements(12)]
    rows.append([rows[3][0], "2"])
    data = read(write([["seq", "mean_value"], *rows]))
    assert len(data) == 13
    assert data.meta["group"][12] == data.meta["group"][3]
    assert data.meta["fold"][12] == data.meta["fold"][3]


@pytest.mark.parametrize("seed", range(3))
def test_only_the_insert_is_reverse_complemented(seed):
    element = elements(1, seed=seed)[0]
    codes = sequences.encode([full(element)], 230)
    (result,) = sequences.decode(prepare.reverse_insert(codes))
    assert result == full(turned(element))
    assert sequences.decode(codes) == [full(element)]  # the input is left as it was


def test_reversing_the_insert_twice_changes_nothing():
    codes = np.random.default_rng(0).integers(0, 5, (20, 230), dtype=np.uint8)
    np.testing.assert_array_equal(prepare.reverse_insert(prepare.reverse_insert(codes)), codes)


# --- folds, splits, duplicates


def test_folds_that_part_a_pair_are_refused_with_the_count(write):
    rows = both_orientations()
    for i in (1, 5, 9):
        rows[i][3] = str((int(rows[i][3]) + 1) % 10)
    assert_names(refusal(write([DREAM, *rows])), "fold", "parts 3 of 12", "--refold")


def test_folds_that_split_a_pair_found_by_sequence_are_refused(write):
    rows = both_orientations(marks=("a", "b"))
    rows[1][3] = "9"
    assert_names(refusal(write(rows)), "parts 1 of 12", "--refold")


def test_refold_draws_ten_folds_by_pair_anew(write):
    rows = both_orientations(30)
    for i in (1, 5, 9):
        rows[i][3] = "7"
    path = write([DREAM, *rows])
    data = read(path, refold=True)
    per_pair = data.meta.groupby("group")["fold"].agg(["nunique", "first"])
    assert (per_pair["nunique"] == 1).all()
    assert per_pair["first"].value_counts().to_dict() == dict.fromkeys(range(10), 3)
    assert said(data, "--refold")
    assert read(path, refold=True).meta.equals(data.meta)
    assert not read(path, refold=True, seed=1).meta["fold"].equals(data.meta["fold"])


def test_refold_needs_no_readable_fold_column(write):
    rows = [[*row[:3], "?"] for row in both_orientations()]
    assert sorted(set(read(write([DREAM, *rows]), refold=True).meta["fold"])) == list(range(10))


def test_refold_leaves_rows_strands_and_pairs_as_they_are(write):
    path = write([DREAM, *both_orientations()])
    kept, drawn = read(path), read(path, refold=True)
    np.testing.assert_array_equal(kept.codes, drawn.codes)
    assert kept.meta.drop(columns="fold").equals(drawn.meta.drop(columns="fold"))


def split_table(names):
    rows = both_orientations(len(names))
    return [["seq", "mean_value", "split"], *([row[1], row[2], names[i // 2]] for i, row in enumerate(rows))]


@pytest.mark.parametrize(
    "words", [("train", "val", "test"), ("Train", "valid", "TEST"), ("train", "validation", "test")]
)
def test_a_split_with_all_three_sets_is_honoured(write, words):
    names = [words[0]] * 8 + [words[1]] * 2 + [words[2]] * 2
    data = read(write(split_table(names)))
    expected = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    assert data.meta["split"].tolist() == expected
    assert "fold" not in data.meta
    assert said(data, "train, val and test", "used")


@pytest.mark.parametrize("header", [["seq_id", "seq", "mean_value", "split"], ["split", "seq", "seq_id", "mean_value"]])
def test_ids_beside_a_split_give_strands_and_pairs(write, header):
    rows = both_orientations()
    sets = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    cells = [dict(zip(DREAM, row, strict=True)) | {"split": part} for row, part in zip(rows, sets, strict=True)]
    data = read(write([header, *([row[name] for name in header] for row in cells)]))
    assert data.meta["split"].tolist() == sets
    assert data.meta["seq_id"].tolist() == [row[0] for row in rows]
    assert data.meta["is_reverse"].tolist() == [0, 1] * 12
    assert data.meta["group"].tolist() == [i for i in range(12) for _ in range(2)]


@pytest.mark.parametrize("names", [["train", "test"] * 6, ["test", "valid"] * 6, ["val"] * 12, ["train", "val"] * 6])
def test_a_split_without_three_sets_gives_way_to_folds_by_pair(write, names):
    data = read(write(split_table(names)))
    assert "split" not in data.meta
    assert sorted(set(data.meta["fold"])) == list(range(10))
    assert data.meta.groupby("group")["fold"].nunique().eq(1).all()
    present = {"valid": "val"}.get(names[1], names[1])
    assert said(data, "split", "only", names[0], present, "10 folds were drawn by pair")


def test_folds_go_before_a_split_and_the_report_says_so(write):
    rows = both_orientations()
    data = read(write([[*DREAM, "split"], *([*row, "train"] for row in rows)]))
    assert_reads_as(data, rows)
    assert said(data, "folds were used", "split")


def test_refold_goes_before_a_split(write):
    data = read(write(split_table(["train"] * 8 + ["val"] * 2 + ["test"] * 2)), refold=True)
    assert "split" not in data.meta
    assert sorted(set(data.meta["fold"])) == list(range(10))


def test_a_split_that_parts_a_pair_is_refused_with_the_count(write):
    table = split_table(["train"] * 8 + ["val"] * 2 + ["test"] * 2)
    table[1][2] = table[4][2] = "test"  # one orientation each of the first two elements
    assert_names(refusal(write(table)), "split", "parts 2 of 12", "--refold")


def test_exact_duplicates_collapse_to_the_first_and_are_counted(write):
    rows = both_orientations()
    data = read(write([DREAM, *rows[:6], rows[0], rows[3], *rows[6:], rows[3]]))
    assert_reads_as(data, rows)
    assert said(data, "3 exact duplicate")


def test_duplicates_are_the_same_whatever_the_writing(write):
    rows = both_orientations()
    same = [rows[2][0], rows[2][1].lower(), rows[2][2] + "00", rows[2][3]]
    data = read(write([DREAM, *rows, same]))
    assert_reads_as(data, rows)
    assert said(data, "1 exact duplicate")


def test_the_same_sequence_and_value_under_two_ids_stay(write):
    rows = both_orientations()
    rows.append(["other_F", *rows[0][1:]])
    data = read(write([DREAM, *rows]))
    assert len(data) == 25
    assert not said(data, "duplicate")


def test_a_row_in_two_folds_is_refused_unless_folds_are_drawn(write):
    rows = both_orientations()
    path = write([DREAM, *rows, [*rows[0][:3], "5"], [*rows[2][:3], "6"]])
    assert_names(refusal(path), "2 rows", "more than one fold", "--refold")
    data = read(path, refold=True)
    assert len(data) == 24
    assert said(data, "2 exact duplicate")


@pytest.mark.parametrize(("first", "n"), [(0, 10), (1, 10), (1, 5), (-2, 4), (10, 3)])
def test_published_folds_are_counted_from_zero(write, first, n):
    rows = both_orientations()
    for i, row in enumerate(rows):
        row[3] = str(first + i // 2 % n)
    data = read(write([DREAM, *rows]))
    assert data.meta["fold"].tolist() == [i // 2 % n for i in range(24)]
    assert said(data, f"{n} folds were used")


@pytest.mark.parametrize("n_folds", [1, 2])
def test_fewer_than_three_folds_are_refused(write, n_folds):
    rows = both_orientations()
    for i, row in enumerate(rows):
        row[3] = str(i // 2 % n_folds)
    assert_names(refusal(write([DREAM, *rows])), "'fold'", f"{n_folds} distinct", "--refold")


def test_too_few_elements_for_ten_folds_are_refused(write):
    rows = both_orientations(9)
    assert_names(refusal(write([["seq", "mean_value"], *(row[1:3] for row in rows)])), "9 elements", "10 folds")


@pytest.mark.parametrize("seed", range(3))
def test_drawn_folds_keep_random_tables_whole(write, seed):
    rng = np.random.default_rng(seed)
    rows = [row[1:3] for row in both_orientations(40)]
    rows = [rows[i] for i in rng.choice(len(rows), 60, replace=False)]
    data = read(write([["seq", "mean_value"], *rows]), seed=seed)
    pair = [min(seq[15:215], turned(seq[15:215])) for seq, _ in rows]
    folds = data.meta["fold"].groupby(pair)
    assert folds.nunique().eq(1).all()
    sizes = folds.first().value_counts()
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() <= 1


# --- bad input: one sentence that names file, line, column and value


BAD_CELLS = {
    "target NaN": ("mean_value", "NaN", ["'mean_value'", "finite number", "'NaN'"]),
    "target text": ("mean_value", "high", ["'mean_value'", "finite number", "'high'"]),
    "target infinite": ("mean_value", "-inf", ["'mean_value'", "finite number", "'-inf'"]),
    "target empty": ("mean_value", "", ["'mean_value'", "finite number", "nothing"]),
    "decimal comma": ("mean_value", "0,5", ["'mean_value'", "finite number", "'0,5'"]),
    "fold text": ("fold", "first", ["'fold'", "whole number", "'first'"]),
    "fold part": ("fold", "2.5", ["'fold'", "whole number", "'2.5'"]),
    "fold empty": ("fold", "", ["'fold'", "whole number", "nothing"]),
    "sequence empty": ("seq", "", ["'seq'", "empty"]),
    "id empty": ("seq_id", "", ["'seq_id'", "empty"]),
    "one letter short": ("seq", full("A" * 199), ["'seq'", "230", "229 bp"]),
    "one letter long": ("seq", full("A" * 201), ["'seq'", "230", "231 bp"]),
    "another letter": ("seq", full("A" * 99 + "X" + "A" * 100), ["'seq'", "'X'", "position 115 ", "ACGTN"]),
    "RNA": ("seq", full("U" + "A" * 199), ["'seq'", "'U'", "position 16 ", "ACGTN"]),
    "a gap": ("seq", "-" * 230, ["'seq'", "'-'", "position 1 ", "ACGTN"]),
    "another alphabet": ("seq", full("A" * 199 + "Д"), ["'seq'", "'Д'", "position 215 ", "ACGTN"]),
    "letter in a bare element": ("seq", "A" * 9 + "X" + "A" * 190, ["'seq'", "'X'", "position 10 ", "ACGTN"]),
}


@pytest.mark.parametrize(("column", "value", "words"), BAD_CELLS.values(), ids=BAD_CELLS.keys())
@pytest.mark.parametrize("row", [0, 7, 23])
def test_a_bad_cell_is_named_with_its_line_column_and_value(write, column, value, words, row):
    rows = both_orientations()
    rows[row][DREAM.index(column)] = value
    assert_names(refusal(write([DREAM, *rows])), *words, line=row + 2)


POSITIONAL_CELLS = {
    "target NaN": (2, "NaN", ["finite number", "'NaN'"]),
    "target text": (2, "high", ["finite number", "'high'"]),
    "fold part": (3, "2.5", ["whole number", "'2.5'"]),
    "rev text": (4, "no", ["whole number", "'no'"]),
    "a short sequence": (1, "ACGT", ["230", "4 bp"]),
    "a long sequence": (1, full("A" * 201), ["230", "231 bp"]),
    "another letter": (1, full("X" + "A" * 199), ["'X'", "position 16 "]),
}


@pytest.mark.parametrize(("column", "value", "words"), POSITIONAL_CELLS.values(), ids=POSITIONAL_CELLS.keys())
@pytest.mark.parametrize("header", [None, ["a", "b", "c", "d", "e"]], ids=["no header", "header"])
@pytest.mark.parametrize("row", [0, 7])
def test_a_bad_cell_is_named_in_the_layout_by_position(write, column, value, words, header, row):
    rows = [[*row_, "0"] for row_ in both_orientations()]
    rows[row][column] = value
    path = write([header, *rows] if header else rows)
    roles = ("id", "sequence", "value", "fold", "rev")
    given = dict(zip(roles, header, strict=True)) if header else None
    assert_names(refusal(path, given=given), *words, line=row + (2 if header else 1))


@pytest.mark.parametrize("value", ["ACGT", full("X" + "A" * 199)], ids=["short", "another letter"])
def test_a_bad_first_line_without_header_is_not_lost_as_a_header(write, value):
    rows = both_orientations()
    rows[0][1] = value
    with pytest.raises(BadInput):
        read(write(rows))


@pytest.mark.parametrize("column", ["mean_value", "expression"])
def test_the_column_of_a_bad_value_is_named_as_in_the_file(write, column):
    rows = both_orientations()
    rows[3][2] = "high"
    assert_names(refusal(write([["seq_id", "seq", column, "fold"], *rows])), repr(column), "'high'", line=5)


def test_how_many_rows_are_bad_is_said_with_the_first(write):
    rows = both_orientations()
    for i in (4, 5, 9):
        rows[i][2] = "NA"
    assert_names(refusal(write([DREAM, *rows])), "'NA'", "3 such rows", line=6)


@pytest.mark.parametrize(
    ("seq", "value", "word"),
    [(full("X" + "A" * 199), "1", "'X'"), ("ACGT", "1", "4 bp"), (full("A" * 200), "?", "'?'")],
    ids=["letter", "length", "value"],
)
def test_lines_are_those_of_the_file_after_rows_were_left_out(write, seq, value, word):
    rows = [[*row, "0"] for row in both_orientations()]
    lines = [
        *rows[:4],  # lines 1 to 4
        [],  # 5, blank
        [*rows[4][:4], "1"],  # 6, left out
        rows[0],  # 7, a duplicate
        ["", "", "", "", ""],  # 8, blank
        *rows[4:],  # 9 to 28
        ["bad_F", seq, value, "1", "0"],  # 29
    ]
    assert_names(refusal(write(as_text(lines, end="\r\n"))), word, line=29)


def test_the_line_of_a_bad_parquet_row_counts_the_header(tmp_path):
    """The column names are line 1."""
    frame = pd.DataFrame(both_orientations(), columns=DREAM).astype(PARQUET_TYPES)
    frame.loc[4, "mean_value"] = np.nan
    frame.to_parquet(tmp_path / "K562.parquet")
    assert_names(refusal(tmp_path / "K562.parquet"), "'mean_value'", "finite number", line=6)


@pytest.mark.parametrize(
    ("column", "value", "word"), [(1, full("A" * 200), "another sequence"), (2, "77", "another value")]
)
def test_an_id_with_another_sequence_or_value_is_refused(write, column, value, word):
    rows = both_orientations()
    again = list(rows[5])
    again[column] = value
    message = refusal(write([DREAM, *rows, again]))
    assert_names(message, repr(rows[5][0]), word, line=26)
    assert "line 7" in message  # where the id stands first


def test_all_rows_whose_id_stands_for_something_else_are_counted(write):
    rows = both_orientations()
    again = [[rows[i][0], rows[i][1], "77", rows[i][3]] for i in (2, 4, 4)]
    assert_names(refusal(write([DREAM, *rows, *again])), repr(rows[2][0]), "2 such rows", line=26)


@pytest.mark.parametrize("value", ["dev", "train ing", "0"])
def test_an_unknown_set_in_the_split_column_is_named(write, value):
    table = split_table(["train"] * 8 + ["val"] * 2 + ["test"] * 2)
    table[5][2] = value
    assert_names(refusal(write(table)), "'split'", "train, val or test", repr(value), line=6)


def test_an_empty_cell_of_the_split_column_is_named(write):
    table = split_table(["train"] * 8 + ["val"] * 2 + ["test"] * 2)
    table[5][2] = ""
    assert_names(refusal(write(table)), "'split'", "empty", line=6)


@pytest.mark.parametrize(
    ("header", "columns", "missing"),
    [
        (["seq", "strength"], (1, 2), "'mean_value'"),
        (["seq_id", "seq", "score"], (0, 1, 2), "'mean_value'"),
        (["oligo", "mean_value"], (1, 2), "'seq'"),
        (["a", "b", "c"], (0, 1, 2), "'seq'"),
    ],
)
def test_a_missing_column_is_named_beside_those_that_came(write, header, columns, missing):
    rows = [[row[c] for c in columns] for row in both_orientations()]
    assert_names(refusal(write([header, *rows])), missing, ", ".join(header), "expected", "--columns")


def test_two_columns_of_one_name_are_refused(write):
    rows = [[row[1], row[2], row[2]] for row in both_orientations()]
    assert_names(refusal(write([["seq", "mean_value", "mean_value"], *rows])), "two columns", "'mean_value'", line=1)


def test_a_line_with_more_cells_than_the_header_is_named(write):
    rows = both_orientations()
    rows[6].append("more")
    assert_names(refusal(write([DREAM, *rows])), "4 columns", "got 5", line=8)


def test_a_line_with_fewer_cells_than_the_header_is_named(write):
    rows = both_orientations()
    rows[6] = rows[6][:2]
    assert_names(refusal(write([DREAM, *rows])), "4 columns", "got 2", line=8)


def test_only_reversed_copies_are_nothing_to_train_on(write):
    assert_names(refusal(write([[*row, "1"] for row in both_orientations()])), "rev", "nothing is left")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"seq_id\tseq\tmean_value\tfold\n", "empty below its header"),
        (gzip.compress(as_text([DREAM, *both_orientations()]).encode())[:-20], "truncated gzip"),
        (bytes(range(256)) * 4, "binary file"),
    ],
    ids=["nothing", "newlines", "header alone", "truncated gzip", "binary"],
)
def test_a_file_that_holds_no_table_is_refused(write, content, word):
    assert_names(refusal(write(content)), word)


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    pd.DataFrame(both_orientations(), columns=DREAM)[:0].to_parquet(tmp_path / "K562.parquet")
    assert_names(refusal(tmp_path / "K562.parquet"), "empty below its header")


def test_a_missing_file_is_refused(tmp_path):
    assert_names(refusal(tmp_path / "nowhere.tsv"), "No file")


# --- published data


@pytest.fixture(scope="module")
def rows_of(real_data):
    """Give the rows of a published table as dictionaries of text, read without the code under test."""

    def rows_of(name):
        with gzip.open(real_data(name), "rt", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t"))

    return rows_of


@pytest.fixture(scope="module")
def legnet(real_data):
    return read(real_data(LEGNET))


@pytest.fixture(scope="module")
def sample(real_data):
    return read(real_data(SAMPLE))


def values_by_sequence(data):
    return dict(zip(sequences.decode(data.codes), data.targets["expression"].tolist(), strict=True))


def test_legnet_folds_are_read_whole(legnet, rows_of):
    rows = rows_of(LEGNET)
    assert len(legnet) == len(rows) == 9237
    assert sequences.decode(legnet.codes) == [row["seq"] for row in rows]
    np.testing.assert_array_equal(
        legnet.targets["expression"], np.array([row["mean_value"] for row in rows], dtype=np.float32)
    )


def test_legnet_targets_have_the_documented_range(legnet):
    y = legnet.targets["expression"].astype(float)
    assert [y.min(), y.max(), y.mean(), y.std()] == pytest.approx([-5.52, 3.97, -0.568, 1.117], abs=0.005)


def test_legnet_sequences_have_the_documented_adapters_and_gc(legnet):
    texts = sequences.decode(legnet.codes)
    assert {(text[:15], text[215:]) for text in texts} == {(LEFT, RIGHT)}
    assert not said(legnet, "adapters")
    gc = np.mean([text[15:215].count("G") + text[15:215].count("C") for text in texts]) / 200
    assert gc == pytest.approx(0.589, abs=0.001)


def test_legnet_has_no_training_set_so_folds_are_drawn_by_pair(legnet):
    assert said(legnet, "test", "val", "10 folds were drawn by pair")
    assert said(legnet, "strand channel is 0")
    assert legnet.meta["is_reverse"].sum() == 0
    assert "split" not in legnet.meta
    sizes = legnet.meta.groupby("group")["fold"].agg(["nunique", "size"])
    assert (sizes["nunique"] == 1).all()
    assert len(sizes) == 4625  # distinct elements, counted once by comparing strings
    per_fold = legnet.meta.groupby("fold")["group"].nunique()
    assert per_fold.index.tolist() == list(range(10))
    assert set(per_fold) == {462, 463}


def test_legnet_elements_are_paired_as_documented(legnet, rows_of):
    split = np.array([row["split"] for row in rows_of(LEGNET)])
    in_test = legnet.meta["group"][split == "test"]
    assert round(100 * (in_test.groupby(in_test).transform("size") == 2).mean(), 1) == 99.8
    assert not set(in_test) & set(legnet.meta["group"][split == "valid"])


def test_the_dream_sample_collapses_to_its_distinct_rows(sample, rows_of):
    rows = rows_of(SAMPLE)
    assert len(rows) == 3000
    assert len(sample) == len({row["seq"] for row in rows}) == 2940
    assert said(sample, "60 exact duplicate")
    assert values_by_sequence(sample) == {row["seq"]: float(np.float32(row["mean_value"])) for row in rows}


def test_the_dream_sample_keeps_its_folds_and_marks(sample, rows_of):
    by_id = {row["seq_id"]: row for row in rows_of(SAMPLE)}
    assert sample.meta["fold"].tolist() == [int(by_id[i]["fold"]) for i in sample.meta["seq_id"]]
    assert sample.meta["is_reverse"].tolist() == [int(i.endswith("_Reversed:")) for i in sample.meta["seq_id"]]
    assert sorted(set(sample.meta["fold"])) == list(range(10))


def test_pairs_of_the_dream_sample_are_exact_reverse_forms(sample):
    texts = defaultdict(list)
    for group, text in zip(sample.meta["group"], sequences.decode(sample.codes), strict=True):
        texts[group].append(text)
    assert Counter(map(len, texts.values())) == {1: 2792, 2: 74}  # 74 pairs, as documented
    for first, second in (pair for pair in texts.values() if len(pair) == 2):
        assert second == first[:15] + turned(first[15:215]) + first[215:]


def test_controls_without_orientation_count_as_forward(sample):
    controls = sample.meta[~sample.meta["seq_id"].str.contains("_F$|_Reversed:$")]
    assert sorted(controls["seq_id"]) == ["seq2483_shuffled_0", "seq74646_shuffled_0"]
    assert controls["is_reverse"].tolist() == [0, 0]


def test_the_published_wtc11_tables_agree_where_they_overlap(legnet, sample):
    left, right = values_by_sequence(legnet), values_by_sequence(sample)
    shared = left.keys() & right.keys()
    assert len(shared) == 457
    assert all(left[text] == right[text] for text in shared)
    assert len(left.keys() | right.keys()) == 11720


def test_overlapping_sets_of_the_dream_sample_are_refused(write, rows_of):
    # 18 elements' reverse orientation crosses from train to test, and 59 sequences stand in more than one set.
    rows = [[row["seq"], row["mean_value"], row["split"]] for row in rows_of(SAMPLE)]
    path = write([["seq", "mean_value", "split"], *rows])
    assert_names(refusal(path), "more than one split", "--refold")
    assert len(read(path, refold=True)) == 2940


def test_the_folds_of_the_hepg2_demo_part_pairs(write, rows_of):
    rows = [[row["ID"], row["seq"], row["MEAN"], row["BIN"]] for row in rows_of("human_mpra/hepg2_demo100.tsv.gz")]
    bins = defaultdict(set)
    for name, _, _, part in rows:
        bins[name.removesuffix("_Reversed:").removesuffix("_F")].add(part)
    parted = sum(len(parts) > 1 for parts in bins.values())
    assert parted > 10
    path = write([["ID", "seq", "MEAN", "BIN"], *rows])
    assert_names(refusal(path, given={"fold": "BIN"}), f"parts {parted} of {len(bins)}", "--refold")
    assert said(read(path), "Not used: BIN")
    folds = read(write(rows), refold=True).meta.groupby("group")["fold"].nunique()
    assert len(folds) == len(bins)
    assert (folds == 1).all()


@pytest.mark.parametrize("name", ["joint_library_activity", "joint_library_with_sequence", "satmut_kircher2019_grch38"])
def test_other_published_tables_are_refused_by_their_columns(real_data, name):
    assert_names(refusal(real_data(f"human_mpra/{name}.tsv.gz")), "columns are", "--columns")
