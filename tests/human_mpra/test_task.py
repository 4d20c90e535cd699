"""The human_mpra task: its splits by counting, its scores against pandas and scipy by hand."""

import gzip
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.api.data import Dataset
from benchmarks.errors import BadInput
from benchmarks.human_mpra import task


@pytest.fixture(scope="module")
def simulated():
    return task.simulate(seed=0)


# --- splits


def test_the_protocol_is_every_ordered_pair_of_ten_folds():
    assert task.protocol() == list(permutations(range(10), 2))
    assert len(task.protocol()) == 90


def test_splits_follow_the_protocol_and_keep_elements_whole(simulated):
    meta = simulated.meta
    splits = list(task.splits(meta))
    assert [(split.test_fold, split.val_fold) for split in splits] == task.protocol()
    for split in splits:
        parts = [split.train, split.val, split.test]
        assert sorted(np.concatenate(parts)) == list(range(len(meta)))
        groups = [set(meta["group"].iloc[rows]) for rows in parts]
        assert sum(map(len, groups)) == meta["group"].nunique()  # no element in two parts
        assert set(meta["fold"].iloc[split.test]) == {split.test_fold}
        assert set(meta["fold"].iloc[split.val]) == {split.val_fold}


def test_every_row_is_tested_by_nine_members(simulated):
    tested = np.zeros(len(simulated), dtype=int)
    for split in task.splits(simulated.meta):
        tested[split.test] += 1
    assert set(tested) == {9}


def test_a_file_with_its_own_sets_gives_one_split():
    meta = pd.DataFrame({"group": range(5), "split": ["test", "train", "val", "train", "test"]})
    (split,) = task.splits(meta)
    assert split.train.tolist() == [1, 3]
    assert split.val.tolist() == [2]
    assert split.test.tolist() == [0, 4]


# --- scores


def measured(groups, y_true):
    meta = pd.DataFrame({"group": groups})
    meta["orientation"] = meta.groupby("group").cumcount()
    targets = {"expression": np.asarray(y_true, dtype=np.float32)}
    return Dataset("x", np.zeros((len(groups), 230), dtype=np.uint8), targets, meta, "measured")


def values(scores):
    return scores.set_index(["level", "metric"])["value"]


def test_scores_by_hand():
    # Element 7 measured 1 and 3, element 9 measured 2 and 8, element 5 once; predictions beside them.
    test = measured([7, 9, 7, 5, 9], [1, 2, 3, 4, 8])
    scores = task.score(test, {"expression": np.array([2, 2, 4, 4, 10], dtype=np.float32)})
    assert values(scores)["row", "mse"] == pytest.approx((1 + 0 + 1 + 0 + 4) / 5)
    assert values(scores)["strand_averaged", "mse"] == pytest.approx(((2 - 3) ** 2 + (5 - 6) ** 2) / 2)
    assert values(scores)["strand_averaged", "pearson_r"] == pytest.approx(1.0)  # two points lie on a line
    assert scores.groupby("level")["n"].unique().map(list).to_dict() == {"row": [5], "strand_averaged": [2]}


def test_an_element_measured_twice_on_one_strand_is_not_averaged():
    # Element 1: twice forward (1, 3) and once reverse (6); element 2: twice forward; element 3: both; element 4: both.
    test = measured([1, 1, 1, 2, 2, 3, 3, 4, 4], [1, 3, 6, 5, 5, 0, 2, 1, 5])
    test.meta["orientation"] = [0, 0, 1, 0, 0, 0, 1, 0, 1]
    scores = task.score(test, {"expression": np.array([1, 3, 4, 9, 9, 0, 2, 1, 5], dtype=np.float32)})
    assert scores.groupby("level")["n"].first().to_dict() == {"row": 9, "strand_averaged": 3}
    # Element 1: measured (2 + 6) / 2 = 4, predicted (2 + 4) / 2 = 3; elements 3 and 4 are predicted exactly.
    assert values(scores)["strand_averaged", "mse"] == pytest.approx((4 - 3) ** 2 / 3)


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_scipy_over_strand_averages(seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.concatenate([np.repeat(np.arange(80), 2), np.arange(80, 120)]))
    y_true = rng.normal(size=200).astype(np.float32)
    y_pred = (0.6 * y_true + rng.normal(size=200)).astype(np.float32)
    scores = task.score(measured(groups, y_true), {"expression": y_pred})

    elements = sorted({group for group in groups if (groups == group).sum() == 2})
    averaged = [
        [float(column[groups == group].astype(float).mean()) for group in elements] for column in (y_true, y_pred)
    ]
    levels = {"row": (y_true.astype(float), y_pred.astype(float)), "strand_averaged": tuple(map(np.array, averaged))}
    expected = {}
    for level, (true, predicted) in levels.items():
        expected[level, "pearson_r"] = stats.pearsonr(true, predicted).statistic
        expected[level, "spearman_rho"] = stats.spearmanr(true, predicted).statistic
        expected[level, "mse"] = np.square(true - predicted).mean()
    assert values(scores).to_dict() == pytest.approx(expected, abs=1e-9)
    assert scores.set_index("level")["n"].groupby(level=0).first().to_dict() == {"row": 200, "strand_averaged": 80}


def test_score_rows_are_named_for_the_long_table(simulated):
    scores = task.score(simulated, {"expression": simulated.targets["expression"]})
    assert list(scores) == ["output", "subset", "level", "metric", "value", "n"]
    assert set(scores["output"]) == {"expression"}
    assert set(scores["subset"]) == {"all"}
    assert not scores.duplicated(["level", "metric"]).any()


def test_a_perfect_prediction_scores_one(simulated):
    score = values(task.score(simulated, {"expression": simulated.targets["expression"]}))
    for level in ("row", "strand_averaged"):
        assert score[level, "pearson_r"] == pytest.approx(1)
        assert score[level, "spearman_rho"] == pytest.approx(1)
        assert score[level, "mse"] == 0


def test_scores_do_not_depend_on_the_order_of_rows(simulated):
    rng = np.random.default_rng(0)
    y_pred = rng.normal(size=len(simulated)).astype(np.float32)
    order = rng.permutation(len(simulated))
    in_order = values(task.score(simulated, {"expression": y_pred}))
    shuffled = values(task.score(simulated.take(order), {"expression": y_pred[order]}))
    assert shuffled.to_dict() == pytest.approx(in_order.to_dict())


def test_without_pairs_the_strand_averaged_level_is_undefined():
    scores = task.score(measured([1, 2, 3], [1, 2, 4]), {"expression": np.array([1.0, 2.0, 3.0])})
    averaged = scores[scores["level"] == "strand_averaged"]
    assert averaged["n"].tolist() == [0, 0, 0]
    assert averaged["value"].isna().all()
    assert values(scores)["row", "pearson_r"] == pytest.approx(stats.pearsonr([1, 2, 4], [1, 2, 3]).statistic)


def test_a_constant_prediction_has_no_correlation_but_an_error():
    scores = values(task.score(measured([1, 1, 2, 2], [1, 2, 3, 4]), {"expression": np.full(4, 2.5)}))
    assert np.isnan(scores["row", "pearson_r"])
    assert scores["row", "mse"] == pytest.approx(1.25)


# --- data


def test_the_embedded_experiment_fits_the_task(simulated):
    assert simulated.origin == "simulated"
    assert simulated.codes.shape[1] == task.SPEC.seq_len == 230
    assert tuple(simulated.targets) == task.SPEC.outputs
    for channel in task.SPEC.side_channels:
        assert set(simulated.meta[channel]) == {0, 1}


def test_the_task_names_the_published_comparison():
    assert (task.NAME, task.BASELINE) == ("human_mpra", "mprann")
    assert task.DATASETS == ("HepG2", "K562", "WTC11")
    assert set(task.MODELS) == {"dream_cnn", "dream_rnn", "dream_attn", "mprann"}
    assert task.SPEC.side_channels == ("is_reverse",)
    assert set(task.APPROX_ROWS) == set(task.DATASETS)


def table(n=12):
    rng = np.random.default_rng(0)
    rows = [f"s{i}_F\t{''.join(rng.choice(list('ACGT'), 200))}\t{i}\t{i % 10}" for i in range(n)]
    return "seq_id\tseq\tmean_value\tfold\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("K562_clean.tsv", "K562"),
        ("WTC11_clean.tsv.gz", "WTC11"),
        ("HepG2.tsv", "HepG2"),
        ("K562_averaged.tsv", "K562_averaged"),
        ("my table.tsv", "my_table"),
    ],
)
def test_a_dataset_is_named_after_its_cell_type_or_file(tmp_path, file, name):
    content = table().encode()
    (tmp_path / file).write_bytes(gzip.compress(content) if file.endswith(".gz") else content)
    data = task.load(tmp_path / file)
    assert data.name == name
    assert len(data) == 12


def test_load_passes_on_how_folds_are_drawn(tmp_path):
    path = tmp_path / "K562.tsv"
    path.write_text(table(200))
    published, first, again, other = (
        task.load(path, **options).meta["fold"].tolist()
        for options in ({}, {"refold": True, "seed": 1}, {"refold": True, "seed": 1}, {"refold": True, "seed": 2})
    )
    assert published == [i % 10 for i in range(200)]
    assert first == again
    assert first != other
    assert first != published


def test_the_published_tables_are_found_plain_or_compressed(tmp_path):
    for name in ("HepG2_clean.tsv", "K562_clean.tsv.gz", "WTC11_clean.tsv", "WTC11_clean.tsv.gz", "other.tsv"):
        (tmp_path / name).touch()
    assert task.published(tmp_path) == {
        "HepG2": tmp_path / "HepG2_clean.tsv",
        "K562": tmp_path / "K562_clean.tsv.gz",
        "WTC11": tmp_path / "WTC11_clean.tsv",
    }


def test_a_missing_published_table_says_where_to_get_it(tmp_path):
    (tmp_path / "HepG2_clean.tsv").touch()
    with pytest.raises(BadInput) as caught:
        task.published(tmp_path)
    assert str(tmp_path / "K562_clean.tsv") in str(caught.value)
    assert "10.5281/zenodo.10633252" in str(caught.value)
    assert "--data" in str(caught.value)
    assert "{folder}" not in str(caught.value)
