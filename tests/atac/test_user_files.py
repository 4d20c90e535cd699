"""ATAC files as users bring them: read right, or refused with the true reason.

What must come out is counted here from the fragments alone: an unshifted fragment has an insertion 4 bp right of its
start and 5 bp left of its end (exclusive).
"""

import gzip
import hashlib
import json
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.api.genome import Genome
from benchmarks.atac import bigwig, insertions, peaks, prepared, regions, signal_check, task
from benchmarks.atac.alignments import Filters
from benchmarks.atac.insertions import ReadOptions
from benchmarks.cli.main import app
from benchmarks.errors import BadInput

pysam = pytest.importorskip("pysam")
pybigtools = pytest.importorskip("pybigtools")

CHROMS = ("chr1", "chr2", "chr3", "chr4")
SIZE, N_CENTRES = 60_000, 3_000
READ_BP = 36


@dataclass
class Lab:
    folder: Path
    text: dict[str, str]
    fragments: list[tuple[str, int, int]]
    peaks: list[tuple]
    genome: Genome


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A genome into which an enzyme with a palindromic sequence bias inserts, its fragments and peaks."""
    folder = tmp_path_factory.mktemp("lab")
    rng = np.random.default_rng(11)
    drawn = rng.normal(0, 0.5, (13, 4))
    bias = drawn + drawn[::-1, ::-1]  # columns A, C, G, T: reversed, they are those of the other strand
    text, fragments = {}, []
    for chrom in CHROMS:
        bases = rng.integers(0, 4, SIZE)
        text[chrom] = "".join("ACGT"[i] for i in bases)
        score = sum(np.roll(bias[i][bases], 6 - i) for i in range(13))
        score[:500] = score[-500:] = -50
        centres = np.sort(rng.choice(SIZE, N_CENTRES, p=np.exp(score) / np.exp(score).sum()))
        for i in range(N_CENTRES - 30):
            j = i + int(rng.integers(2, 24))
            fragments.append((chrom, int(centres[i]) - 4, int(centres[j]) + 5))
    summits = [(chrom, at) for chrom in CHROMS for at in range(4_000, 56_000, 6_000)]
    rows = [(c, at - 150, at + 160, f"p{at}", 0, ".", 1.5, 2.5, 3.5, 150) for c, at in summits]
    (folder / "genome.fa").write_text("".join(f">{chrom}\n{bases}\n" for chrom, bases in text.items()))
    made = Lab(folder, text, fragments, rows, Genome(folder / "genome.fa", folder))
    write(folder / "peaks.narrowPeak", rows)
    write(folder / "fragments.bed", fragments)
    return made


def write(path, rows, *, sep="\t", head="", end="\n"):
    path.write_text(head + "".join(sep.join(map(str, row)) + end for row in rows))
    return path


def reads_of(start, end, length=READ_BP):
    length = min(length, end - start)
    return (start, start + length), (end - length, end)


def tagalign(fragments, *, length=READ_BP, name="N"):
    rows = []
    for chrom, start, end in fragments:
        plus, minus = reads_of(start, end, length)
        rows += [(chrom, *plus, name, 1000, "+"), (chrom, *minus, name, 1000, "-")]
    return rows


def both_ends(fragments):
    return Counter((chrom, at) for chrom, start, end in fragments for at in (start + 4, end - 5))


def read(lab, tmp_path, *paths, **options):
    """Return insertions per base as the bigWig has them, and the accounts."""
    options = ReadOptions(**options)
    _, accounts = insertions.write_signal(paths, lab.genome, options, tmp_path / "x.bw", lambda *words: None)
    file, found = pybigtools.open(str(tmp_path / "x.bw")), Counter()
    for chrom, size in file.chroms().items():
        values = file.values(chrom, 0, size, fillna=0)
        found.update({(chrom, int(at)): int(values[at]) for at in np.flatnonzero(values)})
    return found, accounts


def sentences(accounts):
    return "\n".join(sentence for account in accounts for sentence in account.sentences())


def refused(lab, tmp_path, *paths, **options):
    with pytest.raises(BadInput) as caught:
        read(lab, tmp_path, *paths, **options)
    return str(caught.value)


# what a text of reads is


@pytest.mark.parametrize("strand", ["both", "+", "."])
def test_whole_fragments_in_six_columns_have_two_ends(lab, tmp_path, strand):
    rng = np.random.default_rng(0)
    strands = rng.choice(["+", "-"], len(lab.fragments)) if strand == "both" else [strand] * len(lab.fragments)
    path = write(tmp_path / "r.bed", [(*f, "N", 60, s) for f, s in zip(lab.fragments, strands, strict=True)])
    found, accounts = read(lab, tmp_path, path)
    assert found == both_ends(lab.fragments)
    assert "was read as fragments (6 columns" in sentences(accounts)


@pytest.mark.parametrize("length", [READ_BP, 75, 150, 300])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_reads_have_one_end_however_long_they_are(lab, tmp_path, length, is_sorted):
    """Of long reads many span their whole fragment, from either side."""
    rows = tagalign(lab.fragments, length=length)
    found, accounts = read(lab, tmp_path, write(tmp_path / "r.bed", sorted(rows) if is_sorted else rows))
    assert found == both_ends(lab.fragments)
    assert "was read as tagalign" in sentences(accounts)


def test_what_may_be_reads_or_fragments_is_asked_for(lab, tmp_path):
    rng = np.random.default_rng(0)
    starts = rng.integers(1_000, 50_000, 2_000)
    ends = starts + np.where(rng.random(2_000) < 0.25, 100, rng.integers(30, 100, 2_000))
    rows = [("chr1", s, e, "N", 9, x) for s, e, x in zip(starts, ends, rng.choice(["+", "-"], 2_000), strict=True)]
    says = refused(lab, tmp_path, write(tmp_path / "r.bed", rows))
    assert "--format tagalign" in says
    assert "--format fragments" in says


def test_intervals_of_one_base_are_insertions(lab, tmp_path):
    expected = both_ends(lab.fragments)
    path = write(tmp_path / "r.bed", sorted((c, at, at + 1) for c, at in expected.elements()))
    found, accounts = read(lab, tmp_path, path)
    assert found == expected
    assert "intervals of one base" in sentences(accounts)
    assert "--shift is that of reads with strands" in refused(lab, tmp_path, path, shift=(0, 0))
    assert "fragments have two ends" in refused(lab, tmp_path, path, form="fragments")


def test_bases_of_one_strand_are_shifted_as_reads_are(lab, tmp_path):
    rows = [row for c, s, e in lab.fragments for row in ((c, s, s + 1, "N", 0, "+"), (c, e - 1, e, "N", 0, "-"))]
    assert read(lab, tmp_path, write(tmp_path / "r.bed", rows))[0] == both_ends(lab.fragments)
    rows = [(c, s + 4, s + 5, "N", 0, "+") for c, s, _ in lab.fragments]
    rows += [(c, e - 5, e - 4, "N", 0, "-") for c, _, e in lab.fragments]
    assert read(lab, tmp_path, write(tmp_path / "r.bed", rows))[0] == both_ends(lab.fragments)


def test_insertions_beside_the_middle_are_refused(lab, tmp_path):
    moved = sorted((c, at + 5, at + 6) for c, at in both_ends(lab.fragments).elements())
    assert "5 bp right of the middle" in refused(lab, tmp_path, write(tmp_path / "r.bed", moved))
    ends = sorted((c, at, at + 1) for c, s, e in lab.fragments for at in (s, e - 1))
    says = refused(lab, tmp_path, write(tmp_path / "r.bed", ends))
    assert "5' ends of both strands that were not shifted" in says
    found, _ = read(lab, tmp_path, tmp_path / "r.bed", form="insertions")
    assert found == Counter((c, at) for c, at, _ in ends)


@pytest.mark.parametrize(
    ("columns", "says"), [(3, "no strands in column 6"), (5, "no strands in column 6")], ids=["three", "five"]
)
def test_reads_without_strands_are_refused(lab, tmp_path, columns, says):
    path = write(tmp_path / "r.bed", [row[:columns] for row in tagalign(lab.fragments)])
    assert says in refused(lab, tmp_path, path)


def test_a_file_of_two_kinds_is_refused(lab, tmp_path):
    n = len(lab.fragments)
    assert n > 11_000
    rows = [*lab.fragments[:10_500], *[row[:3] for row in tagalign(lab.fragments) * 2]]
    assert "its first 10,000 lines look like fragments" in refused(lab, tmp_path, write(tmp_path / "r.bed", rows))
    late = [(*f, "N", 9, "+-"[i % 2]) for i, f in enumerate(lab.fragments)]
    path = write(tmp_path / "s.bed", [*tagalign(lab.fragments[:5_500]), *late])
    assert "its first 10,000 lines look like reads of up to 36 bp" in refused(lab, tmp_path, path)
    cuts = sorted((c, at, at + 1) for c, at in both_ends(lab.fragments).elements())
    assert "1 of " in refused(lab, tmp_path, write(tmp_path / "t.bed", [*cuts, ("chr1", 900, 960)]))


@pytest.mark.parametrize("share", [1.0, 0.05])
def test_a_hash_inside_a_line_is_part_of_a_name(lab, tmp_path, share):
    rows = tagalign(lab.fragments)
    rows = [(*r[:3], f"L3:{i}#TT/1" if i >= (1 - share) * len(rows) else "N", *r[4:]) for i, r in enumerate(rows)]
    assert read(lab, tmp_path, write(tmp_path / "r.tagAlign", rows, head="# made by hand\n"))[0] == both_ends(
        lab.fragments
    )


def test_comments_and_blank_lines_lie_anywhere(lab, tmp_path):
    lines = ["\t".join(map(str, f)) for f in lab.fragments]
    for at, line in ((9_000, "# a comment"), (5_000, ""), (4_000, "   ")):
        lines.insert(at, line)
    path = tmp_path / "r.bed"
    path.write_text("\n".join(lines))
    assert read(lab, tmp_path, path)[0] == both_ends(lab.fragments)
    lines.insert(9_500, "chr1\tfive\t90")
    path.write_text("\n".join(lines))
    assert "line 9501, column 2" in refused(lab, tmp_path, path)


@pytest.mark.parametrize("how", ["blanks", "CRLF", "header", "UTF-16", "byte order mark", "gzip", "numbers"])
def test_a_text_is_read_however_it_is_written(lab, tmp_path, how):
    path, fragments = tmp_path / "r.bed", lab.fragments
    if how == "numbers":
        fragments = [*fragments, ("chr1", 20_000, 20_100)]
        write(path, [*lab.fragments, ("chr1", "2e+04", 20_100)])  # as R writes it
    else:
        looks = {"blanks": {"sep": " "}, "CRLF": {"end": "\r\n"}, "header": {"head": "chrom\tstart\tend\n"}}
        write(path, fragments, **looks.get(how, {}))
    if how in ("UTF-16", "byte order mark"):
        path.write_text(path.read_text(), encoding="utf-16" if how == "UTF-16" else "utf-8-sig")
    elif how == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert read(lab, tmp_path, path)[0] == both_ends(fragments)


def test_names_of_chromosomes_stay_as_they_are(lab, tmp_path):
    """Numbers, a '#', a ':' in a name; none of them is read as anything else."""
    for name in ("01", "1", "S288C#1#chr1", "HLA-A*01:01", "NA"):
        (tmp_path / "g.fa").write_text("".join(f">{name if c == 'chr1' else c}\n{t}\n" for c, t in lab.text.items()))
        named = [(name if f[0] == "chr1" else f[0], *f[1:]) for f in lab.fragments]
        other = Lab(tmp_path, {}, [], [], Genome(tmp_path / "g.fa", tmp_path))
        assert read(other, tmp_path, write(tmp_path / "r.bed", named))[0] == both_ends(named)


@pytest.mark.parametrize(("every", "is_read"), [(3_000, True), (4, False)])
def test_reads_without_a_strand_are_counted(lab, tmp_path, every, is_read):
    rows = tagalign(lab.fragments)
    rows = [(*row[:5], "." if i % every == 1 else row[5]) for i, row in enumerate(rows)]
    path, n = write(tmp_path / "r.tagAlign", rows), sum(row[5] == "." for row in rows)
    says = sentences(read(lab, tmp_path, path)[1]) if is_read else refused(lab, tmp_path, path)
    assert f"{n:,} " in says
    assert "without a strand (first: line 2," in says


def bedpe(fragment, *, without=None):
    chrom, start, end = fragment
    first, second = ((chrom, *read) for read in reads_of(start, end))
    first = (".", -1, -1) if without == 1 else first
    second = (".", -1, -1) if without == 2 else second
    return (*first, *second, "q", 60, "." if without == 1 else "+", "." if without == 2 else "-")


@pytest.mark.parametrize("without", [1, 2])
def test_mates_that_are_not_aligned_are_counted(lab, tmp_path, without):
    rows = [bedpe(f, without=without if i < 50 else None) for i, f in enumerate(lab.fragments)]
    found, accounts = read(lab, tmp_path, write(tmp_path / "r.bedpe", rows))
    lost = Counter((c, s + 4 if without == 1 else e - 5) for c, s, e in lab.fragments[:50])
    assert found == both_ends(lab.fragments) - lost
    assert "50 reads left out: mates that are not aligned (first: line 1)" in sentences(accounts)


def test_bedpe_without_strands_is_refused(lab, tmp_path):
    path = write(tmp_path / "r.bedpe", [bedpe(f)[:6] for f in lab.fragments])
    assert "no strands in columns 9 and 10" in refused(lab, tmp_path, path)


def test_fragments_count_once_whatever_column_5_says(lab, tmp_path):
    rows = [(c, s + 4, e - 5, "ACGT-1", 3) for c, s, e in lab.fragments]
    kept = [f for f, row in zip(lab.fragments, rows, strict=True) if row[2] > row[1]]
    found, accounts = read(lab, tmp_path, write(tmp_path / "f.tsv", rows, head="# id=x\n"))
    assert found == both_ends(kept)
    assert "A fragment counts once" in sentences(accounts)
    assert "shifted by +4/-5" in sentences(accounts)


# what cannot be used


def test_rows_off_the_end_are_few_or_another_assembly(lab, tmp_path):
    off = ("chr2", SIZE - 20, SIZE + 12)
    found, accounts = read(lab, tmp_path, write(tmp_path / "r.bed", [*lab.fragments, off, ("chr1", -5, 80)]))
    assert found == both_ends(lab.fragments)
    line = len(lab.fragments) + 1
    assert f"2 fragments left out: beyond the end of their chromosome (first: line {line}, chr2" in sentences(accounts)
    says = refused(lab, tmp_path, write(tmp_path / "r.bed", [*lab.fragments, *[off] * 500]))
    assert "500 of " in says
    assert "chr2 has 60,000 bp in the genome" in says
    found, accounts = read(lab, tmp_path, tmp_path / "r.bed", exclude=("chr2",))
    assert found == both_ends([f for f in lab.fragments if f[0] != "chr2"])
    n_excluded = sum(f[0] == "chr2" for f in lab.fragments) + 500
    assert f"{n_excluded:,} rows left out: on chromosomes of --exclude" in sentences(accounts)


def test_fragments_without_a_length_are_no_other_assembly(lab, tmp_path):
    short = ("chr3", 900, 900)
    rows = [*lab.fragments[:100], short, ("chr3", 950, 940), *lab.fragments[100:]]
    found, accounts = read(lab, tmp_path, write(tmp_path / "r.bed", rows))
    assert found == both_ends(lab.fragments)
    assert "2 fragments left out: their end is not beyond their start (first: line 101, chr3:900-900)" in sentences(
        accounts
    )
    swapped = write(tmp_path / "s.bed", [(c, e, s) for c, s, e in lab.fragments])
    assert "must be start and end" in refused(lab, tmp_path, swapped)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("peaks", "columns of peaks"),
        ("bedGraph", "looks like a bedGraph"),
        ("counts", "looks like a bedGraph"),
        ("commas", "separated by commas"),
        ("SAM lines", "SAM file without its header"),
    ],
)
def test_other_tables_are_no_reads(lab, tmp_path, rows, says):
    counts = sorted(both_ends(lab.fragments).items())
    made = {
        "peaks": lab.peaks * 5,
        "bedGraph": [("chr1", at, at + 10, at % 7) for at in range(0, 50_000, 10)],
        "counts": [(c, at, at + 1, n) for (c, at), n in counts],
        "commas": lab.fragments,
        "SAM lines": [(f"q{s}", 0, c, s, 40, "36M", "*", 0, 0, "A" * 36, "I" * 36) for c, s, _ in lab.fragments],
    }
    path = write(tmp_path / "r.bed", made[rows], sep="," if rows == "commas" else "\t")
    assert says in refused(lab, tmp_path, path)


# what a file is, whatever its name says


@pytest.mark.parametrize("name", ["reads", "reads.bed", "reads.sam", "reads.cram", "reads.sam.gz"])
def test_alignments_are_told_by_their_first_bytes(lab, tmp_path, name):
    alignments(lab, tmp_path / "plain.bam")
    if name in ("reads", "reads.bed"):
        (tmp_path / "plain.bam").rename(tmp_path / name)
    elif name == "reads.cram":
        words = ("-C", "-T", str(lab.folder / "genome.fa"), "-o", str(tmp_path / name), str(tmp_path / "plain.bam"))
        pysam.view(*words, catch_stdout=False)
    else:
        pysam.view("-h", "-o", str(tmp_path / "r.sam"), str(tmp_path / "plain.bam"), catch_stdout=False)
        text = (tmp_path / "r.sam").read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    before = sorted(path.name for path in lab.folder.iterdir())
    (tmp_path / "work").mkdir()
    lab.genome = Genome(lab.folder / "genome.fa", tmp_path / "work")
    assert read(lab, tmp_path, tmp_path / name)[0] == both_ends(lab.fragments)
    assert sorted(path.name for path in lab.folder.iterdir() if not path.name.endswith(".fai")) == [
        name for name in before if not name.endswith(".fai")
    ]
    assert "--format fragments" in refused(lab, tmp_path, tmp_path / name, form="fragments")


def alignments(lab, path, *, flags=(), sizes=None, change=lambda read, i: None):
    """Write both reads of every fragment; `flags` gives (flag, every n-th fragment): one more read each."""
    sizes = sizes or {chrom: len(text) for chrom, text in lab.text.items()}
    header = {"HD": {"VN": "1.6"}, "SQ": [{"SN": name, "LN": size} for name, size in sizes.items()]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:

        def put(chrom, place, flag, i):
            read = pysam.AlignedSegment(file.header)
            read.query_name, read.flag, read.mapping_quality = f"q{i}", flag, i % 60
            read.reference_id, read.reference_start = CHROMS.index(chrom), place[0]
            read.query_sequence = lab.text[chrom][slice(*place)]
            read.cigartuples = [(0, place[1] - place[0])]
            change(read, i)
            file.write(read)

        for i, (chrom, start, end) in enumerate(lab.fragments):
            plus, minus = reads_of(start, end)
            put(chrom, plus, 99, i)
            put(chrom, minus, 147, i)
            for flag, every in flags:
                if i % every == 0:
                    put(chrom, plus, 99 | flag, i)


def test_flagged_alignments_are_left_out_with_their_number(lab, tmp_path):
    flags = ((1024, 4), (256, 10), (2048, 12), (512, 15))
    alignments(lab, tmp_path / "r.bam", flags=flags)
    found, accounts = read(lab, tmp_path, tmp_path / "r.bam")
    assert found == both_ends(lab.fragments)
    n = len(lab.fragments)
    for (flag, every), what in zip(flags, ("duplicates", "secondary", "supplementary", "quality"), strict=True):
        line = next(line for line in sentences(accounts).splitlines() if f"flag {flag}" in line)
        assert f"{-(-n // every):,} alignments left out" in line
        assert what in line
    found, _ = read(lab, tmp_path, tmp_path / "r.bam", filters=Filters(keep_duplicates=True))
    assert found == both_ends(lab.fragments) + Counter((c, s + 4) for c, s, _ in lab.fragments[::4])


def test_mapping_quality_is_a_limit_of_alignments(lab, tmp_path):
    alignments(lab, tmp_path / "r.bam")
    found, accounts = read(lab, tmp_path, tmp_path / "r.bam", filters=Filters(min_mapq=30))
    kept = [f for i, f in enumerate(lab.fragments) if i % 60 >= 30]
    assert found == both_ends(kept)
    assert f"{2 * (len(lab.fragments) - len(kept)):,} alignments left out: mapping quality below 30" in sentences(
        accounts
    )
    says = refused(lab, tmp_path, lab.folder / "fragments.bed", filters=Filters(min_mapq=30))
    assert "only BAM, CRAM and SAM have mapping qualities" in says


def test_a_read_without_cigar_is_left_out(lab, tmp_path):
    def change(read, i):
        if i == 7:
            read.cigartuples = None

    alignments(lab, tmp_path / "r.bam", change=change)
    found, accounts = read(lab, tmp_path, tmp_path / "r.bam")
    assert found == both_ends(lab.fragments) - both_ends(lab.fragments[7:8])
    assert "2 alignments left out: not said how they are aligned (no CIGAR) (first: read q7)" in sentences(accounts)


def test_alignments_to_another_assembly_are_refused(lab, tmp_path):
    sizes = dict.fromkeys(CHROMS, SIZE) | {"chr3": SIZE + 10}
    alignments(lab, tmp_path / "r.bam", sizes=sizes)
    says = refused(lab, tmp_path, tmp_path / "r.bam")
    assert "another assembly: chr3 has 60,010 bp in its header, 60,000 in the genome" in says
    assert read(lab, tmp_path, tmp_path / "r.bam", exclude=("chr3",))[0] == both_ends(
        [f for f in lab.fragments if f[0] != "chr3"]
    )


def test_a_truncated_cram_is_refused(lab, tmp_path):
    alignments(lab, tmp_path / "r.bam")
    words = ("-C", "-T", str(lab.folder / "genome.fa"), "-o", str(tmp_path / "r.cram"), str(tmp_path / "r.bam"))
    pysam.view(*words, catch_stdout=False)
    whole = (tmp_path / "r.cram").read_bytes()
    (tmp_path / "r.cram").write_bytes(whole[: len(whole) // 2])
    assert "truncated CRAM file" in refused(lab, tmp_path, tmp_path / "r.cram")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>404</html>", "a web page (HTML)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"BZh91AY&SY" + bytes(40), "a bzip2 file (unpack it)"),
        (gzip.compress(gzip.compress(b"chr1\t1\t50\n")), "a gzip file within a gzip file"),
        (b"@q1\nACGT\n+\nIIII\n", "a FASTQ file"),
        (b"\x26\xfc\x8f\x88" + bytes(60), "a bigWig file"),
        (b"\xeb\xf2\x89\x87" + bytes(60), "a bigBed file"),
    ],
    ids=["page", "pointer", "bzip2", "gzip twice", "FASTQ", "bigWig", "bigBed"],
)
def test_files_of_other_kinds_are_named_by_every_reader(lab, tmp_path, content, says):
    path = tmp_path / "file.bed.gz"
    path.write_bytes(content)
    assert says in refused(lab, tmp_path, path)
    for reader in (peaks.read_peaks, peaks.read_blacklist):
        with pytest.raises(BadInput) as caught:
            reader(path, lab.genome)
        assert says in str(caught.value)
    with pytest.raises(BadInput) as caught:
        Genome(path, tmp_path)
    assert says in str(caught.value)


def test_a_zip_archive_is_named(lab, tmp_path):
    with zipfile.ZipFile(tmp_path / "r.bed", "w") as file:
        file.writestr("r.bed", "chr1\t1\t50\n")
    says = refused(lab, tmp_path, tmp_path / "r.bed")
    assert "a zip " in says
    assert "unpack it" in says


# several files, cells, assays


def test_files_are_counted_together_each_with_its_shift(lab, tmp_path):
    alignments(lab, tmp_path / "r.bam")
    moved = [(c, s + 4, e - 5) for c, s, e in lab.fragments if e - s > 9]
    path = write(tmp_path / "corrected.bed", moved)
    found, accounts = read(lab, tmp_path, tmp_path / "r.bam", path)
    assert found == both_ends(lab.fragments) + both_ends([(c, s - 4, e + 5) for c, s, e in moved])
    assert [account.numbers.get("shift") for account in accounts] == [[0, 0], [4, -5], None]
    assert accounts[0].numbers["insertions"] == 2 * len(lab.fragments)
    assert f"{found.total():,} insertions of 2 files together" in sentences(accounts)


def test_duplicates_are_told_and_left_out_on_request(lab, tmp_path):
    path = write(tmp_path / "r.bed", [*lab.fragments, *lab.fragments[:70]])
    n = len(lab.fragments) + 70 - len(set(lab.fragments))
    found, accounts = read(lab, tmp_path, path)
    assert found == both_ends([*lab.fragments, *lab.fragments[:70]])
    assert accounts[0].numbers["duplicates"] == n
    found, accounts = read(lab, tmp_path, path, deduplicate=True)
    assert found == both_ends(set(lab.fragments))
    assert f"{n:,} fragments left out: the same start and end as another" in sentences(accounts)


def test_barcodes_choose_cells(lab, tmp_path):
    cells = [f"C{i % 7}-1" for i in range(len(lab.fragments))]
    path = write(tmp_path / "f.tsv", [(*f, cell, 2) for f, cell in zip(lab.fragments, cells, strict=True)])
    (tmp_path / "cells.txt").write_text('barcode\n"C1-1"\nC3-1\nC3-1\nnobody-1\n')
    chosen = Filters(barcodes=insertions.read_barcodes(tmp_path / "cells.txt"))
    expected = both_ends([f for f, cell in zip(lab.fragments, cells, strict=True) if cell in ("C1-1", "C3-1")])
    found, accounts = read(lab, tmp_path, path, filters=chosen)
    assert found == expected
    assert "2 of the 3 barcodes were found, 1 were not." in sentences(accounts)
    alignments(lab, tmp_path / "r.bam", change=lambda read, i: read.set_tag("CB", f"C{i % 7}-1"))
    assert read(lab, tmp_path, tmp_path / "r.bam", filters=chosen)[0] == expected
    alignments(lab, tmp_path / "u.bam")
    assert "no tag CB in the file" in refused(lab, tmp_path, tmp_path / "u.bam", filters=chosen)
    none = Filters(barcodes=frozenset(["C1"]))
    assert "'C1' in the list, 'C0-1' in the file" in refused(lab, tmp_path, path, filters=none)
    says = refused(lab, tmp_path, write(tmp_path / "r.tagAlign", tagalign(lab.fragments)), filters=chosen)
    assert "barcodes in column 4" in says
    (tmp_path / "cells.txt").write_text("C1-1\tT cell\n")
    with pytest.raises(BadInput, match="line 1: one barcode is expected, got 2 columns"):
        insertions.read_barcodes(tmp_path / "cells.txt")


def test_dnase_counts_the_5_bases_of_reads(lab, tmp_path):
    rng = np.random.default_rng(0)
    starts = rng.integers(1_000, 50_000, 3_000)  # no enzyme's bias at all
    rows = [("chr1", int(s), int(s + n)) for s, n in zip(starts, rng.integers(40, 300, 3_000), strict=True)]
    path = write(tmp_path / "r.bed", rows)
    assert "--shift 0,0" in refused(lab, tmp_path, path)
    found, accounts = read(lab, tmp_path, path, assay="dnase")
    assert found == Counter((c, at) for c, s, e in rows for at in (s, e - 1))
    assert "DNase: the 5' base of a read counts" in sentences(accounts)


# peaks, blacklist, splits


def read_peaks(lab, path, rows, **options):
    return peaks.read_peaks(write(path, rows), lab.genome, **options)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: p[:3], "no summits (BED of 3 columns)"),
        (lambda p: p[:6], "no summits (BED of 6 columns)"),
        (lambda p: p[:9], "no summits (broadPeak)"),
        (lambda p: (p[0], p[1] + 150, p[1] + 151, p[3], 9), "one base, as summits alone"),
        (lambda p: (*p[:6], p[1], p[2], 0, 3, "1,310,1", "0,1,309", 3.0, -1, -1), "column 10 is a number of blocks"),
        (lambda p: (*p[:6], p[1], p[2], 0, 3, "1,310,1", "0,1,309"), "a number of blocks, as in BED12"),
        (lambda p: (*p[:6], p[1] + 1, p[2] - 1, "255,0,0", 3), "columns 7 and 8 are positions within the peak"),
        (lambda p: (*p[:9], -1), "column 10 is -1 in every line"),
        (lambda p: (*p[:9], 0), "column 10 is 0 in every line"),
        (lambda p: (*p[:9], p[1] % 5 + 1), "as a number of blocks"),
        (lambda p: (*p[:9], p[1] + 150), "positions on the chromosome"),
        (lambda p: (*p[:9], 5000), "beyond the end of 36 of the peaks"),
    ],
    ids=["BED3", "BED6", "broad", "summits", "gapped", "BED12", "cut", "-1", "0", "blocks", "absolute", "beyond"],
)
def test_peaks_without_summits_say_why(lab, tmp_path, make, says):
    rows = [make(peak) for peak in lab.peaks]
    with pytest.raises(BadInput) as caught:
        read_peaks(lab, tmp_path / "p.bed", rows)
    assert says in str(caught.value)
    assert "--summits middle" in str(caught.value)
    table, _ = peaks.read_peaks(tmp_path / "p.bed", lab.genome, summits="middle")
    assert table["centre"].tolist() == [(row[1] + row[2]) // 2 for row in rows]


def test_a_table_of_macs_is_no_narrowpeak(lab, tmp_path):
    head = "# made by MACS\n\nchr\tstart\tend\tlength\tabs_summit\tpileup\tlogp\tfold_enrichment\tlogq\tname\n"
    rows = [(p[0], p[1] + 1, p[2], 310, p[1] + 150, 4.0, 2.0, 3.0, 1.0, "n") for p in lab.peaks]
    with pytest.raises(BadInput, match=r"MACS's table \(\.xls\), whose positions are 1-based"):
        peaks.read_peaks(write(tmp_path / "p.xls", rows, head=head), lab.genome)


def test_peaks_that_cannot_be_used_are_counted(lab, tmp_path):
    off = ("chr2", SIZE - 130, SIZE + 21, "last", 80, ".", 4.1, 9.2, 7.7, 75)
    wrong = ("chr1", 500, 400, "x", 0, ".", 1, 2, 3, 10)
    table, account = read_peaks(lab, tmp_path / "p.bed", [*lab.peaks, off, wrong])
    assert len(table) == len(lab.peaks)
    assert [(one.n, one.first.partition(",")[0]) for one in account.left_out] == [(1, "line 38"), (1, "line 37")]
    many = [*lab.peaks, *[off] * 20]
    with pytest.raises(BadInput, match=r"20 of 56 peaks cannot be used: beyond the end.*chr2 has 60,000 bp"):
        read_peaks(lab, tmp_path / "p.bed", many)
    table, _ = read_peaks(lab, tmp_path / "p.bed", many, exclude=("chr2",))
    assert len(table) == sum(peak[0] != "chr2" for peak in lab.peaks)


def test_a_blacklist_is_read_by_the_same_rules(lab, tmp_path):
    rows = [("chr1", at, at + 50) for at in range(0, 5_000, 100)]
    path = write(tmp_path / "b.bed", [*rows, ("chr2", SIZE - 30, SIZE + 90), ("chr1", 60, 60)])
    table, account = peaks.read_blacklist(path, lab.genome)
    assert table.iloc[-1].tolist() == ["chr2", SIZE - 30, SIZE]
    assert [one.n for one in account.left_out] == [1]
    assert "what lies on it is used" in account.sentences()[-1]
    write(path, [*rows, *[("chr2", SIZE, SIZE + 90)] * 20])
    with pytest.raises(BadInput, match="20 of 70 blacklisted regions cannot be used"):
        peaks.read_blacklist(path, lab.genome)
    assert len(peaks.read_blacklist(path, lab.genome, exclude=("chr2",))[0]) == 50


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"train": ["chr1", "CHR2"], "valid": ["chr3"], "test": ["chr4"]}', "'CHR2'.*Did you mean 'chr2'"),
        ('{"train": ["chr1", "2"], "valid": ["chr3"], "test": ["chr4"]}', "'2'.*Did you mean 'chr2'"),
        ('{"train": ["chr1"], "train": ["chr2"], "valid": ["chr3"], "test": ["chr4"]}', "'train' appears twice"),
        ('{"train": ["chr1"], "val": ["chr3"], "test": ["chr4"]}', "got train, val, test"),
    ],
    ids=["spelt otherwise", "without chr", "a key twice", "another key"],
)
def test_splits_that_cannot_be_meant_are_refused(lab, tmp_path, text, says):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(BadInput, match=says):
        fold_windows_of(lab, tmp_path / "f.json")


def fold_windows_of(lab, path):
    from benchmarks.atac import fold_windows

    notes = []
    table, _ = peaks.read_peaks(lab.folder / "peaks.narrowPeak", lab.genome)
    return fold_windows.choose_folds([path], 3, (), lab.genome, table, notes), notes


def test_peaks_in_no_part_of_a_split_are_noted(lab, tmp_path):
    fold = {"train": ["chr1"], "valid": ["chr3"], "test": ["chr4"]}
    (tmp_path / "f.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(fold).encode())
    folds, notes = fold_windows_of(lab, tmp_path / "f.json")
    assert folds == [fold]
    n = sum(peak[0] == "chr2" for peak in lab.peaks)
    assert f"{n} peaks on chr2 are in no part of fold 0, and not used in it." in notes
    assert regions.read_folds([tmp_path / "f.json"]) == [fold]


# signals


def tracks(lab, shift=(4, -5)):
    made = {chrom: np.zeros(SIZE) for chrom in CHROMS}
    for chrom, start, end in lab.fragments:
        made[chrom][start + shift[0]] += 1
        made[chrom][end + shift[1]] += 1
    return made


def signal(lab, path, made):
    def runs():
        for chrom, track in made.items():
            edges = np.r_[0, np.flatnonzero(np.diff(track)) + 1, len(track)]
            for a, b in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                yield chrom, a, b, float(track[a])

    pybigtools.open(str(path), "w").write({chrom: len(track) for chrom, track in made.items()}, runs())
    return bigwig.Signal(path, lab.genome)


def summed(track, width):
    return np.repeat(np.add.reduceat(track, np.arange(0, len(track), width)), width)[: len(track)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t * 14.5, "multiples of 14.5, as of counts that were scaled"),
        (lambda t: t * 2, "multiples of 2: every insertion would count 2 times"),
        (lambda t: np.convolve(t, np.ones(60), "same").round(), "looks like coverage"),
        (lambda t: np.convolve(t, np.ones(9), "same").round(), "looks like coverage"),
        (lambda t: np.convolve(t, np.exp(-(np.linspace(-2, 2, 41) ** 2)), "same"), "looks smoothed or averaged"),
        (lambda t: summed(t, 50), "in steps of 50 bp: it looks binned"),
        (lambda t: np.log2(1 + t), "not whole numbers"),
    ],
    ids=["scaled", "doubled", "coverage", "9 bp each", "smoothed", "binned", "logarithm"],
)
def test_what_is_no_count_of_insertions_is_named(lab, tmp_path, change, says):
    made = {chrom: change(track) for chrom, track in tracks(lab).items()}
    found = signal(lab, tmp_path / "s.bw", made)
    with pytest.raises(BadInput) as caught:
        signal_check.look_at(found, CHROMS, tmp_path / "s.bw")
    assert says in str(caught.value)
    looks, notes = signal_check.look_at(found, CHROMS, tmp_path / "s.bw", as_it_is=True)
    assert says in notes[0]
    assert sum(looks.totals.values()) == pytest.approx(sum(track.sum() for track in made.values()), rel=1e-5)


@pytest.mark.parametrize("depth", [0.1, 1, 30])
def test_counts_of_insertions_are_taken_at_any_depth(lab, tmp_path, depth):
    rng = np.random.default_rng(0)
    made = {chrom: rng.poisson(depth * track).astype(float) for chrom, track in tracks(lab).items()}
    looks, notes = signal_check.look_at(signal(lab, tmp_path / "s.bw", made), CHROMS, tmp_path / "s.bw")
    assert looks.totals == {chrom: track.sum() for chrom, track in made.items()}
    assert notes == []


def test_a_signal_that_was_not_shifted_is_noted(lab, tmp_path):
    right = signal(lab, tmp_path / "s.bw", tracks(lab))
    assert "show Tn5's palindrome" in signal_check.tn5_note(right, CHROMS, lab.genome)
    assert "beside" not in signal_check.tn5_note(right, CHROMS, lab.genome)
    raw = signal(lab, tmp_path / "r.bw", tracks(lab, (0, -1)))
    assert "5' ends that were not shifted" in signal_check.tn5_note(raw, CHROMS, lab.genome)


# the command


def prepare(lab, out, *words, reads="fragments.bed"):
    given = ["--genome", lab.folder / "genome.fa", "--peaks", lab.folder / "peaks.narrowPeak", "--n-folds", 4]
    given += ["--reads", lab.folder / reads] if reads else []
    return CliRunner().invoke(app, ["prepare", *map(str, [*given, *words, "--out", out])])


def test_the_account_is_printed_stored_and_shown_by_a_run(lab, tmp_path):
    done = prepare(lab, tmp_path / "data", "--json")
    assert done.exit_code == 0, done.stderr
    about = json.loads(done.stdout)
    cuts = both_ends(lab.fragments)
    assert [account["file"] for account in about["accounts"]] == ["fragments.bed", "signal.bw", "peaks.narrowPeak"]
    of_chrom = Counter(chrom for chrom, _ in cuts.elements())
    shares = about["accounts"][1]["numbers"]["share_per_chromosome"]
    assert shares == {chrom: pytest.approx(n / cuts.total(), abs=1e-6) for chrom, n in of_chrom.items()}
    inside = sum(n for (c, at), n in cuts.items() if any(c == p[0] and p[1] <= at < p[2] for p in lab.peaks))
    assert about["windows"]["share_of_insertions_in_peaks"] == pytest.approx(inside / cuts.total(), abs=1e-6)
    again = prepare(lab, tmp_path / "data")
    for sentence in ("fragments.bed was read as fragments", "shifted by +0/+0", f"{cuts.total():,} insertions: "):
        assert sentence in again.stdout
        assert sentence in (tmp_path / "data" / "README.md").read_text()
        assert any(sentence in note for note in task.load(tmp_path / "data").notes)


def test_empty_peaks_are_counted(lab, tmp_path):
    first = lab.peaks[0]
    kept = [f for f in lab.fragments if f[0] != first[0] or f[2] < first[1] or f[1] > first[2]]
    done = prepare(lab, tmp_path / "data", "--reads", write(tmp_path / "r.bed", kept), reads=None)
    assert done.exit_code == 0, done.stderr
    assert f"1 peaks have no insertion (first: {first[0]}:{first[1]}-{first[2]})" in done.stdout


def test_a_folder_of_the_first_version_is_read_and_kept(lab, tmp_path):
    assert prepare(lab, tmp_path / "data").exit_code == 0
    about = json.loads((tmp_path / "data" / "prepared.json").read_text())
    del about["accounts"], about["notes_windows"]
    (tmp_path / "data" / "prepared.json").write_text(json.dumps(about))
    assert len(task.load(tmp_path / "data")) == about["regions"]["n_windows"]
    assert prepare(lab, tmp_path / "data").exit_code == 0
    assert "notes_windows" not in json.loads((tmp_path / "data" / "prepared.json").read_text())
    assert prepare(lab, tmp_path / "data", "--min-mapq", 3).exit_code == 2


def test_equal_inputs_have_the_stamp_that_they_always_had(lab, tmp_path):
    """By which a folder of an earlier version is known again; the formula is that of the first version."""
    assert prepare(lab, tmp_path / "data", "--exclude", "chr2", "--shift", "0,0", "--n-folds", "3").exit_code == 0
    named = {"genome": "genome.fa", "peaks": "peaks.narrowPeak", "reads": "fragments.bed"}
    files = {name: (lab.folder / file).resolve() for name, file in named.items()}
    stats = {name: [str(path), path.stat().st_size, path.stat().st_mtime_ns] for name, path in files.items()}
    text = json.dumps([1, stats, [None, 3, [0, 0], ["chr2"], False, "measured"]])
    about = json.loads((tmp_path / "data" / "prepared.json").read_text())
    assert about["stamp"] == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--reads", "fragments.bed"], "is given twice"),
        (["--exclude", "CHR2"], "Did you mean 'chr2'"),
        (["--assay", "atacseq"], "Did you mean 'atac'"),
        (["--summits", "centre"], "Known: column, middle"),
        (["--signal-as-is"], "--signal-as-is needs --signal"),
        (["--barcodes", "peaks.narrowPeak"], "one barcode is expected, got 10 columns"),
    ],
)
def test_wrong_options_are_one_sentence(lab, tmp_path, words, says):
    words = [lab.folder / word if "." in word else word for word in words]
    done = prepare(lab, tmp_path / "data", *words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cut_prepared_folder_is_named_with_its_file(lab, tmp_path):
    assert prepare(lab, tmp_path / "atac" / "mine").exit_code == 0
    assert prepared.damaged(tmp_path / "atac") is None
    file = tmp_path / "atac" / "mine" / "windows" / "codes.npy"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    says = prepared.damaged(tmp_path / "atac")
    assert str(tmp_path / "atac" / "mine") in says
    assert "codes.npy" in says
    file.unlink()
    assert "codes.npy is missing" in prepared.damaged(tmp_path / "atac")
