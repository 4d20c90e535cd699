"""The yeast task: reading and preparing the training table, both strands in training, splits, scores, simulation.

Expected codes, targets and scores are made row by row with the rules of the fact sheet (dream 3.1, 3.2, 4).
"""

import dataclasses
import gzip

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from typer.testing import CliRunner

from benchmarks import registry
from benchmarks.api import yeast_plasmid
from benchmarks.api.sequences import decode, occur_in
from benchmarks.cli.main import app
from benchmarks.engine.evaluation import external_predictions
from benchmarks.engine.planning.plan import Source, make_plan
from benchmarks.engine.store.store import Store
from benchmarks.errors import BadInput
from benchmarks.io import atomic
from benchmarks.training import torch_backend
from benchmarks.yeast import challenge_score, prepare, simulate, task, test_set
from dream_models import published
from dream_models.prixfixe import combine
from dream_models.prixfixe.combinations import Combination

pytestmark = pytest.mark.usefixtures("without_plots")

LEFT, RIGHT = "TGCATTTTTTTCACATC", "GGTTACGGCTGTT"
BACKBONE = "AGTGCTAGCAGGAATGATGCAAAAGGTTCCCGATTCGAAC"
"""The 40 bases of plasmid before the left adapter that a nominal row keeps, as the sheet has them."""


def row(width=80, seed=0):
    return LEFT + "".join(np.random.default_rng([seed, width]).choice(list("ACGT"), width)) + RIGHT


def write(folder, rows, name="train_sequences.txt", end="\n"):
    file = folder / name
    text = "".join(f"{sequence}\t{value}{end}" for sequence, value in rows)
    if name.endswith(".gz"):
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_bytes(text.encode())
    return file


ROWS = [(row(80, 1), "11.0"), (row(78, 2), "3.25"), (row(80, 3).lower(), "10.999999999999"), (row(81, 4), "0")]


# Sequences


def test_a_nominal_row_has_forty_bases_of_backbone():
    """A shorter row has more."""
    for width in (48, 78, 80, 112):
        (sequence,) = decode(yeast_plasmid.construct([row(width)]))
        plasmid = yeast_plasmid.PLASMID_LEFT[: -len(LEFT)]
        expected = (plasmid + row(width))[-150:]
        assert sequence == expected
        assert len(sequence) == 150
    assert decode(yeast_plasmid.construct([row(80)]))[0].startswith(BACKBONE + LEFT)


def test_the_plasmid_replaces_the_left_adapter():
    other = "A" * 17 + row(80)[17:]
    np.testing.assert_array_equal(yeast_plasmid.construct([other]), yeast_plasmid.construct([row(80)]))


@pytest.mark.parametrize("width", [48, 70, 80, 112])
def test_the_length_of_a_row_is_told_from_its_150_bases(width):
    assert yeast_plasmid.row_lengths(yeast_plasmid.construct([row(width)])).tolist() == [width + 30]


def test_sequences_that_occur_elsewhere_are_found_exactly():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (500, 150), dtype=np.uint8)
    others = np.concatenate([codes[[3, 77]], rng.integers(0, 5, (50, 150), dtype=np.uint8)])
    others[1, -1] = (others[1, -1] + 1) % 5  # one base away is another sequence
    assert np.flatnonzero(occur_in(codes, others)).tolist() == [3]
    assert not occur_in(codes, others[:0]).any()


# Bins


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, 7.4, 10.539, 16.0, 16.7, 17.0])
def test_bins_are_masses_of_a_normal_and_invert_but_for_the_ends(value):
    probs = torch_backend.bin_probs(torch_backend.torch.tensor([value]))[0].numpy()
    normal = scipy_stats.norm(value + 0.5, 0.5)
    expected = [normal.cdf(1), *(normal.cdf(k + 1) - normal.cdf(k) for k in range(1, 17)), 1 - normal.cdf(17)]
    np.testing.assert_allclose(probs, expected, atol=1e-6)
    assert probs.sum() == pytest.approx(1, abs=1e-6)
    published_back = {0.0: 0.1600, 17.0: 16.8400, 0.3: 0.3528, 16.7: 16.6472}
    assert probs @ np.arange(18) == pytest.approx(published_back.get(value, value), abs=0.0024)


# Reading


@pytest.mark.parametrize(
    ("name", "end", "before"),
    [
        ("train_sequences.txt", "\n", ""),
        ("train_sequences.txt", "\r\n", "\ufeff"),
        ("train.txt.gz", "\n", ""),
        ("train_sequences.txt", "\n", "sequence\texpression\n"),
        ("train_sequences.txt", "\n", "\n"),
    ],
)
def test_rows_are_read_as_they_stand(tmp_path, name, end, before):
    file = write(tmp_path, ROWS, name, end)
    if before:
        file.write_bytes(before.encode() + file.read_bytes() + b"\n\n")
    table = prepare.read_training(file)
    assert table.expression.tolist() == [11.0, 3.25, 10.999999999999, 0.0]
    assert decode(table.codes) == [(yeast_plasmid.PLASMID_LEFT[:-17] + s.upper())[-150:] for s, _ in ROWS]


def test_columns_are_found_by_a_header(tmp_path):
    lines = "source\tsequence\texpression\n" + "".join(f"x\t{s}\t{v}\n" for s, v in ROWS)
    (tmp_path / "train.txt").write_text(lines)
    assert prepare.read_training(tmp_path / "train.txt").expression.tolist() == [11.0, 3.25, 10.999999999999, 0.0]


def test_pieces_join_seamlessly_and_keep_their_line_numbers(tmp_path):
    file = write(tmp_path, ROWS * 3)
    pieces = list(prepare.read_pieces(file, n_lines=5))
    assert [len(piece) for piece in pieces] == [5, 5, 2]
    whole = prepare.read_training(file)
    np.testing.assert_array_equal(np.concatenate([piece.codes for piece in pieces]), whole.codes)
    broken = write(tmp_path, [*ROWS * 2, (row(), "high")], "train.txt")
    with pytest.raises(BadInput, match=r"line 9, column '2': a finite number expected, got 'high'"):
        list(prepare.read_pieces(broken, n_lines=5))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{row()}\n", r"line 3: 2 columns expected as in the first line, got 1"),
        (f"{row()}\tnan\n", r"line 3, column '2': a finite number expected, got 'nan'"),
        (f"{row()[:50]}X{row()[51:]}\t1\n", r"line 3: letter 'X' at position \d+ is not one of ACGTN"),
        ("ACGT\t1\n", r"line 3: length 30 to 150 expected, got 4"),
    ],
)
def test_what_is_wrong_is_named_by_line(tmp_path, line, says):
    file = write(tmp_path, ROWS[:2])
    file.write_text(file.read_text() + line)
    with pytest.raises(BadInput, match=says):
        prepare.read_training(file)
    assert [path.name for path in tmp_path.iterdir()] == [file.name], "nothing half-written"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\x89PNG\x0d\x0a\xff\xfe" * 9, "binary file"),
        (gzip.compress(b"ACGT\t1\n" * 50, mtime=0)[:-9], "truncated gzip"),
    ],
    ids=["empty", "binary", "cut gzip"],
)
def test_files_that_are_no_tables_are_refused(tmp_path, content, says):
    file = tmp_path / "train.txt"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=says):
        prepare.read_training(file)


# The store


def test_the_second_reading_maps_the_store_unless_changed(tmp_path, monkeypatch):
    file = write(tmp_path, ROWS)
    first = prepare.read_training(file)
    reads = []
    read = prepare.read_pieces
    monkeypatch.setattr(prepare, "read_pieces", lambda *a, **k: reads.append(1) or read(*a, **k))
    second = prepare.read_training(file)
    assert not reads
    assert isinstance(second.codes, np.memmap)
    np.testing.assert_array_equal(second.codes, first.codes)
    expected = np.array(first.codes)
    codes = tmp_path / "train_sequences.txt.prepared" / "codes.u8"
    codes.write_bytes(bytes([4]) + codes.read_bytes()[1:])
    np.testing.assert_array_equal(prepare.read_training(file).codes, expected)
    assert len(reads) == 1, "a store whose checksum is wrong is made again"
    write(tmp_path, ROWS[:3])
    assert len(prepare.read_training(file)) == 3
    assert len(reads) == 2


def test_a_read_only_folder_is_read_without_a_store(tmp_path, monkeypatch):
    file = write(tmp_path, ROWS)

    def refuse(folder, *, replace):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(prepare, "whole_folder", refuse)
    assert prepare.read_training(file).expression.tolist() == [11.0, 3.25, 10.999999999999, 0.0]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


# The dataset


@pytest.fixture(scope="module")
def simulated():
    return task.simulate(seed=3)


def small_test_set(sequences):
    n = len(sequences)
    pairs = {"SNVs": np.array([[1, 0]])}
    return test_set.TestSet(
        np.linspace(-1, 1, n), np.arange(n) % 2 == 0, {"high": np.array([0, 1])}, pairs,
        {"SNVs": np.array([False])}, np.array(sequences, dtype=object),
    )  # fmt: skip


def test_training_rows_of_the_test_set_are_dropped_and_reported():
    rows = [row(80, seed) for seed in range(30)]
    train = prepare.TrainingTable(yeast_plasmid.construct(rows), np.arange(30) / 2)
    data = prepare.dataset("d", train, small_test_set([row(80, 99), rows[7]]), origin="measured", seed=0)
    assert any("1 training rows occur in the test set and were dropped" in note for note in data.notes)
    used = np.concatenate([np.r_[s.train, s.val] for s in task.splits(data.meta)])
    assert 7 not in used
    assert set(used) == set(range(30)) - {7}


def test_singletons_are_whole_numbers_and_never_tested():
    rows = [row(80, seed) for seed in range(3)]
    train = prepare.TrainingTable(yeast_plasmid.construct(rows), np.array([11.0, 10.999999999999, 3.25]))
    data = prepare.dataset("d", train, small_test_set([row(80, 8), row(80, 9)]), origin="measured", seed=0)
    assert data.meta["is_singleton"].tolist() == [1, 0, 0, 0, 0]
    assert data.meta["is_reverse"].sum() == 0


def test_every_training_row_validates_once_designed_ones_test(simulated):
    splits = list(task.splits(simulated.meta))
    part = simulated.meta["part"].to_numpy()
    assert [(s.test_fold, s.val_fold) for s in splits] == task.protocol() == [(0, k) for k in range(10)]
    assert sorted(np.concatenate([s.val for s in splits])) == np.flatnonzero(part == prepare.TRAIN).tolist()
    for split in splits:
        assert not set(split.train) & set(split.val)
        assert (part[split.test] == prepare.TEST).all()
        assert len(split.val) == pytest.approx(0.1 * (part == prepare.TRAIN).sum(), abs=1)
    other = task.simulate(seed=4)
    assert not np.array_equal(other.meta["fold"], simulated.meta["fold"])


def test_a_kept_dataset_comes_back_with_its_subsets(simulated, tmp_path):
    store = Store(tmp_path)
    back = store.get_dataset(simulated.name, store.put_dataset(simulated))
    assert back.content_hash() == simulated.content_hash()
    split = next(task.splits(back.meta))
    y = np.random.default_rng(0).normal(size=len(split.test))
    first, second = (task.score(data.take(split.test), {"expression": y}) for data in (simulated, back))
    pd.testing.assert_frame_equal(first, second)
    changed = dataclasses.replace(simulated, tables=simulated.tables | {"subsets": simulated.tables["subsets"][1:]})
    assert changed.content_hash() != simulated.content_hash()


def test_scores_of_the_dataset_are_those_of_the_challenge_scorer(tmp_path):
    """The published layout, read by the scorer; and a dataset made of it, scored by the task."""
    test, _ = simulate.designed(np.random.default_rng(1))
    train = prepare.TrainingTable(yeast_plasmid.construct([row(80, seed) for seed in range(20)]), np.arange(20) / 2)
    data = prepare.dataset("d", train, test, origin="simulated", seed=0)
    rows = next(task.splits(data.meta)).test
    y_pred = test.y_true + np.random.default_rng(2).normal(size=len(test))
    found = task.score(data.take(rows), {"expression": y_pred})
    for level, part in (("private", "private"), ("whole", "all")):
        expected = challenge_score.score(test, y_pred, part)
        mine = found[found["level"] == level].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine[["subset", "metric", "value", "n"]], expected, rtol=1e-12)


def test_models_are_compared_without_folds(simulated):
    split = next(task.splits(simulated.meta))
    test = simulated.take(split.test)
    rng = np.random.default_rng(0)
    noisy = {
        name: [{"expression": test.targets["expression"] + rng.normal(0, sd, len(test))} for _ in range(2)]
        for name, sd in (("good", 0.2), ("vaishnav", 0.6))
    }
    found = task.compare(test, noisy, "vaishnav")
    assert found["ranking"]["model"].tolist() == ["good", "vaishnav"]
    assert (found["differences"]["ci_low"] > 0).all()
    assert set(found["differences"]["n_members"]) == {2}
    assert (found["rank_distributions"].groupby(["model", "metric"])["draws"].sum() == task.N_DRAWS).all()


def test_shuffled_labels_stay_on_their_own_scale(simulated):
    shuffled = simulated.with_shuffled_targets(0)
    for part in (prepare.TRAIN, prepare.TEST):
        rows = simulated.meta["part"] == part
        before, after = (np.sort(data.targets["expression"][rows]) for data in (simulated, shuffled))
        np.testing.assert_array_equal(before, after)
        assert not np.array_equal(simulated.targets["expression"][rows], shuffled.targets["expression"][rows])


def test_averaged_predictions_from_outside_are_refused(simulated, tmp_path):
    planned = make_plan(task, "quick", [Source("s", 10, simulated, "x")], seed=0, models=["kmer_ridge"])
    with pytest.raises(BadInput, match="compares single models"):
        external_predictions.add(planned, Store(tmp_path), tmp_path / "p.tsv", "mine", n_averaged=3)


# Both strands


def built(name="dream_cnn", **changes):
    torch_backend.configure("cpu", 1)
    torch_backend.seed_everything(0)
    module = registry.get_model(name)
    recipe = dataclasses.replace(module.RECIPE, width_scale=0.05, batch_size=4, epochs=1, **changes)
    return module.build(task.SPEC, recipe, {})


def few(simulated, n=10):
    return simulated.take(np.flatnonzero(simulated.meta["part"] == prepare.TRAIN)[:n])


def test_every_row_is_trained_on_as_it_is_and_turned_round(simulated):
    data = few(simulated)
    model = built()
    model.prepare(data, 1)
    x = model.batch(torch_backend.torch.arange(20))["x"].numpy()
    y = model.batch(torch_backend.torch.arange(20))["y"].numpy()[:, 0]
    bases = {"A": 0, "G": 1, "C": 2, "T": 3}
    other = {"A": "T", "T": "A", "C": "G", "G": "C", "N": "N"}
    for i, sequence in enumerate(decode(data.codes)):
        turned = "".join(other[base] for base in reversed(sequence))
        for at, text, is_reverse in ((i, sequence, 0.0), (10 + i, turned, 1.0)):
            expected = np.zeros((6, 150), dtype=np.float32)
            for position, base in enumerate(text):
                if base != "N":
                    expected[bases[base], position] = 1
            expected[4], expected[5] = is_reverse, data.meta["is_singleton"][i]
            np.testing.assert_array_equal(x[at], expected)
            assert y[at] == pytest.approx(data.targets["expression"][i])


def test_a_prediction_is_the_mean_of_both_strands(simulated):
    """Without the singleton channel."""
    data = few(simulated)
    assert data.meta["is_singleton"].any()
    model = built()
    model.prepare(data, 1)
    clean = dataclasses.replace(data, meta=data.meta.assign(is_singleton=0))
    shown = model.predict_train_view(clean)["expression"]
    found = model.predict(data)["expression"]
    np.testing.assert_allclose(found, (shown[:10] + shown[10:]) / 2, atol=1e-6)
    assert not np.allclose(model.predict_train_view(data)["expression"], shown), "selection sees the measured channel"


def test_an_epoch_is_all_batches_of_both_strands_or_a_number(simulated):
    data = few(simulated, 30)
    history = built().fit(data, few(simulated), seed=0)
    assert history[0]["sequences"] == 4 * (2 * 30 // 4)
    assert {"val_pearson_r", "val_pearson_r_clean"} <= set(history[0])
    assert built(batches_per_epoch=3).fit(data, few(simulated), seed=0)[0]["sequences"] == 12


def test_selection_is_by_both_strands_as_two_rows(simulated):
    data, val = few(simulated, 30), few(simulated)
    model = built()
    history = model.fit(data, val, seed=0)
    shown, truth = model.predict_train_view(val)["expression"], np.tile(val.targets["expression"], 2)
    assert history[0]["val_pearson_r"] == pytest.approx(scipy_stats.pearsonr(truth, shown).statistic, abs=1e-6)
    clean = scipy_stats.pearsonr(val.targets["expression"], model.predict(val)["expression"]).statistic
    assert history[0]["val_pearson_r_clean"] == pytest.approx(clean, abs=1e-6)


def test_epochs_of_a_number_of_batches_continue_the_pass():
    plan = torch_backend.loop.Schedule(4, 3, "pearson_r", drop_last=True, batches_per_epoch=4)
    batches = [plan.batches_of_epoch(epoch, 20, None, seed=1) for epoch in range(4)]
    assert [len(b) for b in batches] == [4] * 4
    flat = [batch for epoch in batches for batch in epoch]
    for one_pass in (flat[:6], flat[6:12]):
        rows = np.concatenate(one_pass)
        assert len(set(rows)) == 18, "no row twice in a pass of six full batches"
    assert not np.array_equal(flat[0], flat[6])


@pytest.mark.parametrize(
    ("changes", "n_copies", "averages"),
    [({}, 2, True), ({"average_strands": False}, 2, False), ({"conjoined": True}, 1, True)],
)
def test_strands_are_an_option(changes, n_copies, averages):
    model = built(**changes)
    assert (model.n_copies, model.averages_strands) == (n_copies, averages)


@pytest.mark.parametrize("processor", ["bhi", "unlockdna"])
def test_only_autosome_s_processor_makes_reverse_copies(processor):
    combination = Combination(processor, "bhi", "bhi", processor)
    recipe = dataclasses.replace(combination.recipe(), width_scale=0.05)
    assert combine.model(combination, task.SPEC, recipe).n_copies == 1


def test_combinations_are_compared_without_steps_at_test_time():
    assert not Combination("autosome", "bhi", "bhi", "autosome").recipe().average_strands
    assert registry.get_model("dream_rnn").RECIPE.average_strands


def test_published_networks_are_those_of_the_task():
    assert published.SPECS["yeast"] == task.SPEC


# Simulation


def test_the_simulated_challenge_has_all_subsets_and_a_label(simulated):
    assert simulated.origin == "simulated"
    assert simulated.notes[0].startswith("SIMULATED")
    split = next(task.splits(simulated.meta))
    truth = test_set.of_dataset(simulated.take(split.test))
    for part in ("public", "private", "all"):
        assert list(challenge_score.members(truth, part)) == list(challenge_score.WEIGHTS)
    regions = decode(simulated.codes[split.test][:, 57:137])
    changed = [sum(a != b for a, b in zip(regions[alt], regions[ref], strict=True)) for alt, ref in truth.pairs["SNVs"]]
    assert set(changed) == {1}


def test_simulated_training_values_are_bins_mostly_seen_once(simulated):
    y = simulated.targets["expression"][simulated.meta["part"] == prepare.TRAIN]
    assert y.min() >= 0
    assert y.max() <= 17
    assert 0.5 < (y == np.floor(y)).mean() < 0.85
    again = task.simulate.__wrapped__(seed=3)
    assert again.content_hash() == simulated.content_hash()


def test_the_noise_free_expression_is_the_ceiling(simulated):
    split = next(task.splits(simulated.meta))
    test = simulated.take(split.test)
    truth = simulate.expression(test.codes[:, 57:137])
    score = task.score(test, {"expression": truth})
    for ceiling in simulated.ceilings:
        mine = score[(score["level"] == ceiling["level"]) & (score["subset"] == "all")].set_index("metric")["value"]
        assert mine["pearson_r"] == pytest.approx(ceiling["value"], abs=1e-12)
        assert ceiling["value"] > 0.95
    challenge = score[score["metric"] == "pearson_score"]["value"]
    assert (challenge > 0.8).all()


def test_simulated_sites_count_the_same_on_both_strands():
    regions = np.zeros((2, 80), dtype=np.uint8)  # nothing but A: no site by chance
    for motif in simulate.MOTIFS:
        forward, reverse = regions.copy(), regions.copy()
        site = yeast_plasmid.encode([motif.consensus], len(motif.consensus))[0]
        forward[:, 30 : 30 + len(site)] = site
        reverse[:, 30 : 30 + len(site)] = 3 - site[::-1]
        np.testing.assert_allclose(simulate.expression(forward), simulate.expression(reverse))


# Finding data


def test_a_folder_without_a_training_table_says_how_to_get_one(tmp_path):
    result = CliRunner().invoke(app, ["run", "--task", "yeast", "--data", str(tmp_path), "--results", str(tmp_path)])
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"No training table at .*absent\.txt"):
        task.load(tmp_path / "absent.txt")


def test_two_commands_may_make_the_same_store(tmp_path, monkeypatch):
    """The other command finishes while this one fills its folder: its store stays, this one's goes."""
    file = write(tmp_path, ROWS)
    with atomic.whole_folder(tmp_path / "train_sequences.txt.prepared", replace=True) as new:
        prepare._write_store(file, new, None)
        monkeypatch.setattr(atomic.shutil, "rmtree", lambda *a, **k: None)
        (tmp_path / "train_sequences.txt.prepared" / "x").mkdir(parents=True)
    monkeypatch.undo()
    assert len(prepare.read_training(file)) == 4


def test_the_plan_of_the_published_protocol_needs_no_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", "--task", "yeast", "--preset", "paper", "--dry-run"])
    assert result.exit_code == 0
    assert "1 dataset × 1 test fold × 3 validation folds × 4 models = 12 trainings" in result.stderr + result.stdout
    assert not list(tmp_path.iterdir())


def test_real_rows_and_the_real_test_set_become_a_dataset(real_data, tmp_path):
    folder = real_data("yeast/random_promoters_dream_demo.tsv.gz").parent
    for file in folder.glob("*.tsv.gz"):
        (tmp_path / file.name).symlink_to(file)
    data = task.load(tmp_path, seed=0)
    part = data.meta["part"].to_numpy()
    assert ((part == prepare.TRAIN).sum(), (part == prepare.TEST).sum()) == (7_369, 71_103)
    assert any("INFERRED" in note for note in data.notes)
    table = pd.read_csv(folder / "random_promoters_dream_demo.tsv.gz", sep="\t")
    np.testing.assert_array_equal(data.targets["expression"][:7369], table["expression"])
    assert data.meta["is_singleton"][:7369].mean() == pytest.approx((table["expression"] % 1 == 0).mean())
    split = next(task.splits(data.meta))
    truth = pd.read_csv(folder / "test_designed_maude.tsv.gz", sep="\t")
    scored = task.score(data.take(split.test), {"expression": truth["camformer_pred"].to_numpy()})
    whole = scored[(scored["level"] == "whole") & (scored["metric"] == "pearson_r")].set_index("subset")["value"]
    assert whole["all"] == pytest.approx(0.958, abs=5e-4)
