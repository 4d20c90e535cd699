"""Sequences shared by test and training data, against a loop over all pairs, strands and shifts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.api import overlap
from benchmarks.api.sequences import encode, reverse_complement


def naive(test, train, threshold):
    """Judge every pair letter by letter: exact, turned, near."""
    complement = {0: 3, 1: 2, 2: 1, 3: 0, 4: 4}
    found = []
    for mine in test.tolist():
        turned = [complement[base] for base in reversed(mine)]
        exact, reverse, near = False, False, False
        for other in train.tolist():
            exact |= mine == other
            reverse |= turned == other
            for form in (mine, turned):
                for shift in range(-len(mine), len(mine)):
                    placed = zip(form[max(0, -shift) :], other[max(0, shift) :], strict=False)
                    agree = sum(a == b and a < 4 for a, b in placed)
                    near |= agree >= threshold * sum(base < 4 for base in mine)
        found.append((exact, reverse, near and not exact and not reverse))
    return found


def random_codes(rng, *shape):
    return rng.integers(0, 4, shape).astype(np.uint8)


def planted(rng, kind, source):
    """Return a copy of a sequence that was changed in the way of its kind."""
    copy = source.copy()
    if kind == "turned":
        return reverse_complement(copy)
    if kind == "substituted":
        at = rng.choice(len(copy), 3, replace=False)
        copy[at] = (copy[at] + 1) % 4
    if kind == "shifted":
        copy = np.concatenate([copy[10:], random_codes(rng, 10)])
    if kind == "shifted and turned":
        copy = reverse_complement(np.concatenate([random_codes(rng, 10), copy[:-10]]))
    return copy


KINDS = {
    "copied": "exact",
    "turned": "reverse_complement",
    "substituted": "near",
    "shifted": "near",
    "shifted and turned": "near",
    "unrelated": None,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_sequence_is_caught_and_a_random_one_is_not(kind):
    rng = np.random.default_rng(1)
    train, test = random_codes(rng, 300, 200), random_codes(rng, 40, 200)
    if kind != "unrelated":
        test[7] = planted(rng, kind, train[123])
    found = overlap.find(test, train)
    for name in ("exact", "reverse_complement", "near"):
        assert np.flatnonzero(getattr(found, name)).tolist() == ([7] if KINDS[kind] == name else [])
    assert found.partner[7] == (-1 if kind == "unrelated" else 123)


def test_shared_adapters_are_no_overlap_but_reversed_inserts_are():
    """A reverse-complemented insert is found between adapters that all sequences share."""
    rng = np.random.default_rng(2)
    left, right = encode(["AGGACCGGATCAACT"], 15), encode(["CATTGCGTGAACCGA"], 15)

    def built(inserts):
        n = len(inserts)
        return np.concatenate([np.repeat(left, n, axis=0), inserts, np.repeat(right, n, axis=0)], axis=1)

    inserts, others = random_codes(rng, 100, 60), random_codes(rng, 50, 60)
    others[3] = reverse_complement(inserts[30])
    test, train = built(others), built(inserts)
    assert overlap.constant_flanks(test, train) == (15, 15)
    found = overlap.find(test, train)
    assert np.flatnonzero(found.reverse_complement).tolist() == [3] == np.flatnonzero(found.any).tolist()


def test_substitutions_up_to_the_stated_number_are_always_found():
    rng = np.random.default_rng(3)
    train = random_codes(rng, 40, 200)
    test = train.copy()
    at = np.arange(1, 8) * 25 - 1  # seven, as far from each other as they can be: stretches of 24 and 25 bases
    test[:, at] = (test[:, at] + 2) % 4
    assert overlap.find(test, train).near.all()


def test_what_lies_just_below_the_threshold_is_not_near():
    rng = np.random.default_rng(4)
    train = random_codes(rng, 30, 200)
    for n_changed, is_near in ((40, True), (41, False)):
        test = train.copy()
        test[:, -n_changed:] = (test[:, -n_changed:] + 1) % 4
        assert (overlap.find(test, train, threshold=0.8, flanks=(0, 0)).near == is_near).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.7, 0.8, 0.95]))
def test_it_agrees_with_a_loop_over_all_pairs_strands_and_shifts(seed, threshold):
    rng = np.random.default_rng(seed)
    train, test = random_codes(rng, 8, 60), random_codes(rng, 6, 60)
    train[rng.random(train.shape) < 0.01] = 4
    for row, kind in enumerate(rng.choice(list(KINDS), 3)):
        if kind != "unrelated":
            test[row] = planted(rng, kind, train[rng.integers(8)])
    found = overlap.find(test, train, threshold=threshold, k=9, flanks=(0, 0))
    expected = naive(test, train, threshold)
    judged = list(zip(found.exact, found.reverse_complement, found.near, strict=True))
    for mine, theirs in zip(judged, expected, strict=True):
        assert mine[:2] == theirs[:2]
        assert mine[2] <= theirs[2]  # never reported wrongly
    shared = [longest_shared(mine, train) >= 9 + overlap.WINDOW - 1 for mine in test]
    for mine, theirs, has_stretch in zip(judged, expected, shared, strict=True):
        assert mine[2] == theirs[2] or not has_stretch


def longest_shared(mine, train):
    """Length of the longest stretch without N that a sequence shares with any of the others, on either strand."""
    letters = np.array(list("AGCT#"))
    texts = ["".join(letters[row]) for row in train]
    best = 0
    for form in ("".join(letters[mine]), "".join(letters[reverse_complement(mine)])):
        for start in range(len(form)):
            while start + best < len(form) and "#" not in (word := form[start : start + best + 1]):
                if not any(word in text for text in texts):
                    break
                best += 1
    return best


@pytest.mark.parametrize(
    ("how", "what"),
    [({"k": 16}, "odd"), ({"k": 31}, "23"), ({"threshold": 0.4}, "threshold"), ({"threshold": 1.1}, "thre")],
)
def test_settings_that_make_no_sense_are_refused(how, what):
    codes = np.zeros((2, 50), dtype=np.uint8)
    with pytest.raises(ValueError, match=what):
        overlap.find(codes, codes, **how)


def test_no_rows_are_no_leaks():
    none, some = np.zeros((0, 50), dtype=np.uint8), np.ones((3, 50), dtype=np.uint8)
    assert not overlap.find(some, none).any.any()
    assert len(overlap.find(none, some).any) == 0
