"""The challenge: scores by an independent slow scorer, submissions checked, ranks by a naive bootstrap."""

import dataclasses
import gzip
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from typer.testing import CliRunner

from benchmarks.cli.main import app
from benchmarks.errors import BadInput
from benchmarks.yeast import challenge_score, rank_bootstrap, test_set

N = 900
WEIGHTS = {"all": 1, "high": 0.3, "low": 0.3, "yeast": 0.3, "random": 0.3, "challenging": 0.5}
PAIR_WEIGHTS = {"SNVs": 1.25, "motif_perturbation": 0.3, "motif_tiling": 0.4}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Write a made-up test set as the challenge published its own: repeated rows, tags, a self-pair, public parts."""
    rng = np.random.default_rng(4)
    folder = tmp_path_factory.mktemp("challenge")
    (folder / "test_subset_ids").mkdir()
    (folder / "public_leaderboard_ids").mkdir()
    sequences = ["".join(rng.choice(list("ACGT"), 110)) for _ in range(N)]
    y_true = np.round(rng.normal(size=N), 4)
    lines = (f"{s}\t{y}\n" for s, y in zip(sequences, y_true.tolist(), strict=True))
    (folder / "filtered_test_data_with_MAUDE_expression.txt").write_text("".join(lines))
    order = rng.permutation(N).tolist()
    singles, pairs, public, public_pairs = {}, {}, {}, {}
    files = {
        "high": "high_exp",
        "low": "low_exp",
        "yeast": "yeast",
        "random": "all_random",
        "challenging": "challenging",
    }
    for i, (name, stem) in enumerate(files.items()):
        mine = order[60 * i : 60 * i + 60]
        singles[name] = mine + mine[:13]  # some sequences carry two tags
        public[name] = mine[:25]
        rows = "".join(f"{j},tag{j},{sequences[p]},{p},\n" for j, p in enumerate(singles[name]))
        (folder / "test_subset_ids" / f"{stem}_seqs.csv").write_text(",tag,sequence,pos,exp\n" + rows)
        content = {str(p): float(y_true[p]) for p in public[name]}
        (folder / "public_leaderboard_ids" / f"{name}_exp_indices.json").write_text(json.dumps(content))
    for i, (name, spelling) in enumerate((("SNVs", "all_SNVs_seqs"), ("motif_perturbation", "motif_perturbation"),
                                          ("motif_tiling", "motif_tiling_seqs"))):  # fmt: skip
        mine = [(int(a), int(b)) for a, b in rng.choice(order[300 + 150 * i : 450 + 150 * i], (80, 2))]
        mine += [*mine[:9], (order[0], order[0])]  # repeated pairs, and one of a sequence with itself
        pairs[name], public_pairs[name] = mine, mine[:30]
        rows = "".join(f"{j},a,r,{sequences[a]},{sequences[b]},{a},{b},,\n" for j, (a, b) in enumerate(mine))
        header = ",alt_tag,ref_tag,alt_sequence,ref_sequence,alt_pos,ref_pos,alt_exp,ref_exp\n"
        (folder / "test_subset_ids" / f"{spelling}.csv").write_text(header + rows)
        content = {f"{a},{b}": [float(y_true[a]), float(y_true[b])] for a, b in public_pairs[name]}
        (folder / "public_leaderboard_ids" / f"{name}_exp_indices.json").write_text(json.dumps(content))
    y_pred = np.round(y_true * 2 + 11 + rng.normal(size=N), 1)  # rounded, so that there are ties
    return {"folder": folder, "sequences": sequences, "y_true": y_true, "y_pred": y_pred, "singles": singles,
            "pairs": pairs, "public": public, "public_pairs": public_pairs}  # fmt: skip


def slow_scores(made, part):
    """Score with lists and scipy, as one would read the rules aloud."""
    y, p = made["y_true"].tolist(), made["y_pred"].tolist()
    union = []
    for name in made["public"]:
        union += made["public"][name]
    for name in made["public_pairs"]:
        for pair in made["public_pairs"][name]:
            union += list(pair)

    def wanted(position):
        return part == "all" or (position in union) == (part == "public")

    found = {}

    def add(name, weight, a, b):
        found[name] = (weight, scipy_stats.pearsonr(a, b).statistic, scipy_stats.spearmanr(a, b).statistic, len(a))

    rows = [i for i in range(N) if wanted(i)]
    add("all", 1, [y[i] for i in rows], [p[i] for i in rows])
    for name, listed in made["singles"].items():
        rows = [i for i in range(N) if i in listed and wanted(i)]
        add("native" if name == "yeast" else name, WEIGHTS[name], [y[i] for i in rows], [p[i] for i in rows])
    for name, listed in made["pairs"].items():
        chosen = []
        for pair in listed:
            is_public = pair in made["public_pairs"][name]
            if pair not in chosen and (part == "all" or is_public == (part == "public")):
                chosen.append(pair)
        a, b = [y[i] - y[j] for i, j in chosen], [p[i] - p[j] for i, j in chosen]
        add(name, PAIR_WEIGHTS[name], a, b)
    total = sum(weight for weight, *_ in found.values())
    assert total == pytest.approx(4.65)
    return found, (
        sum(w * r * r for w, r, _, _ in found.values()) / total,
        sum(w * rho for w, _, rho, _ in found.values()) / total,
    )


@pytest.mark.parametrize("part", ["public", "private", "all"])
def test_scores_equal_those_of_a_slow_independent_scorer(made, part):
    expected, (pearson, spearman) = slow_scores(made, part)
    table = challenge_score.score(test_set.read(made["folder"]), made["y_pred"], part)
    found = table.set_index(["subset", "metric"])
    for name, (_, r, rho, n) in expected.items():
        assert found.loc[(name, "pearson_r"), "value"] == pytest.approx(r, abs=1e-12)
        assert found.loc[(name, "spearman_rho"), "value"] == pytest.approx(rho, abs=1e-12)
        assert found.loc[(name, "pearson_r"), "n"] == n
    assert found.loc[("challenge", "pearson_score"), "value"] == pytest.approx(pearson, abs=1e-12)
    assert found.loc[("challenge", "spearman_score"), "value"] == pytest.approx(spearman, abs=1e-12)
    assert set(table["subset"]) == {*expected, "challenge"}


def test_scaling_and_turning_the_pairs_round_change_nothing(made):
    test = test_set.read(made["folder"])
    turned = test_set.TestSet(
        test.y_true, test.is_public, test.singles, {k: v[:, ::-1] for k, v in test.pairs.items()}, test.public_pairs
    )
    one, other = (
        challenge_score.score(test, made["y_pred"]),
        challenge_score.score(turned, 4 * made["y_pred"]),
    )  # exact: no tie is broken
    np.testing.assert_allclose(one["value"], other["value"], atol=1e-12)


def test_a_missing_subset_leaves_the_score_undefined_and_says_so(made, tmp_path):
    import shutil

    shutil.copytree(made["folder"], tmp_path / "d")
    (tmp_path / "d" / "test_subset_ids" / "all_SNVs_seqs.csv").unlink()
    test = test_set.read(tmp_path / "d")
    assert any("subset SNVs is not scored" in note for note in test.notes)
    table = challenge_score.score(test, made["y_pred"], "all")
    assert "SNVs" not in set(table["subset"])
    assert table[table["subset"] == "challenge"]["value"].isna().all()
    with pytest.raises(BadInput, match="--partial"):
        rank_bootstrap.bootstrap(test, {"a": made["y_pred"]}, n_draws=1)


# Submissions


def text_of(made, values=None, sequences=None):
    pairs = zip(sequences or made["sequences"], (made["y_pred"] if values is None else values), strict=False)
    return "".join(f"{s}\t{v}\n" for s, v in pairs)


def public_json(made):
    test = test_set.read(made["folder"])
    return {str(i): float(made["y_pred"][i]) for i in np.flatnonzero(test.is_public)}


def call(made, command, file, *words):
    words = ["challenge", command, "--data", str(made["folder"]), "--submission", str(file), *words]
    return CliRunner().invoke(app, words)


@pytest.mark.parametrize("gz", [False, True])
def test_both_formats_give_the_same_public_scores(made, tmp_path, gz):
    contents = {"final.txt": text_of(made), "board.json": json.dumps(public_json(made))}
    results = []
    for name, content in contents.items():
        file = tmp_path / (f"{name}.gz" if gz else name)
        file.write_bytes(gzip.compress(content.encode()) if gz else content.encode())
        done = call(made, "score", file, "--part", "public", "--json")
        assert done.exit_code == 0, done.stderr
        results.append(json.loads(done.stdout)["scores"])
        assert call(made, "validate", file).exit_code == 0
    assert results[0] == results[1]
    (_, (pearson, _)) = slow_scores(made, "public")
    assert next(r["value"] for r in results[0] if r["metric"] == "pearson_score") == pytest.approx(pearson, abs=1e-12)
    assert "only the public rows" in call(made, "score", tmp_path / ("board.json.gz" if gz else "board.json")).stderr


def swapped(made):
    names = list(made["sequences"])
    names[6], names[7] = names[7], names[6]
    return names


BROKEN = {
    "few lines": (lambda m: text_of(m, m["y_pred"][:-3]), [f"{N} lines expected", f"got {N - 3}"]),
    "order": (lambda m: text_of(m, sequences=swapped(m)), ["2 sequences are not those", "line 7"]),
    "nan": (lambda m: text_of(m, np.where(np.arange(N) == 4, np.nan, m["y_pred"])), ["line 5", "'nan'"]),
    "text": (lambda m: text_of(m).replace(str(m["y_pred"][0]), "high", 1), ["line 1", "'high'"]),
    "columns": (lambda m: text_of(m).replace("\t", " ", 1), ["line 1", "two tab-separated columns expected, got 1"]),
    "constant": (lambda m: text_of(m, np.full(N, 3.0)), ["every prediction is 3"]),
    "missing rows": (lambda m: json.dumps(dict(list(public_json(m).items())[5:])), ["5 of", "public rows are missing"]),
    "private row": (lambda m: json.dumps(public_json(m) | {"x1": 1.0}), ["row 'x1' is not one of the"]),
    "null": (
        lambda m: json.dumps(public_json(m) | {next(iter(public_json(m))): None}),
        ["a finite number expected, got None"],
    ),
    "twice": (
        lambda m: f'{{"{next(iter(public_json(m)))}": 1.0, ' + json.dumps(public_json(m))[1:],
        ["appears twice"],
    ),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_what_is_wrong_with_a_submission_is_said_precisely(what, made, tmp_path):
    make, says = BROKEN[what]
    (tmp_path / "s.txt").write_text(make(made))
    done = call(made, "validate", tmp_path / "s.txt")
    assert done.exit_code == 2
    for words in says:
        assert words in done.stderr
    listed = json.loads(call(made, "validate", tmp_path / "s.txt", "--json").stdout)
    assert (listed["valid"], bool(listed["problems"])) == (False, True)
    if what != "constant":  # that one can be read, and has no correlation
        scored = call(made, "score", tmp_path / "s.txt", "--part", "public")
        assert (scored.exit_code, scored.stderr.count("\n")) == (2, 1)


def test_every_problem_is_listed_but_not_without_end(made, tmp_path):
    (tmp_path / "s.txt").write_text("".join(f"{s}\tx\n" for s in made["sequences"]))
    done = call(made, "validate", tmp_path / "s.txt")
    assert done.stderr.count("a finite number expected") == 20
    assert f"… and {N - 20} more" in done.stderr


@pytest.mark.parametrize("file", ["pos", "range", "truth", "json"])
def test_bad_test_sets_get_one_sentence(file, made, tmp_path):
    import shutil

    shutil.copytree(made["folder"], tmp_path / "d")
    high = tmp_path / "d" / "test_subset_ids" / "high_exp_seqs.csv"
    if file == "pos":
        high.write_text(high.read_text().replace(",pos,", ",place,"))
    elif file == "range":
        high.write_text(high.read_text() + f"99,t,ACGT,{N},\n")
    elif file == "truth":
        (tmp_path / "d" / test_set.TRUTH).unlink()
    else:
        (tmp_path / "d" / "public_leaderboard_ids" / "high_exp_indices.json").write_text("{")
    (tmp_path / "s.txt").write_text(text_of(made))
    words = ["challenge", "score", "--data", str(tmp_path / "d"), "--submission", str(tmp_path / "s.txt")]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)


# Ranks


def three(made):
    rng = np.random.default_rng(9)
    return {
        name: np.round(made["y_true"] + rng.normal(size=N) * sd, 1) for name, sd in (("a", 0.5), ("b", 1), ("c", 2))
    }


def test_the_bootstrap_agrees_with_a_naive_one(made):
    """3 submissions x 50 samples: the same items, scored by scipy one after the other."""
    test, given = test_set.read(made["folder"]), three(made)
    found = rank_bootstrap.bootstrap(test, given, n_draws=50, seed=3, n_threads=2)
    where = challenge_score.members(test, "private")
    assert list(found.parts) == list(where) == list(challenge_score.WEIGHTS)
    for draw in range(50):
        rng = np.random.default_rng([3, draw])
        scores = np.zeros((3, 2))
        for name, rows in where.items():
            items = rng.choice(len(rows), max(2, round(0.1 * len(rows))), replace=False, shuffle=False)
            chosen = rows[items]
            for i, y_pred in enumerate(given.values()):
                pick = (lambda y: y[chosen]) if rows.ndim == 1 else (lambda y: y[chosen[:, 0]] - y[chosen[:, 1]])  # noqa: B023
                a, b = pick(test.y_true), pick(y_pred)
                r, rho = (f(a, b).statistic for f in (scipy_stats.pearsonr, scipy_stats.spearmanr))
                scores[i] += challenge_score.WEIGHTS[name] * np.array([r**2, rho]) / 4.65
        np.testing.assert_allclose(found.scores[draw], scores, atol=1e-12)
        np.testing.assert_array_equal(found.ranks[draw], scipy_stats.rankdata(-scores, axis=0))


def test_samples_have_the_stated_size_and_no_item_twice(made, monkeypatch):
    sizes = []
    usual = rank_bootstrap.Samples.correlations

    def noted(self, items):
        sizes.append((self.n, len(items), len(set(items.tolist()))))
        return usual(self, items)

    monkeypatch.setattr(rank_bootstrap.Samples, "correlations", noted)
    rank_bootstrap.bootstrap(test_set.read(made["folder"]), three(made), n_draws=3)
    assert len(sizes) == 27
    assert all(k == distinct == max(2, round(0.1 * n)) for n, k, distinct in sizes)


def test_the_better_submission_is_first_whatever_the_threads(made, tmp_path):
    test, given = test_set.read(made["folder"]), three(made)
    one, two = (rank_bootstrap.bootstrap(test, given, n_draws=200, n_threads=n, seed=1) for n in (1, 2))
    assert np.array_equal(one.scores, two.scores)
    assert one.table()["submission"].tolist() == ["a", "b", "c"]
    assert one.table()["place"].tolist() == [1, 2, 3]


def test_equal_submissions_share_ranks_and_constants_come_last(made):
    given = three(made)
    given |= {"again": given["a"], "flat": np.ones(N)}
    table = rank_bootstrap.bootstrap(test_set.read(made["folder"]), given, n_draws=20).table().set_index("submission")
    assert table.loc["a", "mean_rank"] == table.loc["again", "mean_rank"]
    assert table.loc["a", "place"] == table.loc["again", "place"] == 1
    assert table.loc["flat", "mean_rank"] == 5


@pytest.mark.parametrize("n", [12, 70_000])
def test_ranks_of_samples_are_scipy_s_with_ties_and_without(n):
    rng = np.random.default_rng(n)
    y = np.stack([rng.normal(size=n), np.round(rng.normal(size=n), 1), np.arange(n) % 5])
    samples = rank_bootstrap.Samples(rng.normal(size=n), y)
    for items in (rng.choice(n, max(2, n // 10), replace=False), rng.integers(0, n, n), np.arange(n)):
        expected = scipy_stats.rankdata(samples.values[:, items], axis=1)
        np.testing.assert_array_equal(samples._ranks(items), expected)


@pytest.mark.slow
def test_the_paired_bootstrap_detects_only_real_differences(made):
    test, given = test_set.read(made["folder"]), three(made)
    near = given["a"] + np.random.default_rng(1).normal(size=N) * 0.01
    members = {"a": given["a"][None], "near": near[None], "c": given["c"][None]}
    found = rank_bootstrap.compare(test, members, "a", n_draws=300)
    far = found["differences"].query("model == 'c'")
    assert (far["p_value"] < 0.05).all()
    assert (far["ci_high"] < 0).all()
    scores = [challenge_score.challenge_scores(challenge_score.score(test, given[name])) for name in ("c", "a")]
    expected = [scores[0][metric] - scores[1][metric] for metric in far["metric"]]
    np.testing.assert_allclose(far["difference"], expected, atol=1e-12)
    close = found["differences"].query("model == 'near'")
    assert (close["ci_low"] < 0).all()
    assert (close["ci_high"] > 0).all()


def test_members_are_averaged_by_their_scores_in_every_draw(made):
    """Two members of a model: means and spread by the scorer, a draw of the paired bootstrap by scipy, one by one."""
    test, given = test_set.read(made["folder"]), three(made)
    members = {"two": np.stack([given["a"], given["b"]]), "c": given["c"][None]}
    found = rank_bootstrap.compare(test, members, "c", n_draws=1, seed=5)
    by_name = {name: challenge_score.challenge_scores(challenge_score.score(test, y)) for name, y in given.items()}
    row = found["differences"].set_index("metric").loc["pearson_score"]
    both = [by_name[name]["pearson_score"] for name in ("a", "b")]
    assert row["mean_model"] == pytest.approx(np.mean(both), abs=1e-12)
    assert row["sd_model"] == pytest.approx(abs(both[0] - both[1]) / np.sqrt(2), abs=1e-12)
    assert np.isnan(row["sd_baseline"])
    rng, drawn = np.random.default_rng([5, 0]), dict.fromkeys("abc", 0.0)
    for name, rows in challenge_score.members(test, "private").items():
        chosen = rows[rng.integers(0, len(rows), len(rows))]
        truth, *predicted = (challenge_score.values_of(np.asarray(y), chosen) for y in (test.y_true, *given.values()))
        for which, y in zip("abc", predicted, strict=True):
            drawn[which] += challenge_score.WEIGHTS[name] * scipy_stats.pearsonr(truth, y).statistic ** 2 / 4.65
    expected = (drawn["a"] + drawn["b"]) / 2 - drawn["c"]
    assert row["ci_low"] == row["ci_high"] == pytest.approx(expected, abs=1e-12)
    assert found["ranking"]["model"].tolist() == ["two", "c"]


def test_disparities_are_shares_of_the_best():
    rows = [("x", "high", "pearson_r", 0.9), ("y", "high", "pearson_r", 0.6), ("x", "high", "spearman_rho", 0.8),
            ("y", "high", "spearman_rho", 0.6), ("x", "challenge", "pearson_score", 1.0)]  # fmt: skip
    far = rank_bootstrap.disparities(pd.DataFrame(rows, columns=["submission", "subset", "metric", "value"]))
    found = far.set_index("metric")["percent"]
    assert found["pearson_r"] == pytest.approx(100 * (0.81 - 0.36) / 0.81)
    assert found["spearman_rho"] == pytest.approx(25)
    assert set(far["subset"]) == {"high"}


@pytest.mark.slow
def test_rank_and_leaderboard_write_what_they_print(made, tmp_path):
    folder = tmp_path / "subs"
    folder.mkdir()
    for name, values in three(made).items():
        (folder / f"{name}_2022-07-0{ord(name) - 96}.txt").write_text(text_of(made, values))
    words = ["--data", str(made["folder"]), "--submissions", str(folder)]
    done = CliRunner().invoke(
        app, ["challenge", "rank", *words, "--draws", "40", "--out", str(tmp_path / "o"), "--json"]
    )
    assert done.exit_code == 0, done.stderr
    ranking = json.loads(done.stdout)["ranking"]
    assert [row["submission"][0] for row in ranking] == ["a", "b", "c"]
    tables = {"ranking", "scores", "disparities", "rank_distributions", "score_distributions"}
    plots = {"ranks", "score_distributions", "heat_map", "disparities"}
    expected = {f"{name}.csv" for name in tables} | {f"{name}.{kind}" for name in plots for kind in ("png", "svg")}
    assert {file.name for file in (tmp_path / "o").iterdir()} == expected
    spread = pd.read_csv(tmp_path / "o" / "rank_distributions.csv")
    assert (spread.groupby(["submission", "metric"])["draws"].sum() == 40).all()
    board = CliRunner().invoke(
        app, ["challenge", "leaderboard", *words, "--part", "private", "--json", "--out", str(tmp_path / "b")]
    )
    names = {"leaderboard.csv", "scores.csv", "progression.png", "progression.svg"}
    assert {file.name for file in (tmp_path / "b").iterdir()} == names
    rows = json.loads(board.stdout)["leaderboard"]
    assert next((row["team"], row["date"]) for row in rows) == ("a", "2022-07-01")
    scores = [row["pearson_score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert not any(map(math.isnan, scores))


# Real data


def test_camformer_s_published_predictions_score_as_published(real_data):
    file = real_data("yeast/test_designed_maude.tsv.gz")
    y_pred = pd.read_csv(file, sep="\t")["camformer_pred"].to_numpy()
    test = test_set.read(file.parent)
    assert len(test) == 71_103
    found = challenge_score.score(test, y_pred, "all").set_index(["subset", "metric"])
    expected = {"all": 0.958, "random": 0.968, "challenging": 0.943, "native": 0.852, "high": 0.554, "low": 0.613,
                "motif_perturbation": 0.975}  # fmt: skip
    for name, r in expected.items():
        assert found.loc[(name, "pearson_r"), "value"] == pytest.approx(r, abs=6e-4)
    sizes = {"high": 968, "low": 997, "native": 578, "random": 6_349, "challenging": 1_953, "motif_perturbation": 3_287,
             "motif_tiling": 2_624}  # fmt: skip
    assert {name: found.loc[(name, "pearson_r"), "n"] for name in sizes} == sizes
    public = challenge_score.score(test, y_pred, "public").set_index(["subset", "metric"])
    assert public.loc[("SNVs", "pearson_r"), "value"] == pytest.approx(0.808, abs=6e-4)
    assert (public.loc[("SNVs", "pearson_r"), "n"], public.loc[("all", "pearson_r"), "n"]) == (4_670, 9_045)
    private = challenge_score.score(test, y_pred, "private").set_index(["subset", "metric"])
    assert {name: private.loc[(name, "pearson_r"), "n"] for name in ("all", "high", "low", "native", "random",
            "challenging", "motif_perturbation", "motif_tiling")} == {
        "all": 62_058, "high": 872, "low": 898, "native": 370, "random": 5_616, "challenging": 1_758,
        "motif_perturbation": 2_959, "motif_tiling": 2_361,
    }  # fmt: skip
    assert math.isnan(challenge_score.challenge_scores(private["value"].rename("value").reset_index())["pearson_score"])


def test_a_part_of_one_item_is_drawn_whole(made):
    """Two items are drawn at least, where there are two."""
    read = test_set.read(made["folder"])
    few = dataclasses.replace(read, pairs=read.pairs | {"motif_tiling": read.pairs["motif_tiling"][:1]},
                              public_pairs=read.public_pairs | {"motif_tiling": np.array([False])})  # fmt: skip
    with np.errstate(all="ignore"):
        found = rank_bootstrap.bootstrap(few, {"a": made["y_pred"], "b": -made["y_pred"]}, n_draws=3)
    assert found.scores.shape == (3, 2, 2)
