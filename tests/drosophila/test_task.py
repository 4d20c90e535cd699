"""The STARR-seq task: what is read, what is never parted, what is scored."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api.sequences import decode
from benchmarks.cli.main import app
from benchmarks.drosophila import prepare, simulate
from benchmarks.engine.planning import data_sources
from benchmarks.errors import BadInput

pytestmark = pytest.mark.usefixtures("without_plots")

TASK = registry.get_task("drosophila")
RNG = np.random.default_rng(0)
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def random_sequence(rng=RNG):
    return "".join(rng.choice(list("ACGT"), 249))


def table_of(windows, rng):
    """Make a DREAM table of windows (chrom, start, strands), each with a sequence and values of its own."""
    rows = []
    for chrom, start, strands in windows:
        sequence, dev, hk = random_sequence(rng), rng.normal(), rng.normal()
        for strand in strands:
            text = sequence if strand == "+" else sequence.translate(COMPLEMENT)[::-1]
            name = f"{chrom}_{start}_{start + 248}_{strand}_peak"
            rows.append((chrom, start, start + 248, name, "Train", text, dev, hk))
    columns = ["seqnames", "start", "end", "ID", "set", "Sequence", "Dev_log2_enrichment", "Hk_log2_enrichment"]
    return pd.DataFrame(rows, columns=columns)


def save(table, folder, name="flies.tsv"):
    file = folder / name
    table.to_csv(file, sep="\t", index=False)
    return file


@pytest.fixture(scope="module")
def genome_wide():
    rng = np.random.default_rng(1)
    chroms = [*prepare.CHROMOSOMES, "chr4", "chrXHet"]
    return table_of([(c, 1000 * i + 1, "+-") for c in chroms for i in range(12)], rng)


# Reading


def test_the_dream_layout_is_read(genome_wide, tmp_path):
    data = TASK.load(save(genome_wide.assign(extra=1), tmp_path))
    assert data.name == "flies"
    assert decode(data.codes) == genome_wide["Sequence"].tolist()
    assert np.allclose(data.targets["dev"], genome_wide["Dev_log2_enrichment"])
    assert np.allclose(data.targets["hk"], genome_wide["Hk_log2_enrichment"])
    assert data.meta["is_reverse"].tolist() == [0, 1] * (len(genome_wide) // 2)
    assert data.meta["seq_id"].tolist() == genome_wide["ID"].tolist()
    assert data.origin == "measured"


def write_pairs(table, folder, gz=False):
    """Write DeepSTARR's files: a FASTA with wrapped lower-case lines, and activities with more columns."""
    for name, part in table.groupby("set"):
        text = "".join(f">{r.ID}\n{r.Sequence[:100].lower()}\n{r.Sequence[100:]}\n" for r in part.itertuples())
        activities = (
            part[["Dev_log2_enrichment", "Hk_log2_enrichment"]].assign(Dev_scaled=0).to_csv(sep="\t", index=False)
        )
        for file, content in ((f"Sequences_{name}.fa", text), (f"Sequences_activity_{name}.txt", activities)):
            if gz:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content.encode()))
            else:
                (folder / file).write_text(content)


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("split", prepare.SPLITS)
def test_fasta_pairs_give_the_same_dataset_as_the_table(genome_wide, tmp_path, gz, split):
    table = genome_wide.assign(set=np.where(genome_wide["seqnames"] != "chr2R", "Train",
                                            np.where(genome_wide["start"] < 6000, "Val", "Test")))  # fmt: skip
    order = table.groupby("set").ngroup().sort_values(kind="stable").index  # the order of Test, Train, Val
    expected = TASK.load(save(table.loc[order], tmp_path), split=split)
    (tmp_path / "pairs").mkdir()
    write_pairs(table, tmp_path / "pairs", gz)
    found = TASK.load(tmp_path / "pairs", split=split)
    assert found.name == "S2"
    np.testing.assert_array_equal(found.codes, expected.codes)
    pd.testing.assert_frame_equal(found.meta, expected.meta, check_dtype=False)
    for name in ("dev", "hk"):
        np.testing.assert_allclose(found.targets[name], expected.targets[name])


def test_one_pair_can_be_named_by_either_file(genome_wide, tmp_path):
    write_pairs(genome_wide, tmp_path)
    for name in ("Sequences_Train.fa", "Sequences_activity_Train.txt"):
        assert len(TASK.load(tmp_path / name)) == len(genome_wide)


def test_a_folder_of_tables_is_one_dataset_without_duplicates(genome_wide, tmp_path):
    save(genome_wide.iloc[:100], tmp_path, "train.txt")
    save(genome_wide.iloc[90:], tmp_path, "val.txt")
    (found,) = data_sources.find(TASK, "quick", tmp_path, seed=0)
    assert (found.name, found.n_rows) == ("S2", len(genome_wide))
    assert any("10 exact duplicate rows were collapsed" in note for note in found.dataset.notes)


def changed(table, row, **values):
    table = table.copy().astype(object)
    for column, value in values.items():
        table.loc[row, column] = value
    return table


BAD = {
    "length": (lambda t: changed(t, 3, Sequence="ACGT"), "line 5, sequence: length 249 expected, got 4"),
    "letter": (lambda t: changed(t, 3, Sequence="X" * 249), "line 5, sequence: letter 'X'"),
    "value": (lambda t: changed(t, 3, Hk_log2_enrichment="high"), "line 5, column 'Hk_log2_enrichment'"),
    "position": (lambda t: changed(t, 3, start="1.5"), "line 5, column 'start'"),
    "strand": (lambda t: changed(t, 3, ID="chrX_1_249_peak"), "line 5, column 'ID': no strand"),
    "column": (lambda t: t.drop(columns="Sequence"), "no column of sequences is known by its name"),
    "contradiction": (lambda t: pd.concat([t, changed(t, 3, Dev_log2_enrichment=9.0).loc[[3]]]), "appears again"),
    "empty": (lambda t: t.head(0), "is empty below its header"),
    "constant": (lambda t: t.assign(Dev_log2_enrichment=1.0), "holds one value in every row"),
    "one chromosome": (lambda t: t[t["seqnames"] == "chrX"], "--split position"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_bad_tables_get_one_sentence(what, genome_wide, tmp_path):
    change, says = BAD[what]
    file = save(change(genome_wide), tmp_path)
    words = ["run", "--task", "drosophila", "--data", str(file), "--results", str(tmp_path / "r")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("Sequences_activity_Train.txt", None, "is missing; it holds the activities"),
        ("Sequences_activity_Train.txt", "Dev_log2_enrichment\tHk_log2_enrichment\n1\t2\n", "must be equal in number"),
        ("Sequences_activity_Train.txt", "Dev\tHk\n1\t2\n", "column 'Dev_log2_enrichment' is missing"),
        ("Sequences_Train.fa", "ACGT\n", "line 1: a FASTA header (>) was expected"),
        ("Sequences_Train.fa", "\n", "has no record"),
    ],
)
def test_bad_pairs_get_one_sentence(file, content, says, genome_wide, tmp_path):
    write_pairs(genome_wide, tmp_path)
    (tmp_path / file).unlink() if content is None else (tmp_path / file).write_text(content)
    with pytest.raises(BadInput, match=says.replace("(>)", r"\(>\)")):
        TASK.load(tmp_path)


# What is held out


def check_splits(data, kind):
    """No locus, and no equal sequence inside a chromosome's rest, crosses; folds disjoint; what must be whole is."""
    meta, found = data.meta, list(TASK.splits(data.meta))
    locus = list(zip(meta["chrom"], meta["start"], meta["end"], strict=True))
    seen = set()
    for split in found:
        parts = {"train": split.train, "val": split.val, "test": split.test}
        sets = {name: set(rows.tolist()) for name, rows in parts.items()}
        assert all(sets.values()) or kind != "position"
        assert not (sets["train"] & sets["val"])
        assert not (sets["train"] & sets["test"])
        assert not (sets["val"] & sets["test"])
        loci = {name: {locus[row] for row in rows} for name, rows in sets.items()}
        assert not (loci["train"] & loci["val"])
        assert not (loci["train"] & loci["test"])
        assert not (loci["val"] & loci["test"])
        assert (split.test_fold, split.val_fold) not in seen
        seen.add((split.test_fold, split.val_fold))
    return found


def overlap_between(meta, one, other):
    """Say by brute force whether two sets of rows have overlapping windows."""
    chrom, start, end = (meta[name].to_numpy() for name in ("chrom", "start", "end"))
    a, b = np.asarray(one, dtype=int)[:, None], np.asarray(other, dtype=int)[None]
    return bool(((chrom[a] == chrom[b]) & (start[a] <= end[b]) & (start[b] <= end[a])).any())


def meta_is_lopsided(table):
    counts = table["seqnames"].value_counts()
    return len(counts) < 2 or counts.iloc[0] > len(table) / 2


windows = st.lists(
    st.tuples(st.sampled_from([*prepare.CHROMOSOMES, "chr4"]), st.integers(1, 6000), st.sampled_from(["+", "-", "+-"])),
    min_size=60,
    max_size=90,
    unique_by=lambda window: window[:2],
)


@settings(max_examples=12, deadline=None)
@given(windows, st.integers(0, 2**32 - 1))
def test_no_locus_crosses_whatever_the_table(windows, seed):
    table = table_of(windows, np.random.default_rng(seed))
    frame = pd.DataFrame(
        {
            "seq_id": table["ID"], "chrom": table["seqnames"], "start": table["start"], "end": table["end"],
            "strand": table["ID"].str.extract(r"_([+-])_", expand=False), "set": "train",
        }
    )  # fmt: skip
    codes = prepare.sequences.encode(table["Sequence"].tolist(), 249)
    targets = {"dev": np.arange(len(table), dtype=np.float32), "hk": np.arange(len(table), dtype=np.float32)}
    for kind in prepare.SPLITS:
        try:
            data = prepare.dataset("t", frame, codes, targets, "simulated", split=kind, seed=1, notes=[], path="t")
        except BadInput:
            assert kind != "chromosome" or meta_is_lopsided(table)  # too few rows or stretches for it
            continue
        found = check_splits(data, kind)
        meta = data.meta
        if kind in ("chromosome", "strict"):
            assert len(found) == 10 * len(set(meta["chrom"]) & set(prepare.CHROMOSOMES))
            for split in found:
                assert set(meta["chrom"][split.test]) == {prepare.CHROMOSOMES[split.test_fold]}
                assert prepare.CHROMOSOMES[split.test_fold] not in set(meta["chrom"][np.r_[split.train, split.val]])
                together = sorted([*split.train, *split.val, *split.test])
                assert together == list(range(len(meta)))  # every row has a place: no sequence stands twice here
        if kind in ("strict", "position"):
            for split in found[:: max(1, len(found) // 3)]:
                assert not overlap_between(meta, split.train, split.val)
                assert not overlap_between(meta, split.train, split.test)
        if kind == "position":
            tested = np.concatenate([s.test for s in {split.test_fold: split for split in found}.values()])
            assert len(tested) == len(set(tested))
            largest = meta["chrom"].value_counts().max()
            assert len(tested) == largest


def test_the_ten_validation_folds_part_the_rest():
    data = simulate.simulate(n_loci=30, seed=3)
    for number in range(5):
        mine = [split for split in TASK.splits(data.meta) if split.test_fold == number]
        validated = np.concatenate([split.val for split in mine])
        rest = np.flatnonzero(data.meta["chrom"] != prepare.CHROMOSOMES[number])
        assert sorted(validated) == rest.tolist()


def with_twin(table):
    """Put the sequence of the first row also on chr3R, reverse-complemented."""
    twin = table.index[table["seqnames"] == "chr3R"][0]
    table = changed(table, twin, Sequence=table["Sequence"][0].translate(COMPLEMENT)[::-1])
    same = (table["seqnames"] == "chr3R") & (table["start"] == table["start"][twin]) & (table.index != twin)
    for other in table.index[same]:
        table = changed(table, other, Sequence=table["Sequence"][0])
    return table, twin


def test_a_sequence_on_two_chromosomes_trains_unless_strict(genome_wide, tmp_path):
    """As in the paper; the strict split leaves it out."""
    table, twin = with_twin(genome_wide)
    assert table["seqnames"][0] == "chr2L"
    usual, strict = (TASK.load(save(table, tmp_path), split=kind) for kind in ("chromosome", "strict"))
    assert any("4 rows have a sequence that is also on another chromosome" in note for note in usual.notes)
    for data, trains in ((usual, True), (strict, False)):
        for split in TASK.splits(data.meta):
            if split.test_fold == 0:  # chr2L is tested: its twin on chr3R was seen, or was not
                assert (twin in {*split.train, *split.val}) == trains
            if split.test_fold == 2:  # neither is tested: both train or validate, together
                assert (0 in split.train) == (twin in split.train)


def test_deepstarr_s_split_halves_chr2r_without_a_set_column(tmp_path):
    """As the published split does."""
    middle = 21_146_708 // 2
    starts = [middle - 5000, middle - 100, middle + 1, middle + 9000]
    rng = np.random.default_rng(2)
    table = table_of(
        [*(("chr2R", start, "+-") for start in starts), *(("chrX", 500 * i + 1, "+-") for i in range(9))], rng
    )
    data = TASK.load(save(table, tmp_path), split="deepstarr")
    (split,) = TASK.splits(data.meta)
    assert data.meta["start"][split.val].unique().tolist() == starts[:1]
    assert data.meta["start"][split.test].unique().tolist() == starts[2:]
    assert set(data.meta["chrom"][split.train]) == {"chrX"}
    assert any("2 windows across it are left out" in note for note in data.notes)


def test_the_kind_of_split_is_asked_for_by_name():
    done = CliRunner().invoke(app, ["run", "--task", "drosophila", "--split", "strickt", "--dry-run"])
    assert done.exit_code == 2
    assert "Did you mean 'strict'?" in done.stderr
    info = json.loads(CliRunner().invoke(app, ["info", "drosophila", "--json"]).stdout)
    assert info["splits"] == ["chromosome", "strict", "deepstarr", "position"]
    digests = {data_sources.find(TASK, "quick", None, seed=0, split=kind)[0].digest for kind in prepare.SPLITS}
    assert len(digests) == 4  # trainings of two kinds are never taken for each other


def test_the_paper_s_plan_is_two_hundred_trainings():
    done = CliRunner().invoke(app, ["run", "--task", "drosophila", "--preset", "paper", "--dry-run"])
    assert "1 dataset × 5 test folds × 10 validation folds × 4 models = 200 trainings" in done.stdout


# Scores and simulation


def test_scores_are_scipy_s_for_both_programmes_and_levels():
    data = simulate.simulate(n_loci=20, seed=1)
    rng = np.random.default_rng(0)
    predictions = {name: values + rng.normal(size=len(values)) for name, values in data.targets.items()}
    scored = TASK.score(data, predictions)
    assert set(scored["held_out"]) == {", ".join(prepare.CHROMOSOMES)}
    found = scored.set_index(["output", "level", "metric"])["value"]
    for name in ("dev", "hk"):
        y_true, y_pred = data.targets[name].astype(float), predictions[name]
        levels = {
            "row": (y_true, y_pred),
            "strand_averaged": (y_true.reshape(-1, 2).mean(1), y_pred.reshape(-1, 2).mean(1)),
        }
        for level, pair in levels.items():
            assert found[name, level, "pearson_r"] == pytest.approx(scipy_stats.pearsonr(*pair).statistic, abs=1e-12)
            assert found[name, level, "spearman_rho"] == pytest.approx(
                scipy_stats.spearmanr(*pair).statistic, abs=1e-12
            )
            assert found[name, level, "mse"] == pytest.approx(np.mean((pair[0] - pair[1]) ** 2))


def test_simulated_activity_is_strand_symmetric_and_needs_motifs():
    data = simulate.simulate(n_loci=20, seed=1)
    signal, turned = (
        simulate.activity(codes) for codes in (data.codes, prepare.sequences.reverse_complement(data.codes))
    )
    for name in ("dev", "hk"):
        np.testing.assert_allclose(signal[name], turned[name])
        assert np.array_equal(data.targets[name][0::2], data.targets[name][1::2])
    poly_a = np.zeros((3, 249), dtype=np.uint8)
    for row, word in ((1, "CTTATCGC"), (2, "TATCGATA")):
        poly_a[row, 120 : 120 + len(word)] = prepare.sequences.encode([word], len(word))[0]
    dev, hk = (simulate.activity(poly_a)[name] for name in ("dev", "hk"))
    assert dev[1] > dev[0] == dev[2]
    assert hk[2] > hk[0] == hk[1]
    assert data.origin == "simulated"
    assert "SIMULATED" in data.notes[0]


def test_the_ceiling_is_what_the_noise_leaves():
    data = simulate.simulate(n_loci=200, seed=1)
    signal = simulate.activity(data.codes)
    for row in data.ceilings:
        var = signal[row["output"]].var()
        assert row["value"] == pytest.approx(np.sqrt(var / (var + simulate.NOISE_SD**2)), abs=0.01)


# Real data


def test_the_published_sample_is_read_and_cut_by_position(real_data):
    path = real_data("drosophila/starrseq_sample_chrX.tsv.gz")
    with pytest.raises(BadInput, match=r"2,9.. of 2,969 rows are on chrX; .* --split position"):
        TASK.load(path)
    data = TASK.load(path, split="position")
    assert len(data) == 2969  # 31 rows stand in more than one of its three files
    found = check_splits(data, "position")
    assert len(found) == 90
    for split in found[::30]:
        assert not overlap_between(data.meta, split.train[:300], split.test)
    both = data.meta.groupby("locus").size() == 2
    assert both.sum() == 47
