"""Merging read pairs: against a slow version written for this test, at the edges of the rule, and bad files."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.apps.quantify import fastq, merge_reads
from benchmarks.apps.quantify.fastq import Reads
from benchmarks.apps.quantify.merge_reads import Rule
from benchmarks.errors import BadInput

OTHER = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def slow(read1, qual1, read2, qual2, rule):
    """The rule in its own words: offsets from the expected one outwards, the later read 1 position first."""
    reverse = "".join(OTHER[base] for base in reversed(read2))
    reverse_quality = list(reversed(qual2))
    expected = len(read1) - rule.overlap
    for distance in range(rule.tolerance + 1):
        for offset in (expected + distance, expected - distance):
            tail = read1[offset:] if offset >= 0 else None
            if not tail or len(tail) > len(reverse):
                continue
            equal = [a == b for a, b in zip(tail, reverse, strict=False)]
            if sum(equal) / len(equal) > rule.identity:
                middle = [
                    tail[i] if ord(qual1[offset + i]) > ord(reverse_quality[i]) else reverse[i]
                    for i in range(len(tail))
                ]
                return read1[:offset] + "".join(middle) + reverse[len(tail) :], len(tail)
    return None


def as_reads(texts, quals):
    width = max(map(len, texts))

    def rows(values):
        return np.array([list(v.encode().ljust(width, b"\0")) for v in values], dtype=np.uint8)

    return Reads(rows(texts), rows(quals), np.array([len(t) for t in texts]))


def check_pairs(pairs, rule):
    one, two = (as_reads([p[i] for p in pairs], [p[i + 1] for p in pairs]) for i in (0, 2))
    merged = merge_reads.merge(one, two, rule)
    expected = [slow(*pair, rule) for pair in pairs]
    assert [s.decode() for s in merged.sequences()] == [e[0] for e in expected if e]
    assert merged.overlaps.tolist() == [e[1] if e else 0 for e in expected]
    assert [merge_reads.merge_one(*pair, rule) for pair in pairs] == expected
    return expected


def random_pair(rng, insert, length1, length2, error):
    """Reads from both ends of a random insert, as far as it goes, then random bases; errors, N and any qualities."""
    text = rng.choice(list("ACGT"), insert)
    tail = rng.choice(list("ACGT"), 200)
    one = np.concatenate([text, tail])[:length1]
    two = np.concatenate([np.array([OTHER[b] for b in text[::-1]]), tail])[:length2]
    for read in (one, two):
        wrong = rng.random(len(read)) < error
        read[wrong] = rng.choice(list("ACGTN"), wrong.sum())
    quals = ["".join(map(chr, rng.integers(33, 74, n))) for n in (length1, length2)]
    return "".join(one), quals[0], "".join(two), quals[1]


def test_it_agrees_with_a_slow_version_on_random_pairs():
    """Pairs have errors and short overlaps."""
    rng = np.random.default_rng(0)
    rule = Rule()
    pairs = []
    for _ in range(3_000):  # inserts of 92 to 134: overlaps from far too long to far too short
        length1, length2 = (76, 76) if rng.random() < 0.5 else rng.integers(20, 90, 2)
        pairs.append(random_pair(rng, int(rng.integers(92, 135)), length1, length2, rng.choice([0, 0.02, 0.1, 0.25])))
    expected = check_pairs(pairs, rule)
    found = [e[1] for e in expected if e]
    assert len(found) > 900
    assert any(e is None for e in expected)
    assert set(range(26, 55)) <= set(found)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 20), st.integers(0, 12), st.sampled_from([0.0, 0.5, 0.75, 0.9]))
def test_it_agrees_with_a_slow_version_by_any_rule(seed, overlap, tolerance, identity):
    rng, rule = np.random.default_rng(seed), Rule(overlap, min(tolerance, overlap - 1), identity)
    pairs = [
        random_pair(rng, int(rng.integers(5, 60)), *rng.integers(1, 40, 2), rng.choice([0, 0.1, 0.4])) for _ in range(8)
    ]
    check_pairs(pairs, rule)


def test_identity_exceeds_three_quarters_and_first_overlap_wins():
    rng = np.random.default_rng(1)
    insert = "".join(rng.choice(list("ACGT"), 112))  # 2 * 76 - 112 = 40
    one, two = insert[:76], "".join(OTHER[b] for b in reversed(insert[-76:]))
    swap = {"A": "C", "C": "A", "G": "T", "T": "G"}
    for n_wrong, found in ((9, 40), (10, 0)):  # 30 of 40 equal is not more than 0.75
        wrong = "".join(swap[b] if 36 <= i < 36 + n_wrong else b for i, b in enumerate(one))
        merged = merge_reads.merge(as_reads([wrong], ["I" * 76]), as_reads([two], ["I" * 76]), Rule())
        assert merged.overlaps[0] == found
    # A run of one letter fits everywhere: 40 comes first, though every other overlap fits as well.
    merged = merge_reads.merge(as_reads(["A" * 76], ["I" * 76]), as_reads(["T" * 76], ["I" * 76]), Rule())
    assert merged.overlaps[0] == 40
    assert merged.sequences() == [b"A" * 112]


def test_the_better_base_is_taken_and_that_of_read_2_in_a_tie():
    insert = "ACGTTGCAAC"
    two = "".join(OTHER[b] for b in reversed(insert))
    one = "ACGTTGCATC"
    rule = Rule(10, 0, 0.5)
    for quality, base in (("J", "T"), ("I", "A"), ("H", "A")):
        merged = merge_reads.merge(as_reads([one], ["I" * 8 + quality + "I"]), as_reads([two], ["I" * 10]), rule)
        assert merged.sequences() == [("ACGTTGCA" + base + "C").encode()]


def write(path, reads, *, mate=1, ending="\n"):
    text = "".join(f"@r{i} {mate}:N:0{ending}{s}{ending}+{ending}{q}{ending}" for i, (s, q) in enumerate(reads))
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def read_all(file1, file2):
    out = []
    for one, two in fastq.pairs(file1, file2):
        for i in range(len(one)):
            out.append(
                tuple(
                    r.tobytes().rstrip(b"\0").decode() for r in (one.bases[i], one.quals[i], two.bases[i], two.quals[i])
                )
            )
    return out


@pytest.mark.parametrize("block", [7, 100, 1 << 20])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_files_are_read_whole_whatever_the_blocks_and_line_ends(tmp_path, monkeypatch, block, ending):
    monkeypatch.setattr(fastq, "_BLOCK", block)
    rng = np.random.default_rng(2)
    pairs = [random_pair(rng, 40, *rng.integers(1, 60, 2), 0.1) for _ in range(60)]
    one = write(tmp_path / "a.fastq.gz", [p[:2] for p in pairs], ending=ending)
    two = write(tmp_path / "b.fastq", [p[2:] for p in pairs], mate=2, ending=ending)
    assert read_all(one, two) == pairs
    two.write_bytes(two.read_bytes().rstrip(b"\r\n"))  # no end of the last line
    assert read_all(one, two) == pairs
    two.write_bytes(two.read_bytes() + b"\n\n\n")  # blank lines after the last read
    assert read_all(one, two) == pairs


GOOD = [("ACGT", "IIII"), ("CCGT", "IIII"), ("ACGA", "IIII")]


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        (GOOD, GOOD[:2], r"a\.fq has more reads than .*b\.fq, which ends after 2"),
        (GOOD[:1], GOOD, r"b\.fq has more reads than .*a\.fq, which ends after 1"),
        ([*GOOD[:1], ("ACG", "IIII")], GOOD[:2], "line 6: as many qualities as bases .* got 3 bases and 4 qualities"),
        ([("AC-T", "IIII")], GOOD[:1], "line 2: letter '-' at position 3"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path, one, two, words):
    with pytest.raises(BadInput, match=words):
        read_all(write(tmp_path / "a.fq", one), write(tmp_path / "b.fq", two, mate=2))


def test_swapped_mates_and_damaged_files_are_refused(tmp_path):
    """So are mates in another order."""
    one, two = write(tmp_path / "a.fq", GOOD), write(tmp_path / "b.fq", GOOD, mate=2)
    with pytest.raises(BadInput, match="read1 and read2 are swapped"):
        read_all(two, one)
    with pytest.raises(BadInput, match="both hold mate 1"):
        read_all(one, write(tmp_path / "c.fq", GOOD))
    lines = two.read_text().splitlines(keepends=True)
    two.write_text("".join(lines[4:8] + lines[:4] + lines[8:]))
    with pytest.raises(BadInput, match=r"Read 1 is 'r0' in .*a\.fq and 'r1' in .*b\.fq"):
        read_all(one, two)
    (tmp_path / "d.fq").write_text("".join(lines[:6]))
    with pytest.raises(BadInput, match=r"d\.fq ends within a read, at line 6"):
        read_all(one, tmp_path / "d.fq")
    zipped = write(tmp_path / "e.fq.gz", GOOD * 500)
    zipped.write_bytes(zipped.read_bytes()[:-20])
    with pytest.raises(BadInput, match="truncated gzip"):
        read_all(zipped, zipped)
    zipped = write(tmp_path / "f.fq.gz", GOOD * 500)
    content = bytearray(zipped.read_bytes())
    content[60:90] = b"\xff" * 30
    zipped.write_bytes(bytes(content))
    with pytest.raises(BadInput, match="damaged gzip"):
        read_all(zipped, zipped)
    (tmp_path / "g.fq").write_text("hello\nworld\n+\nthere\n")
    with pytest.raises(BadInput, match="line 1: a read of four lines"):
        read_all(tmp_path / "g.fq", tmp_path / "g.fq")


def test_a_rule_that_cannot_be_is_refused():
    with pytest.raises(BadInput, match="tolerance from 0 to less than the overlap of 10"):
        Rule(10, 10)
    with pytest.raises(BadInput, match="identity"):
        Rule(identity=1.0)
