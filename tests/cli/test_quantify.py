"""`python -m benchmarks quantify`: from simulated reads to labels that the yeast task reads, and what it refuses."""

import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.api import yeast_plasmid
from benchmarks.apps.quantify import count, label_files, simulate
from benchmarks.cli.main import app
from benchmarks.errors import BadInput
from benchmarks.yeast import task as yeast
from benchmarks.yeast import test_set

needs_bowtie2 = pytest.mark.skipif(
    shutil.which("bowtie2") is None, reason="bowtie2 is not installed (apt-get install bowtie2)"
)


def text_of(path):
    with gzip.open(path, "rt") as stream:
        return stream.read()


def write_text(path, text):
    with gzip.open(path, "wt") as stream:
        stream.write(text)


def run(*words, code=0):
    done = CliRunner().invoke(app, ["quantify", *map(str, words)])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def refused(words, *arguments):
    done = run(*arguments, code=2)
    message = done.stderr.strip()
    assert message.startswith("Error: ")
    assert len(message.splitlines()) == 1
    assert words in message


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Reads of 250 simulated promoters, sorted twice; nothing may change them."""
    folder = tmp_path_factory.mktemp("quantify") / "sim"
    run("simulate", "--out", folder, "--promoters", 250, "--cells", 12, "--reads", 30, "--replicates", 2)
    return folder


@pytest.fixture(scope="module")
def quantified(experiment, tmp_path_factory):
    if shutil.which("bowtie2") is None:
        pytest.skip("bowtie2 is not installed (apt-get install bowtie2)")
    out = tmp_path_factory.mktemp("quantify") / "labels"
    run("reads", "--sheet", experiment / "sheet.tsv", "--out", out, "--workers", 1)
    truth = pd.read_csv(experiment / "truth.tsv.gz", sep="\t")
    oligos = out.parent / "oligos.tsv"
    names = [f"oligo{i}" for i in range(len(truth))]
    pd.DataFrame({"seq_id": names, "sequence": truth["sequence"]}).to_csv(oligos, sep="\t", index=False)
    (out.parent / "controls.txt").write_text("oligo3\noligo7\noligo11\n")
    controls = ("--controls", out.parent / "controls.txt")
    run("designed", "--sheet", experiment / "sheet.tsv", "--ordered", oligos, "--out", out, "--workers", 1, *controls)
    return out


def test_a_simulated_experiment_is_labelled_and_samples_cells(experiment):
    """Reads are drawn from the sorted cells."""
    assert (experiment / "SIMULATED.txt").read_text().startswith("SIMULATED DATA")
    truth = pd.read_csv(experiment / "truth.tsv.gz", sep="\t")
    assert set(truth["origin"]) == {"simulated"}
    assert len(truth) == 250
    sheet = pd.read_csv(experiment / "sheet.tsv", sep="\t")
    assert len(sheet) == 36
    assert truth["n_cells"].sum() == sheet["cells"].sum()
    assert (sheet["end_q"] > sheet["start_q"]).all()
    with gzip.open(experiment / sheet["read1"][9], "rt") as stream:
        assert stream.readline().startswith("@SIMULATED:")
    again = simulate.Design(cells=12, reads=30)
    rng = np.random.default_rng(0)
    lib = simulate.library(rng, truth["true_expression"].to_numpy(), again)
    one = simulate.sort(rng, lib, again)
    assert (one.reads[one.cells == 0] == 0).all()
    assert one.reads.sum() == pytest.approx(30 * 250, abs=18)
    # The mean profile is that of the cells: gates take what the library says, cell by cell.
    many = simulate.Design(cells=3_000, reads=30, abundance_sd=0.01)
    lib = simulate.library(rng, np.full(60, 9.0), many)
    cells = simulate.sort(rng, lib, many).cells.sum(axis=0) / simulate.batch_sizes(many)
    assert cells / cells.sum() == pytest.approx(lib.in_bin[0] / lib.in_bin[0].sum(), abs=0.004)


def test_reads_have_errors_at_the_rate_of_their_qualities(tmp_path):
    rng = np.random.default_rng(0)
    sequence = "".join(rng.choice(list("ACGT"), 110))
    one, two = simulate.write_reads(rng, [sequence], np.array([4_000]), "x", tmp_path, simulate.Design(pcr_error=0.0))
    turned = sequence.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    for file, template in ((one, sequence[:76]), (two, turned[:76])):
        lines = text_of(file).splitlines()
        bases = np.array([list(line) for line in lines[1::4]])
        quality = np.array([list(line.encode()) for line in lines[3::4]]) - 33
        wrong = (bases != np.array(list(template))).sum()
        expected = (10 ** (-quality / 10.0)).sum()
        assert wrong == pytest.approx(expected, abs=5 * np.sqrt(expected))


@needs_bowtie2
def test_reads_become_labels_that_are_right(experiment, quantified):
    labels = pd.read_csv(quantified / "promoters.tsv.gz", sep="\t")
    truth = pd.read_csv(experiment / "truth.tsv.gz", sep="\t")
    assert set(labels["sequence"]) <= set(truth["sequence"])
    assert len(labels) >= 248
    assert set(labels["origin"]) == {"simulated"}
    per_bin = labels[[name for name in labels if name.startswith("bin_")]]
    assert per_bin.shape[1] == 36
    assert (per_bin.sum(axis=1) == labels["n_reads"]).all()
    single = labels["is_singleton"] == 1
    assert (labels.loc[single, "expression"] % 1 == 0).all()
    train = pd.read_csv(quantified / "train.txt", sep="\t", header=None)
    assert np.abs(train[1] - labels["expression"]).max() > 1e-7  # it has more digits than the table with errors
    assert train[1].to_numpy() == pytest.approx(labels["expression"].to_numpy(), rel=1e-5)
    quality = json.loads((quantified / "quality_reads.json").read_text())
    assert quality["origin"] == "simulated"
    assert quality["n_pairs"] == sum(quality["overlaps"].values()) == labels["n_reads"].sum()
    assert quality["collapse"]["bowtie2"]
    assert quality["replicate_agreement"][0]["pearson_r"] > 0.9
    assert (quantified / "quality_reads.png").is_file()
    assert (quantified / "replicates_reads.png").is_file()
    found = json.loads(
        run(
            "check", "--truth", experiment / "truth.tsv.gz", "--labels", quantified / "promoters.tsv.gz", "--json"
        ).stdout
    )
    joined = labels.merge(truth, on="sequence")
    assert found["pearson_r"] == pytest.approx(np.corrcoef(joined["expression"], joined["true_expression"])[0, 1])
    assert found["pearson_r"] > 0.97
    assert 0.9 < found["coverage"] <= 0.99  # of 250: chance is +- 0.03


@needs_bowtie2
def test_a_designed_library_gets_errors_controls_and_positions(experiment, quantified):
    table = pd.read_csv(quantified / "designed.tsv.gz", sep="\t")
    assert table["seq_id"].tolist() == [f"oligo{i}" for i in range(250)]
    assert table.loc[table["is_control"] == 1, "seq_id"].tolist() == ["oligo3", "oligo7", "oligo11"]
    measured = table["expression"].notna()
    controls = table.loc[table["is_control"] == 1, "expression"].mean()
    assert (table["z"] - (table["expression"] - controls)).abs()[measured].max() < 2e-5
    assert (table["log_likelihood_ratio"][measured] > -1e-6).all()
    arguments = ("--truth", experiment / "truth.tsv.gz", "--labels", quantified / "designed.tsv.gz", "--json")
    found = json.loads(run("check", *arguments).stdout)
    assert found["pearson_r"] > 0.85
    assert 0.88 < found["coverage"] <= 0.99


@needs_bowtie2
def test_the_yeast_task_reads_the_folder_and_its_simulated_label(quantified, tmp_path):
    folder = tmp_path / "lab"
    folder.mkdir()
    for name in ("SIMULATED.txt", "filtered_test_data_with_MAUDE_expression.txt"):
        shutil.copy(quantified / name, folder / name)
    rows = (quantified / "train.txt").read_text()
    (folder / "train.txt").write_text(rows)
    with pytest.raises(BadInput, match=r"All 2.. training rows of train occur in the test set"):
        yeast.load(folder)
    rng = np.random.default_rng(0)
    other = yeast_plasmid.LEFT_ADAPTER + "".join(rng.choice(list("ACGT"), 80)) + yeast_plasmid.RIGHT_ADAPTER
    (folder / "train.txt").write_text(f"{rows}{other}\t7.5\n")
    dataset = yeast.load(folder)
    assert dataset.origin == "simulated"
    labels = pd.read_csv(quantified / "promoters.tsv.gz", sep="\t")
    designed = pd.read_csv(quantified / "designed.tsv.gz", sep="\t")
    kept = designed[designed["expression"].notna()]
    assert len(dataset) == len(labels) + 1 + len(kept)
    assert dataset.targets["expression"][: len(labels)] == pytest.approx(labels["expression"], rel=1e-5)
    assert dataset.targets["expression"][len(labels) + 1 :] == pytest.approx(kept["expression"], rel=1e-5)
    assert dataset.meta["is_singleton"][: len(labels)].tolist() == labels["is_singleton"].tolist()
    assert (dataset.codes[: len(labels)] == yeast_plasmid.construct(labels["sequence"].tolist())).all()
    words = ["run", "--task", "yeast", "--data", str(folder), "--dry-run", "--results", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "(simulated)" in done.output


@needs_bowtie2
@pytest.mark.slow
def test_a_second_call_counts_nothing_and_writes_the_same_files(experiment, quantified, tmp_path, monkeypatch):
    out = tmp_path / "again"
    shutil.copytree(quantified, out)
    before = {name: (out / name).read_bytes() for name in ("train.txt", "promoters.tsv.gz", "collapse_map.txt.gz")}
    for name in before:
        (out / name).unlink()

    def never(*_):
        raise AssertionError("counted again")

    monkeypatch.setattr(count, "count_pairs", never)
    run("reads", "--sheet", experiment / "sheet.tsv", "--out", out, "--workers", 1)
    assert {name: (out / name).read_bytes() for name in before} == before


@needs_bowtie2
@pytest.mark.slow
def test_processes_count_as_one_and_stale_counts_are_not_used(experiment, quantified, tmp_path):
    """Several processes give the counts of one."""
    run("reads", "--sheet", experiment / "sheet.tsv", "--out", tmp_path / "two", "--workers", 2)
    for name in ("train.txt", "promoters.tsv.gz"):
        assert (tmp_path / "two" / name).read_bytes() == (quantified / name).read_bytes()
    one = next((tmp_path / "two" / "work").iterdir())
    n_kept = len(list(one.parent.iterdir()))
    run("reads", "--sheet", experiment / "sheet.tsv", "--out", tmp_path / "two", "--workers", 1, "--overlap", 39)
    assert len(list(one.parent.iterdir())) == 2 * n_kept


@pytest.mark.slow
def test_without_collapsing_no_aligner_is_needed(experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    run("reads", "--sheet", experiment / "sheet.tsv", "--out", tmp_path / "o", "--collapse", "none", "--workers", 1)
    n = len(pd.read_csv(tmp_path / "o" / "promoters.tsv.gz", sep="\t"))
    assert n > 500  # misread copies stand for themselves
    refused("apt-get install bowtie2", "reads", "--sheet", experiment / "sheet.tsv", "--out", tmp_path / "p")
    assert not (tmp_path / "p").exists()


@needs_bowtie2
@pytest.mark.slow
def test_an_unsorted_sample_gives_the_abundance(tmp_path):
    words = ("--promoters", 150, "--cells", 12, "--reads", 30, "--unsorted", 40)
    run("simulate", "--out", tmp_path / "sim", *words)
    sheet = ("--sheet", tmp_path / "sim" / "sheet.tsv")
    run("designed", *sheet, "--ordered", tmp_path / "sim" / "truth.tsv.gz", "--out", tmp_path / "out", "--workers", 1)
    facts = json.loads((tmp_path / "out" / "quality_designed.json").read_text())
    assert facts["abundance"] == "unsorted library"
    arguments = (
        "--truth",
        tmp_path / "sim" / "truth.tsv.gz",
        "--labels",
        tmp_path / "out" / "designed.tsv.gz",
        "--json",
    )
    found = json.loads(run("check", *arguments).stdout)
    assert found["pearson_r"] > 0.9
    assert found["coverage"] > 0.85


@needs_bowtie2
@pytest.mark.slow
def test_a_minimum_of_reads_leaves_rows_out_and_changes_none(experiment, quantified, tmp_path):
    out = tmp_path / "out"
    words = ("--sheet", experiment / "sheet.tsv", "--out", out, "--workers", 1, "--min-reads")
    run("reads", *words, 40)
    every, some = (pd.read_csv(folder / "promoters.tsv.gz", sep="\t") for folder in (quantified, out))
    pd.testing.assert_frame_equal(some, every[every["n_reads"] >= 40].reset_index(drop=True))
    assert 0 < len(some) < len(every)
    refused("No promoter has 1,000,000 reads", "reads", *words, 1_000_000)


@needs_bowtie2
@pytest.mark.slow
def test_subset_files_follow_the_sequences_that_are_left_out(experiment, quantified, tmp_path):
    oligos = pd.read_csv(quantified.parent / "oligos.tsv", sep="\t")
    never = yeast_plasmid.LEFT_ADAPTER + "ACGTTGCAAC" * 8 + yeast_plasmid.RIGHT_ADAPTER
    table = pd.concat([oligos.iloc[:2], pd.DataFrame({"seq_id": ["never"], "sequence": [never]}), oligos.iloc[2:]])
    table.to_csv(tmp_path / "oligos.tsv", sep="\t", index=False)
    ids, public = tmp_path / "design" / "test_subset_ids", tmp_path / "design" / "public_leaderboard_ids"
    ids.mkdir(parents=True)
    public.mkdir()
    (ids / "high_exp_seqs.csv").write_text("pos,tag\n1,a\n2,b\n5,c\n")
    (ids / "all_SNVs_seqs.csv").write_text("alt_pos,ref_pos\n1,5\n2,5\n6,0\n")
    (public / "high_exp_indices.json").write_text('{"1": 0, "2": 0}')
    (public / "SNVs_exp_indices.json").write_text('{"1,5": 0, "2,5": 0}')
    out = tmp_path / "out"
    words = ("--ordered", tmp_path / "oligos.tsv", "--subsets", tmp_path / "design", "--out", out, "--workers", 1)
    run("designed", "--sheet", experiment / "sheet.tsv", *words)
    left = pd.read_csv(out / "designed.tsv.gz", sep="\t")
    missing = int(left["expression"].isna().sum())
    test = test_set.read(out)
    assert len(test) == 251 - missing
    assert test.origin == "simulated"
    assert missing >= 1
    assert np.isnan(left["expression"][2])
    sequences = test.sequences[test.singles["high"]].tolist()
    assert sequences == [table["sequence"].iloc[i] for i in (1, 5)]
    alt, ref = (test.sequences[test.pairs["SNVs"][:, i]].tolist() for i in (0, 1))
    assert set(zip(alt, ref, strict=True)) == {
        (table["sequence"].iloc[1], table["sequence"].iloc[5]), (table["sequence"].iloc[6], table["sequence"].iloc[0])
    }  # fmt: skip
    assert test.public_pairs["SNVs"].sum() == 1


def small(folder, experiment, n=3):
    """A sheet of the first bins of the experiment that any test may damage."""
    sheet = pd.read_csv(experiment / "sheet.tsv", sep="\t").iloc[6 : 6 + n].copy()
    for name in [*sheet["read1"], *sheet["read2"]]:
        shutil.copy(experiment / name, folder / name)
    return sheet


def refused_sheet(tmp_path, sheet, words, *more):
    sheet.to_csv(tmp_path / "sheet.tsv", sep="\t", index=False)
    out = tmp_path / "out"
    refused(
        words, "reads", "--sheet", tmp_path / "sheet.tsv", "--out", out, "--collapse", "none", "--workers", 1, *more
    )
    assert not (out / "train.txt").exists()


def test_bad_input_is_one_sentence(experiment, tmp_path):
    sheet = small(tmp_path, experiment)
    refused_sheet(tmp_path, sheet.drop(columns="read2"), "column 'read2' is missing")
    refused_sheet(tmp_path, sheet.iloc[:0], "lists no files")
    refused_sheet(
        tmp_path, sheet.assign(bin=[6, 7, 18]), "line 4, column 'bin': unknown bin '18'; a whole number from 0 to 17"
    )
    refused_sheet(tmp_path, sheet.assign(bin="unsorted"), "lists no sorted bin")
    refused_sheet(tmp_path, sheet.assign(cells=[1, 0, 2]), "line 3, column 'cells': more than 0")
    refused_sheet(tmp_path, sheet.assign(cells=[1, None, 2]), "line 3: 'cells' is missing")
    refused_sheet(tmp_path, sheet.assign(end_q=0.001), "0 <= start_q < end_q <= 1")
    refused_sheet(tmp_path, sheet.assign(read1="none.fq"), "line 2, column 'read1': no file at")
    refused_sheet(tmp_path, sheet.assign(read2=sheet["read1"]), "are the same file")
    refused_sheet(tmp_path, pd.concat([sheet, sheet.iloc[:1]]), "is listed twice")
    refused_sheet(tmp_path, sheet, "--weights: Unknown weight 'cell'", "--weights", "cell")
    refused_sheet(tmp_path, sheet, "--left expects bases of ACGT", "--left", "XY")
    refused_sheet(tmp_path, sheet, "tolerance from 0 to less than", "--tolerance", 40)
    refused("No file at", "reads", "--sheet", tmp_path / "none.tsv", "--out", tmp_path / "o", "--collapse", "none")


def test_swapped_or_unequal_files_and_empty_bins_are_refused(experiment, tmp_path):
    sheet = small(tmp_path, experiment)
    swapped = sheet.rename(columns={"read1": "read2", "read2": "read1"})
    refused_sheet(tmp_path, swapped, "by the names of their reads: read1 and read2 are swapped")
    for name in [*sheet["read1"], *sheet["read2"]]:  # names that do not tell the mate
        text = text_of(tmp_path / name).replace(" 1:N:0", "").replace(" 2:N:0", "")
        write_text(tmp_path / name, text)
    refused_sheet(tmp_path, swapped, "begin with the reverse complement of the right flank")
    second = tmp_path / sheet["read2"].iloc[1]
    lines = text_of(second).splitlines(keepends=True)
    write_text(second, "".join(lines[:-4]))
    refused_sheet(tmp_path, sheet, f"which ends after {len(lines) // 4 - 1:,}: the two files of a pair")
    for name in ("read1", "read2"):
        write_text(tmp_path / sheet[name].iloc[1], "")
    refused_sheet(tmp_path, sheet, "Bin 7 of replicate 1 has no merged reads")
    for name in [*sheet["read1"], *sheet["read2"]]:
        write_text(tmp_path / name, "")
    refused_sheet(tmp_path, sheet, "The library is empty: none of the files of the sheet holds a read")


def test_a_single_bin_is_refused(experiment, tmp_path):
    sheet = small(tmp_path, experiment)
    refused_sheet(tmp_path, sheet.iloc[:1], "replicate 1 has a single sorted bin")
    refused_sheet(tmp_path, sheet.assign(replicate=[1, 1, 2]), "replicate 2 has a single sorted bin")


def test_weights_without_quantiles_are_refused_before_counting(experiment, tmp_path):
    sheet = small(tmp_path, experiment).drop(columns=["start_q", "end_q"])
    refused_sheet(tmp_path, sheet, "--weights gates needs start_q and end_q", "--weights", "gates")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_reads_in_lower_case_are_the_same_reads(experiment, tmp_path):
    sheet = small(tmp_path, experiment)
    sheet.to_csv(tmp_path / "sheet.tsv", sep="\t", index=False)
    words = ("--sheet", tmp_path / "sheet.tsv", "--collapse", "none", "--workers", 1, "--out")
    run("reads", *words, tmp_path / "upper")
    for number, name in enumerate([*sheet["read1"], *sheet["read2"]]):
        lines = text_of(tmp_path / name).splitlines()
        lines[1::4] = [line[:50] + line[50:].lower() if number % 2 else line.lower() for line in lines[1::4]]
        write_text(tmp_path / name, "\n".join(lines) + "\n")
    run("reads", *words, tmp_path / "lower")
    for name in ("train.txt", "promoters.tsv.gz"):
        assert (tmp_path / "lower" / name).read_bytes() == (tmp_path / "upper" / name).read_bytes()


def test_a_label_of_several_bins_is_not_rounded(tmp_path):
    values = [11.000003, 4.0, 12.9999996]
    label_files.write_table(
        tmp_path / "train.txt", pd.DataFrame({"sequence": "ACGT", "expression": values}), header=False, digits=10
    )
    written = [float(line.split("\t")[1]) for line in (tmp_path / "train.txt").read_text().splitlines()]
    assert [value % 1 == 0 for value in written] == [False, True, False]
    assert written == pytest.approx(values, abs=1e-7)


def test_pairs_that_never_overlap_are_an_empty_library(experiment, tmp_path):
    sheet = small(tmp_path, experiment, 2)
    refused_sheet(tmp_path, sheet, "read pairs could be merged", "--overlap", 20, "--tolerance", 3)


@pytest.mark.slow
def test_simulated_and_measured_labels_are_never_mixed(experiment, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "train.txt").write_text("ACGT\t3\n")
    words = ("--sheet", experiment / "sheet.tsv", "--out", out, "--collapse", "none")
    refused("holds measured labels, the reads of", "reads", *words)
    # The mark is in the reads themselves: moved to another folder, they still say what they are.
    sheet = small(tmp_path, experiment)
    sheet.to_csv(tmp_path / "sheet.tsv", sep="\t", index=False)
    run("reads", "--sheet", tmp_path / "sheet.tsv", "--out", tmp_path / "o", "--collapse", "none", "--workers", 1)
    assert (tmp_path / "o" / "SIMULATED.txt").is_file()
    # What is refused leaves no mark under which measured labels would come to lie, and none is written under a mark.
    words = ("--sheet", tmp_path / "sheet.tsv", "--collapse", "none", "--workers", 1, "--out")
    refused("No promoter has", "reads", *words, tmp_path / "p", "--min-reads", 1_000_000)
    assert not (tmp_path / "p" / "SIMULATED.txt").exists()
    for name in [*sheet["read1"], *sheet["read2"]]:
        write_text(tmp_path / name, text_of(tmp_path / name).replace("@SIMULATED:", "@M01:"))
    run("reads", *words, tmp_path / "p")
    assert not (tmp_path / "p" / "SIMULATED.txt").exists()
    (tmp_path / "q").mkdir()
    shutil.copy(experiment / "SIMULATED.txt", tmp_path / "q")
    refused("holds simulated labels, the reads of", "reads", *words, tmp_path / "q")
    assert not (tmp_path / "q" / "train.txt").exists()


@needs_bowtie2
def test_what_a_designed_library_refuses(experiment, tmp_path):
    sheet, out = experiment / "sheet.tsv", tmp_path / "out"
    oligos = tmp_path / "oligos.txt"
    truth = pd.read_csv(experiment / "truth.tsv.gz", sep="\t")["sequence"].tolist()
    words = ("designed", "--ordered", oligos, "--out", out, "--workers", 1)
    oligos.write_text("\n".join([truth[0], truth[1], truth[0].lower()]))
    refused("line 3: the sequence of line 1 again", *words, "--sheet", sheet)
    oligos.write_text(f"{truth[0]}\nACGTNNNN\n")
    refused("line 2: a sequence of A, C, G and T is expected", *words, "--sheet", sheet)
    rng = np.random.default_rng(0)
    oligos.write_text("".join(rng.choice(list("ACGT"), 110)) + "\n")
    refused("has no read of a designed oligo", *words, "--sheet", sheet)
    oligos.write_text("\n".join(truth))
    (tmp_path / "controls.txt").write_text("nobody\n")
    refused("Unknown id 'nobody'", *words, "--sheet", sheet, "--controls", tmp_path / "controls.txt")
    refused("holds no test_subset_ids", *words, "--sheet", sheet, "--subsets", tmp_path)
    assert not (out / "filtered_test_data_with_MAUDE_expression.txt").exists()
    few = small(tmp_path, experiment).drop(columns=["start_q", "end_q"])
    few.to_csv(tmp_path / "sheet.tsv", sep="\t", index=False)
    refused("start_q and end_q of every sorted bin are needed", *words, "--sheet", tmp_path / "sheet.tsv")


def test_an_experiment_is_planned_by_its_cells_and_reads(tmp_path):
    words = ("--promoters", 400, "--cells", "3,60", "--reads-per-cell", "2", "--out", tmp_path / "plan", "--json")
    rows = pd.DataFrame(json.loads(run("plan", *words).stdout))
    assert set(rows["origin"]) == {"simulated"}
    for _, part in rows.groupby("estimator"):
        assert part["ceiling"].is_monotonic_increasing
        assert part["median_se"].notna().all()
    average = rows[rows["estimator"] == "weighted average"]
    assert average["ceiling"].iloc[1] > 0.98
    assert (tmp_path / "plan" / "plan.png").is_file()
    refused("--cells expects numbers above 0", "plan", "--cells", "3,x")
    refused("uniform or quantile", "plan", "--gates", "wide")
    refused("fewer than two bins have a read", "plan", "--promoters", 50, "--cells", 0.002, "--reads-per-cell", 1)


@pytest.mark.slow
def test_an_experiment_too_small_for_all_bins_is_quantified(tmp_path):
    """Without the bins that got no cells."""
    words = ("--promoters", 60, "--cells", 3, "--reads", 9, "--seed", 2, "--json")
    facts = json.loads(run("simulate", "--out", tmp_path / "sim", *words).stdout)
    assert facts["n_empty_bins"] > 0
    sheet = pd.read_csv(tmp_path / "sim" / "sheet.tsv", sep="\t")
    assert len(sheet) == 18 - facts["n_empty_bins"]
    assert (sheet["cells"] > 0).all()
    out = tmp_path / "out"
    run("reads", "--sheet", tmp_path / "sim" / "sheet.tsv", "--out", out, "--collapse", "none", "--workers", 1)
    words = ("--truth", tmp_path / "sim" / "truth.tsv.gz", "--labels", out / "promoters.tsv.gz")
    found = json.loads(run("check", *words, "--json").stdout)
    # The same labels without noise, in other words: shares of the mean cells, in the bins that are in the sheet.
    truth = pd.read_csv(tmp_path / "sim" / "truth.tsv.gz", sep="\t").set_index("sequence")
    labels = pd.read_csv(out / "promoters.tsv.gz", sep="\t").set_index("sequence")
    labels = labels[labels.index.isin(truth.index)]
    mean = truth.loc[labels.index, [f"expected_{b}" for b in sheet["bin"]]].to_numpy()
    share = mean / truth[[f"expected_{b}" for b in sheet["bin"]]].to_numpy().sum(axis=0) * sheet["cells"].to_numpy()
    free = (share * sheet["bin"].to_numpy()).sum(axis=1) / share.sum(axis=1)
    assert found["pearson_r_noise_free"] == pytest.approx(np.corrcoef(free, labels["expression"])[0, 1], abs=1e-4)


def test_what_a_simulation_and_its_check_refuse(experiment, tmp_path):
    refused("Fewer than two bins", "simulate", "--out", tmp_path / "s", "--promoters", 2, "--cells", 0.01)
    refused("must be finite", "simulate", "--out", tmp_path / "s", "--reads", "inf")
    (tmp_path / "oligos.tsv").write_text(f"seq_id\tsequence\na\t{'ACGT' * 20}\nb\tACGT\n")
    refused(
        "line 3: length 30 to 150 expected", "simulate", "--out", tmp_path / "s", "--library", tmp_path / "oligos.tsv"
    )
    assert not (tmp_path / "s").exists()
    words = ("--sheet", experiment / "sheet.tsv", "--out", tmp_path / "o", "--collapse", "none", "--workers", 1)
    run("reads", *words)
    truth = pd.read_csv(experiment / "truth.tsv.gz", sep="\t")
    truth["sequence"] = truth["sequence"].str[::-1]
    truth.to_csv(tmp_path / "truth.tsv.gz", sep="\t", index=False)
    labels = tmp_path / "o" / "promoters.tsv.gz"
    refused("No promoter of --labels is in --truth", "check", "--truth", tmp_path / "truth.tsv.gz", "--labels", labels)
    shutil.copy(labels, tmp_path / "promoters.tsv.gz")
    words = ("--truth", experiment / "truth.tsv.gz", "--labels", tmp_path / "promoters.tsv.gz")
    refused("quality_reads.json, which `quantify` wrote beside it, is needed", "check", *words)


def test_the_benchmark_compares_equal_counts():
    found = json.loads(run("bench", "--pairs", 2_000, "--repeats", 1, "--json").stdout)
    assert found["ratio"] == pytest.approx(found["pairs_per_s"] / found["loop_pairs_per_s"])
