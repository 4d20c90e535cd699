"""Collapsing misread copies and finding ordered sequences: with bowtie2 where it is installed, and without."""

import shutil

import numpy as np
import pytest

from benchmarks.api import yeast_plasmid
from benchmarks.apps.quantify import assign_designed, bowtie2, collapse
from benchmarks.apps.quantify.bowtie2 import Hit
from benchmarks.errors import BadInput

needs_bowtie2 = pytest.mark.skipif(
    shutil.which("bowtie2") is None, reason="bowtie2 is not installed (apt-get install bowtie2)"
)


def promoter(rng, n=80):
    return yeast_plasmid.LEFT_ADAPTER + "".join(rng.choice(list("ACGT"), n)) + yeast_plasmid.RIGHT_ADAPTER


def changed(text, *places):
    return "".join({"A": "C", "C": "G", "G": "T", "T": "A"}[b] if i in places else b for i, b in enumerate(text))


@needs_bowtie2
def test_copies_of_a_promoter_merge_and_promoters_stay_apart():
    rng = np.random.default_rng(0)
    a, b, c = (promoter(rng) for _ in range(3))
    copies = {
        a: 50, b: 20, changed(a, 30): 4, changed(b, 40, 60): 3, changed(a, 50, 90): 2, c: 1, changed(b, 33): 1,
        changed(a, 3): 1,  # in the flank, which is not compared
        a[:40] + a[41:]: 1,  # one base lost
        changed(c, 70): 1,  # of a promoter that itself has one read
    }  # fmt: skip
    sequences, counts = list(copies), np.array(list(copies.values()))
    found = collapse.collapse(sequences, counts)
    by = {sequence: sequences[i] for sequence, i in zip(sequences, found.representative, strict=True)}
    of = dict.fromkeys(copies, a) | {b: b, changed(b, 40, 60): b, changed(b, 33): b, c: c, changed(c, 70): c}
    assert by == of
    assert [p["more_than"] for p in found.passes] == [10, 1, 0]
    assert [p["n_targets"] for p in found.passes] == [2, 2, 4]
    assert found.n_collisions == 0
    assert found.n_lost == 0


@needs_bowtie2
def test_two_abundant_sequences_that_align_are_a_collision():
    rng = np.random.default_rng(1)
    a = promoter(rng)
    found = collapse.collapse([a, changed(a, 45)], np.array([400, 12]))
    assert found.representative.tolist() == [0, 0]
    assert found.n_collisions == 1


def test_transitive_merge_and_the_published_single_pass(monkeypatch):
    # In the order of the answer: 3 hits 2, then 2 hits 1, then 1 hits 0. One sweep leaves 3 with 2.
    """The merge follows connected components; the published single pass does not."""
    hits = [Hit(3, 2, 0, None), Hit(2, 1, 0, None), Hit(1, 0, 0, None), Hit(0, 0, 0, None), Hit(4, -1, None, None)]
    answers = iter([hits, [], []] * 2)
    monkeypatch.setattr(bowtie2, "align", lambda *a, **k: iter(next(answers)))
    counts = np.array([20, 5, 4, 3, 2])
    closed = collapse.collapse(["A"] * 5, counts)
    assert closed.representative.tolist() == [0, 0, 0, 0, 4]
    assert closed.n_lost == 0
    swept = collapse.collapse(["A"] * 5, counts, transitive=False)
    assert swept.representative.tolist() == [0, 0, 1, 2, 4]
    # 1 gives its 5 reads to 0; 2 its 4 to 1, and 3 its 3 to 2, which are merged themselves. The next pass moves what
    # 1 and 2 hold on, by 2's link to 1 and 1's to 0; the last one again: all reads arrive, after two passes.
    assert swept.n_lost == 0


def test_the_published_sweep_loses_reads_of_late_chains(monkeypatch):
    late = [Hit(3, 2, 0, None), Hit(2, 1, 0, None)]
    answers = iter([[], [], late])
    monkeypatch.setattr(bowtie2, "align", lambda *a, **k: iter(next(answers)))
    found = collapse.collapse(["A"] * 4, np.array([20, 5, 4, 3]), transitive=False)
    assert found.representative.tolist() == [0, 1, 1, 2]
    assert found.n_lost == 3  # the reads of 3 went to 2 after 2 had given its own away


def test_random_hits_give_connected_components():
    rng = np.random.default_rng(3)
    for _ in range(30):
        n = int(rng.integers(2, 30))
        pairs = rng.integers(0, n, (int(rng.integers(0, n)), 2))
        groups = [{i} for i in range(n)]  # merged by hand
        for a, b in pairs:
            one, other = (next(g for g in groups if x in g) for x in (a, b))
            if one is not other:
                groups = [g for g in groups if g is not one and g is not other] + [one | other]
        expected = [min(next(g for g in groups if i in g)) for i in range(n)]
        assert collapse._connected_components(np.arange(n), pairs).tolist() == expected


@needs_bowtie2
def test_reads_of_a_designed_library_find_their_sequence():
    rng = np.random.default_rng(4)
    a, b = promoter(rng), promoter(rng)
    snv = changed(a, 50)  # a variant that was ordered too
    ordered = [a, snv, b]
    third = a[:50] + next(x for x in "ACGT" if x not in (a[50], snv[50])) + a[51:]
    reads = {
        a: 10, snv: 7, changed(a, 20): 3, changed(snv, 90, 91): 2, third: 5, changed(b, 40): 1, promoter(rng): 4,
    }  # fmt: skip
    found = assign_designed.assign(list(reads), np.array(list(reads.values())), ordered)
    assert found.oligo.tolist() == [0, 1, 0, 1, -1, 2, -1]  # the third base fits a and its variant equally well
    assert (found.n_exact, found.n_aligned, found.n_ambiguous, found.n_unaligned) == (17, 6, 5, 4)


def test_a_missing_bowtie2_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match=r"bowtie2 is needed .* apt-get install bowtie2"):
        bowtie2.require()
    with pytest.raises(BadInput, match="apt-get install bowtie2"):
        collapse.collapse(["ACGT"], np.array([1]))
