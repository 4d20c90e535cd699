"""From reads and regions to windows: formats, Tn5's shift, GC-matched background, splits, and clear refusals."""

import dataclasses
import gzip
import json
import os
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.api.genome import Genome
from benchmarks.atac import bigwig, peaks, prepare, reads, regions, shift, simulate, task
from benchmarks.atac import prepared as prepared_folder
from benchmarks.cli.main import app
from benchmarks.engine.store.locks import TrainingLocks
from benchmarks.errors import BadInput

pysam = pytest.importorskip("pysam")
pybigtools = pytest.importorskip("pybigtools")


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    simulate.write_files(folder, seed=3)
    return folder


@pytest.fixture(scope="module")
def genome(raw, tmp_path_factory):
    return Genome(raw / "genome.fa", tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module")
def prepared(raw, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "data"
    about = prepare.prepare(simulate.inputs(raw), out)
    return out, about


def small_genome(folder, **chroms):
    path = folder / "small.fa"
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in chroms.items()))
    return path


def opened(path, tmp_path):
    (tmp_path / "work").mkdir(exist_ok=True)
    return Genome(path, tmp_path / "work")


# genome


@pytest.mark.parametrize("how", ["plain", "gzip", "bgzip"])
def test_a_genome_is_read_however_it_is_packed(tmp_path, how):
    path = small_genome(tmp_path, chr1="ACGTNacgtR", chr2="GGGG")
    if how == "gzip":
        packed = tmp_path / "g.fa.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    elif how == "bgzip":
        pysam.tabix_compress(str(path), str(tmp_path / "b.fa.gz"), force=True)
        path = tmp_path / "b.fa.gz"
    found = opened(path, tmp_path)
    assert found.sizes == {"chr1": 10, "chr2": 4}
    assert found.codes("chr1").tolist() == [0, 2, 1, 3, 4, 0, 2, 1, 3, 4]  # A C G T N, either case; R is N


def test_what_is_no_genome_is_refused(tmp_path):
    (tmp_path / "no.fa").write_text("chr1 ACGT\n")
    with pytest.raises(BadInput, match="--genome"):
        opened(tmp_path / "no.fa", tmp_path)
    with pytest.raises(BadInput, match="no FASTA file at"):
        opened(tmp_path / "absent.fa", tmp_path)
    whole = gzip.compress(b">chr1\n" + b"ACGT" * 10_000)
    (tmp_path / "cut.fa.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="damaged gzip"):
        opened(tmp_path / "cut.fa.gz", tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ACGT\nACGT\n", "at line 1"),
        (">chr1\nACGT\n\nACGT\n", "at line 4"),
        (">chr1\nACGT\nACGTACGT\nACGT\n", "line length"),
        ("", "line 1"),
        (">chr1\nACGT\n>chr2\nACGT\n>chr1\nGGGG\n", '"chr1".*a name of its own'),
    ],
)
def test_a_damaged_genome_is_refused_in_one_sentence(tmp_path, capfd, text, says):
    (tmp_path / "g.fa").write_text(text)
    with pytest.raises(BadInput, match=says) as error:
        opened(tmp_path / "g.fa", tmp_path)
    assert "samtools" not in str(error.value)
    assert capfd.readouterr() == ("", "")  # htslib's own words stay off the terminal


def test_another_genome_under_an_old_date_is_unpacked_anew(tmp_path):
    found = []
    for number, sequence in enumerate(("ACGT", "GGCC")):
        path = tmp_path / f"g{number}.fa.gz"
        path.write_bytes(gzip.compress(f">chr1\n{sequence}\n".encode(), mtime=0))
        os.utime(path, (1.6e9, 1.6e9))
        found.append(opened(path, tmp_path).codes("chr1").tolist())
    assert found == [[0, 2, 1, 3], [1, 1, 2, 2]]


# reads

FRAGMENTS = [("chr1", 20, 60), ("chr1", 25, 61), ("chr2", 12, 40)]


def cuts_of(ends, genome, moved=(0, 0)):
    counted = shift.count(shift.positions_of(ends, moved), genome)
    return {chrom: dict(zip(at.tolist(), n.tolist(), strict=True)) for chrom, at, n in counted}


def write_bam(path, alignments, sizes):
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": name, "LN": size} for name, size in sizes.items()]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for i, (chrom, start, end, strand) in enumerate(alignments):
            read = pysam.AlignedSegment(file.header)
            read.query_name, read.reference_id, read.reference_start = f"r{i}", list(sizes).index(chrom), start
            read.cigartuples, read.flag = [(0, end - start)], 16 if strand == "-" else 0
            read.query_sequence = "A" * (end - start)
            file.write(read)
        unmapped = pysam.AlignedSegment(file.header)
        unmapped.query_name, unmapped.flag, unmapped.query_sequence = "u", 4, "ACGT"
        file.write(unmapped)


def write_reads(path, kind):
    """Write the same cuts in one of the formats."""
    if kind == "bam":
        sides = [(c, s, s + 10, "+") for c, s, e in FRAGMENTS] + [(c, e - 10, e, "-") for c, s, e in FRAGMENTS]
        write_bam(path, sides, {"chr1": 100, "chr2": 80})
        return
    rows = {
        "bed3": [(c, s, e) for c, s, e in FRAGMENTS],
        "fragments": [(c, s, e, "ACGT-1", 2) for c, s, e in FRAGMENTS],
        "bed4": [(c, s, e, 37) for c, s, e in FRAGMENTS],
        "bedpe": [(c, s, s + 10, c, e - 10, e, "r", 9, "+", "-") for c, s, e in FRAGMENTS],
        "tagalign": [(c, s, s + 10, "N", 1000, "+") for c, s, e in FRAGMENTS]
        + [(c, e - 10, e, "N", 1000, "-") for c, s, e in FRAGMENTS],
    }[kind]
    text = "# comment\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.mark.parametrize(
    ("kind", "name"),
    [("bed3", "f.bedpe.gz"), ("fragments", "f.tsv.gz"), ("bed4", "f.bed"), ("bedpe", "f.bedpe"),
     ("tagalign", "f.tagAlign.gz"), ("bam", "f.bam")],
)  # fmt: skip
def test_every_format_gives_the_same_cuts(tmp_path, kind, name):
    genome = opened(small_genome(tmp_path, chr1="A" * 100, chr2="C" * 80), tmp_path)
    write_reads(tmp_path / name, kind)
    ends = reads.read(tmp_path / name, genome)
    # Unshifted: + counts at start + 4, - at end - 5.
    assert cuts_of(ends, genome) == {"chr1": {24: 1, 55: 1, 29: 1, 56: 1}, "chr2": {16: 1, 35: 1}}


@pytest.mark.parametrize(
    ("moved", "expected"), [((0, 0), {24, 55}), ((4, -5), {20, 60}), ((4, -4), {20, 59}), ((3, -6), {21, 61})]
)
def test_what_a_shift_leaves_to_be_added(tmp_path, moved, expected):
    """A +4/-5 fragment counts at its start and at its end, exclusive."""
    genome = opened(small_genome(tmp_path, chr1="A" * 100), tmp_path)
    ends = reads.Ends({"chr1": np.array([20])}, {"chr1": np.array([60])}, True)
    assert set(cuts_of(ends, genome, moved)["chr1"]) == expected


@pytest.mark.parametrize("moved", [(0, 0), (4, -5), (4, -4), (3, -6), (7, -2)])
def test_the_shift_is_found(raw, genome, moved):
    ends = reads.read(raw / "fragments.tsv.gz", genome)
    ends = reads.Ends(
        {chrom: at + moved[0] for chrom, at in ends.plus.items()},
        {chrom: at + moved[1] for chrom, at in ends.minus.items()},
        True,
    )
    found = shift.detect_shift(ends, genome)
    assert (found.plus, found.minus) == moved
    assert found.is_clear
    if moved == (7, -2):
        with pytest.raises(BadInput, match=r"\+7/-2.*--shift 7,-2"):
            shift.settled_shift(found, None)
        assert shift.settled_shift(found, moved)[0] == moved
    else:
        assert shift.settled_shift(found, None)[0] == moved
        told, says = shift.settled_shift(found, (1, 1))
        assert told == (1, 1)
        assert "although the reads look like" in says


def test_an_enzyme_without_taste_shows_no_shift(genome):
    rng = np.random.default_rng(0)
    at = {chrom: rng.integers(100, size - 100, 3000) for chrom, size in genome.sizes.items()}
    found = shift.detect_shift(reads.Ends(at, at, True), genome)
    assert not found.is_clear
    with pytest.raises(BadInput, match="--shift 0,0"):
        shift.settled_shift(found, None)


def test_duplicates_go_where_both_ends_are_known(tmp_path):
    both = reads.Ends({"chr1": np.array([5, 5, 5, 9])}, {"chr1": np.array([30, 30, 31, 30])}, True)
    kept = both.without_duplicates()
    assert both.n_duplicates() == 1
    assert sorted(zip(kept.plus["chr1"], kept.minus["chr1"], strict=True)) == [(5, 30), (5, 31), (9, 30)]
    with pytest.raises(BadInput, match="--deduplicate"):
        reads.Ends({}, {}, False).without_duplicates()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chr1\t20\tsixty\n", "line 1, column 3: fragments has a whole number there, got 'sixty'"),
        ("chr1\t20\t60\nchr1\t20\n", "line 2"),
        ("chr1\t20\t60\ntrack name=x\n", "line 2, column 2"),
        (f"chr1\t20\t{10**20}\n", "line 1, column 3: fragments has a whole number there, got '1000"),
        ("1\t20\t60\n", "'1' there, 'chr1' in the genome"),
        ("chr1\t20\t600\n", "(first: line 1, chr1:20-600; chr1 has 100 bp in the genome). Is it the same assembly?"),
        ("chr1\t60\t20\n", "their end is not beyond their start (first: line 1, chr1:60-20)"),
        ("ACGTACGT\n", "tab-separated"),
        ("", "is empty; tab-separated"),
    ],
    ids=[
        "no number",
        "short line",
        "track line",
        "huge",
        "other names",
        "off the end",
        "backwards",
        "no table",
        "empty",
    ],
)
def test_wrong_fragments_are_refused(tmp_path, text, says):
    genome = opened(small_genome(tmp_path, chr1="A" * 100), tmp_path)
    (tmp_path / "f.tsv").write_text(text)
    with pytest.raises(BadInput) as caught:
        reads.read(tmp_path / "f.tsv", genome)
    assert says in str(caught.value)


def test_damaged_reads_are_refused(tmp_path):
    genome = opened(small_genome(tmp_path, chr1="A" * 100, chr2="C" * 80), tmp_path)
    write_reads(tmp_path / "f.bam", "bam")
    whole = (tmp_path / "f.bam").read_bytes()
    (tmp_path / "cut.bam").write_bytes(whole[:-40])
    with pytest.raises(BadInput, match=r"cut\.bam is a truncated bgzip file"):
        reads.read(tmp_path / "cut.bam", genome)
    pysam.tabix_compress(str(tmp_path / "f.bam"), str(tmp_path / "no.bam"), force=True)  # packed twice: no BAM inside
    with pytest.raises(BadInput, match=r"no\.bam is a gzip file within a gzip file"):
        reads.read(tmp_path / "no.bam", genome)
    rows = "".join(f"chr1\t{i % 50}\t{i % 50 + 30}\n" for i in range(5000))
    packed = gzip.compress(rows.encode())
    (tmp_path / "cut.tsv.gz").write_bytes(packed[: len(packed) - 300])
    with pytest.raises(BadInput, match=r"damaged gzip|truncated gzip"):
        reads.read(tmp_path / "cut.tsv.gz", genome)
    (tmp_path / "rows.tsv").write_text(rows)
    pysam.tabix_compress(str(tmp_path / "rows.tsv"), str(tmp_path / "rows.tsv.gz"), force=True)
    whole = (tmp_path / "rows.tsv.gz").read_bytes()
    (tmp_path / "rows.tsv.gz").write_bytes(whole[:-28])  # between two blocks: nothing else is amiss
    with pytest.raises(BadInput, match="truncated bgzip file"):
        reads.read(tmp_path / "rows.tsv.gz", genome)


# regions


def test_the_public_folds_test_every_chromosome_once():
    folds = regions.hg38_folds()
    assert Counter(chrom for fold in folds for chrom in fold["test"]) == dict.fromkeys(regions.HG38, 1)
    assert folds[0]["valid"] == ["chr8", "chr20"]
    assert folds[2]["test"] == ["chr4", "chr11", "chr12", "chr15", "chrY"]
    for fold in folds:
        every = [chrom for part in regions.PARTS for chrom in fold[part]]
        assert sorted(every) == sorted(regions.HG38)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"train": ["a"], "valid": [], "test": ["b"]}, "'valid'"),
        ({"train": ["a"], "test": ["b"]}, "train, valid and test"),
        ([], "has no fold"),
        ({"train": ["a"], "valid": ["a"], "test": ["b"]}, "named twice"),
        ("text", "train, valid and test"),
    ],
)
def test_wrong_folds_are_refused(tmp_path, content, says):
    (tmp_path / "f.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match=says):
        regions.read_folds([tmp_path / "f.json"])


def peak(chrom="chr1", start=10, end=30, summit=5):
    return f"{chrom}\t{start}\t{end}\tp\t0\t.\t0\t0\t0\t{summit}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chr1\t10\t30\tp\n", "these peaks have no summits (BED of 4 columns); narrowPeak"),
        (peak() + peak(summit=-1), "line 2, column 10: a summit"),
        (peak(start="ten"), "line 1, column 2: a whole number is expected, got 'ten'"),
        (peak(end=3000), "(first: line 1, chr1:10-3000; chr1 has 100 bp in the genome)"),
        (peak(start=30, end=30), "their end is not beyond their start (first: line 1, chr1:30-30)"),
        (peak(start=-3), "beyond the end of their chromosome (first: line 1, chr1:-3-30"),
        (peak("1"), "name no chromosome alike: '1' there, 'chr1' in the genome"),
        ("", "is an empty file"),
    ],
    ids=[
        "four columns",
        "no summit",
        "no number",
        "off the end",
        "empty stretch",
        "below zero",
        "other names",
        "empty",
    ],
)
def test_wrong_peaks_are_refused(tmp_path, text, says):
    genome = opened(small_genome(tmp_path, chr1="A" * 100), tmp_path)
    (tmp_path / "p.narrowPeak").write_text(text)
    with pytest.raises(BadInput) as caught:
        peaks.read_peaks(tmp_path / "p.narrowPeak", genome)
    assert says in str(caught.value)


def test_a_damaged_gzip_file_of_regions_is_refused(tmp_path):
    genome = opened(small_genome(tmp_path, chr1="A" * 100), tmp_path)
    packed = bytearray(gzip.compress(b"".join(b"chr1\t%d\t%d\n" % (i % 60, i % 60 + 9) for i in range(3000))))
    packed[100] ^= 0xFF
    packed[101] ^= 0xFF
    (tmp_path / "b.bed.gz").write_bytes(packed)
    with pytest.raises(BadInput, match=r"b\.bed\.gz is a damaged gzip file"):
        peaks.read_blacklist(tmp_path / "b.bed.gz", genome)


def test_unsorted_peaks_keep_their_order_and_are_named(tmp_path):
    genome = opened(small_genome(tmp_path, chr1="A" * 100), tmp_path)
    (tmp_path / "p.narrowPeak").write_text(peak(start=40, end=60) + peak(start=5) + peak("chrM"))
    found, account = peaks.read_peaks(tmp_path / "p.narrowPeak", genome)
    assert found["centre"].tolist() == [45, 10]
    assert any("not sorted" in note for note in account.sentences())
    assert "1 peak left out: on chrM, which the genome lacks." in account.sentences()


def test_gc_windows_are_counted_as_by_hand(genome):
    found = regions.background_windows(genome, ["chr2"])
    text = genome._fasta.fetch("chr2")
    assert found["start"].tolist() == [s for s in range(0, len(text), 1000) if s + 2114 < len(text)]
    for row in found.sample(20, random_state=0).itertuples():
        window = text[row.start : row.end].upper()
        assert len(window) == 2114
        assert row.gc == round(round((window.count("G") + window.count("C")) / 2114, 2) * 100)


def test_a_window_that_ends_with_its_chromosome_is_left_out(tmp_path):
    genome = opened(small_genome(tmp_path, a="A" * 3114, b="A" * 3115), tmp_path)
    found = regions.background_windows(genome, ["a", "b"])
    assert found.groupby("chrom")["start"].apply(list).to_dict() == {"a": [0], "b": [0, 1000]}


def test_regions_keep_their_distance():
    candidates = pd.DataFrame({"chrom": "a", "start": [0, 3000, 6000, 9000], "end": [2114, 5114, 8114, 11114]})
    peaks = pd.DataFrame({"chrom": ["a", "b"], "start": [6171, 0], "end": [7942, 50]})
    # 6171 - 1057 = 5114: half-open intervals that touch do not overlap.
    assert regions.away_from(candidates, peaks, 1057).tolist() == [True, True, False, True]
    assert regions.away_from(candidates, peaks.assign(start=[6170, 0]), 1057).tolist() == [True, False, False, True]


def test_background_is_matched_as_by_a_slow_draw():
    rng = np.random.default_rng(0)
    fold = {"train": ["a", "b"], "valid": ["c"], "test": ["d"]}
    candidates = pd.DataFrame({"chrom": rng.choice(list("abcd"), 400), "gc": rng.integers(38, 50, 400)})
    peaks = pd.DataFrame({"chrom": rng.choice(list("abcd"), 60), "gc": rng.integers(36, 52, 60)})
    found = regions.choose_negatives(peaks, candidates, fold, [])
    rows, pool = (list(zip(table["chrom"], table["gc"].tolist(), strict=True)) for table in (peaks, candidates))
    assert found.index.tolist() == slow_negatives(rows, pool, fold)
    assert found.index.is_unique


def slow_negatives(peaks, candidates, fold):
    """Match GC as the rules are written, with lists; every negative starts from its peak's own GC."""
    rng, used, chosen = random.Random(1234), set(), []
    part_of = {chrom: part for part in fold for chrom in fold[part]}
    for chrom, wanted in peaks:
        part = part_of[chrom]
        for _ in range(1 if part == "test" else 2):
            gc = wanted
            while True:
                same = [i for i, (other, g) in enumerate(candidates) if part_of[other] == part and g == gc]
                if not same or used >= set(same):
                    gc += 1 if rng.random() > 0.5 else -1
                    continue
                pick = same[rng.randint(0, len(same) - 1)]
                if pick not in used:
                    break
            used.add(pick)
            chosen.append(pick)
    return chosen


def test_too_few_candidates_are_said():
    fold = {"train": ["a"], "valid": ["b"], "test": ["c"]}
    candidates = pd.DataFrame({"chrom": ["a", "b", "c"], "gc": [40, 40, 40]})
    peaks = pd.DataFrame({"chrom": ["a", "b", "c"], "gc": [41, 39, 45]})
    notes = []
    assert len(regions.choose_negatives(peaks, candidates, fold, notes)) == 3
    assert notes == ["5 background windows were wanted for a fold, and 3 are there."]


# the whole


def test_windows_hold_genome_and_insertions_around_centres(prepared, genome, raw):
    out, about = prepared
    table = prepared_folder.read_regions(out / prepared_folder.REGIONS)
    codes, profile = (np.load(out / "windows" / f"{name}.npy") for name in ("codes", "profile"))
    cuts = {chrom: np.zeros(size) for chrom, size in genome.sizes.items()}
    for line in gzip.decompress((raw / "fragments.tsv.gz").read_bytes()).decode().splitlines():
        chrom, start, end, *_ = line.split("\t")
        cuts[chrom][int(start) + 4] += 1
        cuts[chrom][int(end) - 5] += 1
    assert about["signal"]["n_cuts"] == sum(track.sum() for track in cuts.values())
    for row in np.random.default_rng(0).choice(len(table), 40, replace=False):
        chrom, centre = table["chrom"].iloc[row], table["centre"].iloc[row]
        padded = np.pad(cuts[chrom], 2000)[centre + 1000 : centre + 3000]
        np.testing.assert_array_equal(profile[row], padded)
        text = np.pad(genome.codes(chrom), 2000, constant_values=4)[centre + 2000 - 1557 : centre + 2000 + 1557]
        np.testing.assert_array_equal(codes[row], text)


def test_background_avoids_peaks_and_blacklist_within_its_split(prepared, raw):
    out, _ = prepared
    table = prepared_folder.read_regions(out / prepared_folder.REGIONS)
    peaks = [line.split("\t") for line in (raw / "peaks.narrowPeak").read_text().splitlines()]
    black = [line.split("\t") for line in (raw / "blacklist.bed").read_text().splitlines()]
    for row in table[table["is_peak"] == 0].sample(80, random_state=0).itertuples():
        for chrom, start, end, *_ in [*peaks, *black]:
            if chrom == row.chrom:
                assert row.centre + 1057 <= int(start) - 1057 or row.centre - 1057 >= int(end) + 1057
    folds = json.loads((raw / "folds.json").read_text())
    for number, fold in enumerate(folds):
        part_of = {chrom: prepared_folder.PART_CODES[part] for part in fold for chrom in fold[part]}
        column = table[f"fold_{number}"]
        assert (column[column > 0] == table["chrom"].map(part_of)[column > 0]).all()
        assert (column[table["is_peak"] == 1] > 0).all()
        written = pd.read_csv(out / f"negatives_fold_{number}.bed", sep="\t", header=None)
        assert len(written) == ((column > 0) & (table["is_peak"] == 0)).sum()
        assert written.shape[1] == 10
        assert set(written[9]) == {1057}


def test_a_peak_on_the_blacklist_is_left_out(prepared, raw):
    out, about = prepared
    _, start, *_ = (raw / "blacklist.bed").read_text().split("\t")
    table = prepared_folder.read_regions(out / prepared_folder.REGIONS)
    near = table[(table["chrom"] == "chr2") & (abs(table["centre"] - int(start)) < 1057)]
    assert near.empty
    assert about["regions"]["n_peaks_read"] == about["regions"]["n_peaks"] + 1


def test_preparing_again_does_nothing_and_a_stopped_one_goes_on(raw, tmp_path, monkeypatch):
    out, steps = tmp_path / "data", []

    def stop(*words):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(prepare, "_make_windows", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare.prepare(simulate.inputs(raw), out)
    with pytest.raises(BadInput, match="not a prepared folder"):
        task.load(out)
    with monkeypatch.context() as patched:
        patched.setattr(prepare, "_make_signal", stop)  # what was done is not done again
        patched.setattr(prepare, "_make_regions", stop)
        about = prepare.prepare(simulate.inputs(raw), out)
    assert len(task.load(out)) == about["regions"]["n_windows"]
    assert prepare.prepare(simulate.inputs(raw), out, on_step=lambda what, share: steps.append(what)) == about
    assert steps == ["everything is prepared already"]


def test_a_damaged_folder_is_prepared_anew_another_left_alone(raw, tmp_path):
    """A folder prepared from other inputs is left alone."""
    out = tmp_path / "data"
    about = prepare.prepare(simulate.inputs(raw), out)
    whole = {name: (out / name).read_bytes() for name in prepared_folder.WINDOWS}
    with pytest.raises(BadInput, match=r"--out: .* was prepared from other files or with other options"):
        prepare.prepare(dataclasses.replace(simulate.inputs(raw), exclude=("chr1",)), out)
    assert prepared_folder.read_about(out) == about
    assert not (out / "work").exists()
    for damage in ('{"format": 1, "or', "", "{}", "[1]"):
        (out / prepared_folder.ABOUT).write_text(damage)
        (out / "windows" / "codes.npy").write_bytes(b"abc")
        assert prepare.prepare(simulate.inputs(raw), out) == about
        assert {name: (out / name).read_bytes() for name in prepared_folder.WINDOWS} == whole
    (out / "windows" / "codes.npy").write_bytes(b"abc")
    prepare.prepare(simulate.inputs(raw), out)
    assert {name: (out / name).read_bytes() for name in prepared_folder.WINDOWS} == whole
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="is a file; name a folder"):
        prepare.prepare(simulate.inputs(raw), tmp_path / "file")


def test_a_signal_made_elsewhere_serves_as_well(prepared, raw, tmp_path):
    out, _ = prepared
    given = simulate.inputs(raw)
    given = prepare.Inputs(
        given.genome, given.peaks, signal=out / "signal.bw", blacklist=given.blacklist, folds=given.folds
    )
    prepare.prepare(given, tmp_path / "again")
    for name in ("codes", "profile"):
        ours, theirs = (np.load(folder / "windows" / f"{name}.npy") for folder in (tmp_path / "again", out))
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.timeout(20)
def test_gaps_of_the_genome_are_no_background_to_wait_for():
    """Windows of 0 or 100 % GC cannot be stepped to; a search that counts on them would not end."""
    fold = {"train": ["a"], "valid": ["b"], "test": ["c"]}

    def chosen(peak_gc, gcs):
        peaks = pd.DataFrame({"chrom": ["a"], "gc": [peak_gc]})
        return regions.choose_negatives(peaks, pd.DataFrame({"chrom": ["a"] * len(gcs), "gc": gcs}), fold, [])[
            "gc"
        ].tolist()

    assert chosen(40, [40, 0]) == [40]
    assert chosen(40, [100, 38, 0]) == [38]
    assert chosen(40, [0]) == []
    assert chosen(0, [0, 0, 0]) == [0] * regions.PER_TRAINING_PEAK
    assert chosen(0, []) == []


def small_signal(path, values, sizes=None):
    pybigtools.open(str(path), "w").write(sizes or {"chr1": 4000}, iter(values))
    return path


@pytest.mark.parametrize(
    ("values", "sizes", "says"),
    [
        ([("chr1", 5, 6, 1.0)], {"chr1": 5000}, "has 5,000 bp of chr1, the genome 4,000"),
        ([("chr1", 5, 6, -2.0)], None, "has -2 on chr1"),
        ([("chr1", 5, 6, float("inf"))], None, "has inf on chr1"),
        ([("chr1", 5, 6, 1e30)], None, "below 2**32"),
        ([("chr1", 5, 6, 0.0)], None, "has no insertion"),
        ([("1", 5, 6, 1.0)], {"1": 4000}, "name no chromosome alike"),
    ],
    ids=["another size", "negative", "endless", "huge", "all zero", "other names"],
)
def test_a_signal_that_is_no_count_of_cuts_is_refused(tmp_path, values, sizes, says):
    genome = opened(small_genome(tmp_path, chr1="ACGT" * 1000), tmp_path)
    path = small_signal(tmp_path / "s.bw", values, sizes)
    with pytest.raises(BadInput) as caught:
        bigwig.Signal(path, genome).count_type(["chr1"])
    assert says in str(caught.value)


def test_a_damaged_signal_is_refused_quietly(tmp_path, capfd):
    genome = opened(small_genome(tmp_path, chr1="ACGT" * 1000), tmp_path)
    path = small_signal(tmp_path / "s.bw", [("chr1", i, i + 1, float(i % 7)) for i in range(0, 4000, 2)])
    whole = path.read_bytes()
    assert bigwig.Signal(path, genome).values("chr1")[:7].tolist() == [0, 0, 2, 0, 4, 0, 6]
    at = whole.index(b"\x78\x9c")  # the first packed block of values
    path.write_bytes(whole[: at + 20] + bytes(200) + whole[at + 220 :])
    with pytest.raises(BadInput, match="is damaged: chr1 cannot be read"):
        bigwig.Signal(path, genome).values("chr1")
    path.write_bytes(whole[:100])
    with pytest.raises(BadInput, match="not a bigWig file"):
        bigwig.Signal(path, genome)
    assert capfd.readouterr() == ("", "")


def test_without_a_peak_left_it_stops(raw, tmp_path):
    with (tmp_path / "all.bed").open("w") as file:
        file.writelines(f"chr{i + 1}\t0\t{simulate.CHROM_BP}\n" for i in range(simulate.N_CHROMOSOMES))
    given = dataclasses.replace(simulate.inputs(raw), blacklist=tmp_path / "all.bed")
    with pytest.raises(BadInput, match=r"No peak of .* is left"):
        prepare.prepare(given, tmp_path / "out")


def test_a_bigwig_without_a_chromosome_is_refused(raw, tmp_path):
    pybigtools.open(str(tmp_path / "s.bw"), "w").write({"chr1": simulate.CHROM_BP}, iter([("chr1", 5, 6, 1.0)]))
    given = prepare.Inputs(raw / "genome.fa", raw / "peaks.narrowPeak", signal=tmp_path / "s.bw")
    with pytest.raises(BadInput, match=r"has no chromosome 'chr2'.*--exclude chr2"):
        prepare.prepare(given, tmp_path / "out")
    (tmp_path / "no.bw").write_text("no bigWig")
    given = prepare.Inputs(raw / "genome.fa", raw / "peaks.narrowPeak", signal=tmp_path / "no.bw")
    with pytest.raises(BadInput, match="not a bigWig file"):
        prepare.prepare(given, tmp_path / "out2")


def test_an_empty_split_is_refused(raw, tmp_path):
    fold = {"train": ["chr1", "chr2"], "valid": ["chr3"], "test": ["chr9"]}
    (tmp_path / "f.json").write_text(json.dumps(fold))
    given = prepare.Inputs(
        raw / "genome.fa", raw / "peaks.narrowPeak", reads=(raw / "fragments.tsv.gz",), folds=(tmp_path / "f.json",)
    )
    with pytest.raises(BadInput, match="fold 0 has 'chr9' in its part 'test'"):
        prepare.prepare(given, tmp_path / "out")


# the command line


def invoke(*words):
    return CliRunner().invoke(app, ["prepare", *map(str, words)])


def test_the_command_prepares_and_says_what_it_did(raw, tmp_path):
    words = ["--genome", raw / "genome.fa", "--reads", raw / "fragments.tsv.gz", "--peaks", raw / "peaks.narrowPeak"]
    done = invoke(*words, "--n-folds", 4, "--exclude", "chr8", "--out", tmp_path / "data")
    assert done.exit_code == 0, done.stderr
    assert "shifted by +0/+0" in done.stdout
    data = task.load(tmp_path / "data")
    assert "chr8" not in set(data.meta["chrom"])
    assert len(list(task.splits(data.meta))) == 4
    assert data.origin == "measured"
    assert isinstance(data.codes, np.memmap)


def test_a_folder_is_prepared_by_one_command_at_a_time(raw, tmp_path):
    given = ["--genome", raw / "genome.fa", "--reads", raw / "fragments.tsv.gz", "--peaks", raw / "peaks.narrowPeak"]
    with TrainingLocks() as another:
        assert another.take(tmp_path / ".data.preparing")
        done = invoke(*given, "--out", tmp_path / "data")
    assert done.exit_code == 2
    assert "being prepared by another command" in done.stderr
    assert not (tmp_path / "data").exists()
    assert invoke(*given, "--out", tmp_path / "data", "--folds", raw / "folds.json").exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_chromosome_may_be_named_like_a_missing_value(raw, tmp_path):
    for name in ("genome.fa", "peaks.narrowPeak", "folds.json"):
        (tmp_path / name).write_text((raw / name).read_text().replace("chr3", "NA"))
    reads_of = gzip.decompress((raw / "fragments.tsv.gz").read_bytes()).decode().replace("chr3", "NA")
    (tmp_path / "r.tsv").write_text(reads_of)
    given = prepare.Inputs(
        tmp_path / "genome.fa", tmp_path / "peaks.narrowPeak", (tmp_path / "r.tsv",), folds=(tmp_path / "folds.json",)
    )
    about = prepare.prepare(given, tmp_path / "data")
    chroms = prepared_folder.read_regions(tmp_path / "data" / prepared_folder.REGIONS)["chrom"]
    assert about["regions"]["n_peaks"] == simulate.N_CHROMOSOMES * simulate.SITES_PER_CHROMOSOME + 1
    assert (chroms == "NA").sum() > simulate.SITES_PER_CHROMOSOME


def test_simulated_files_stay_simulated(tmp_path):
    assert invoke("--simulate", "--out", tmp_path / "s").exit_code == 0
    assert task.load(tmp_path / "s").origin == "simulated"
    assert "Origin: **simulated**" in (tmp_path / "s" / "README.md").read_text()
    assert invoke("--simulate", "--out", tmp_path / "s").exit_code == 0
    other = invoke("--simulate", "--seed", "7", "--out", tmp_path / "s")
    assert other.exit_code == 2
    assert "holds a simulation of" in other.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "--genome FASTA and --peaks"),
        (["--task", "yeast"], "only atac is prepared"),
        (["--simulate", "--blacklist", "b.bed"], "leave those options out"),
        (["--tasteless", "--genome", "g.fa", "--peaks", "p", "--reads", "r"], "--tasteless needs --simulate"),
        (["--genome", "g.fa", "--peaks", "p", "--reads", "r", "--shift", "4,500"], "at most 100 bp"),
        (["--genome", "g.fa", "--peaks", "p"], "One of --reads"),
        (["--genome", "g.fa", "--peaks", "p", "--reads", "r", "--shift", "4"], "--shift expects"),
        (["--genome", "g.fa", "--peaks", "p", "--reads", "r", "--format", "wig"], "--format"),
        (["--genome", "g.fa", "--peaks", "p", "--reads", "r"], "--genome: no file"),
    ],
)
def test_wrong_words_are_one_sentence(tmp_path, words, says):
    done = invoke(*words, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_something_else_is_left_alone(raw, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    given = ["--genome", raw / "genome.fa", "--reads", raw / "fragments.tsv.gz", "--peaks", raw / "peaks.narrowPeak"]
    for words in (given, ["--simulate"]):
        done = invoke(*words, "--out", tmp_path / "mine")
        assert done.exit_code == 2
        assert "something else" in done.stderr
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


# real data


def test_yeast_atac_reads_as_its_readme_says(real_data, tmp_path):
    names = ("sacCer3.fa.gz", "yeast_500k_SRR1822137.bedpe.gz", "yeast_500k_hmmratac.narrowPeak.gz")
    fasta, fragments, peaks = (real_data(f"atac/{name}") for name in names)
    given = prepare.Inputs(fasta, peaks, reads=(fragments,), exclude=("chrM", "chrXII"), deduplicate=True)
    about = prepare.prepare(given, tmp_path / "yeast")
    assert about["signal"]["n_cuts"] == 2 * 265_935
    assert about["signal"]["shift"] == [0, 0]
    assert about["signal"]["likeness"] > 0.9
    assert about["regions"]["n_peaks_read"] == 1_605
    data = task.load(tmp_path / "yeast")
    assert {"chrM", "chrXII"}.isdisjoint(data.meta["chrom"])


def test_the_deep_regions_are_unshifted_too(real_data, tmp_path):
    genome = opened(real_data("atac/sacCer3.fa.gz"), tmp_path)
    ends = reads.read(Path(real_data("atac/yeast_deep_regions_fragments.bed.gz")), genome)
    found = shift.detect_shift(ends, genome)
    assert (found.plus, found.minus) == (0, 0)
    assert ends.n_insertions() == 2 * 44_540


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("chr1\t5000\t1\t1\t50\t1", "is damaged"),
        ("chr1\t-5\t1\t1\t50" + "\t1" * 4, "column 'centre' must hold whole numbers"),
        ("chr1\t5000\t2\t1\t50" + "\t1" * 4, "column 'is_peak' must hold whole numbers from 0 to 1"),
        ("chr1\t5000\t1\t1\t50" + "\t9" * 4, "column 'fold_0' must hold whole numbers from 0 to 3"),
        ("chr1\tx\t1\t1\t50" + "\t1" * 4, "column 'centre' must hold"),
    ],
)
def test_a_damaged_table_of_windows_is_one_sentence(line, says, prepared, tmp_path):
    text = (prepared[0] / prepared_folder.REGIONS).read_text()
    (tmp_path / "r.tsv").write_text(f"{text}{line}\n")
    if says == "is damaged":
        (tmp_path / "r.tsv").write_bytes(b"\xff\xfe" + text.encode())
    with pytest.raises(BadInput, match=says):
        prepared_folder.read_regions(tmp_path / "r.tsv")


def test_a_bigwig_that_makes_the_library_panic_is_refused(raw, genome, tmp_path):
    sizes = {"chr1": genome.sizes["chr1"]}
    pybigtools.open(str(tmp_path / "s.bw"), "w").write(sizes, iter([("chr1", 5, 6, 1.0)]))
    content = bytearray((tmp_path / "s.bw").read_bytes())
    at = int.from_bytes(content[8:16], "little")  # where the tree of chromosomes begins
    content[at + 12 : at + 16] = (524_288).to_bytes(4, "little")  # bytes of a value in it
    (tmp_path / "s.bw").write_bytes(content)
    with pytest.raises(BadInput, match="is not a bigWig file that can be read"):
        bigwig.Signal(tmp_path / "s.bw", genome)


def test_a_genome_with_bytes_that_are_no_letters_is_refused(tmp_path):
    """The index counts what is printed; reading ends at a NUL."""
    (tmp_path / "g.fa").write_bytes(b">chr1\nACGT\0\0\0\0ACGT\n")
    with pytest.raises(BadInput, match="8 bases of chr1 are announced by its lines, 4 can be read"):
        opened(tmp_path / "g.fa", tmp_path).codes("chr1")
