"""The grid of combinations: what came of each, which converged, what Fig. 2b-e show; and a whole grid end to end."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from benchmarks.cli.main import app
from benchmarks.engine.figures import prixfixe_grid, style
from benchmarks.errors import BadInput
from benchmarks.yeast import simulate, task
from dream_models.prixfixe import grid
from dream_models.prixfixe.combinations import TEAMS, combinations

FITTING = [c for c in combinations() if not c.refusal()]
LOOK = {"what": "w", "teams": {key: team.title for key, team in TEAMS.items()}, "simulated": True}


def tables(r_of, *, failed=(), absent=(), metric="pearson_score", subset="challenge"):
    """Make scores, jobs and history of one test fold with three members; a score is half the validation r."""
    scores, jobs, history = [], [], []
    for c in FITTING:
        model = grid.model_name(c)
        if c in absent:
            continue
        for val in range(3):
            status = "failed" if c in failed and val == 1 else "done"
            jobs.append({"model": model, "status": status, "reason": "no memory", "n_params": 1000 + len(jobs)})
            if status == "done":
                r = r_of(c) + 0.01 * (val - 1)
                history.append({"model": model, "val_pearson_r": r - 0.1, "is_best": False})
                history.append({"model": model, "val_pearson_r": r, "is_best": True})
                about = {"model": model, "test_fold": 0, "val_fold": val, "role": "member", "metric": metric}
                scores.append(about | {"subset": subset, "level": "private", "value": r / 2})
                scores.append(about | {"subset": subset, "level": "whole", "value": 0.0})
    return pd.DataFrame(scores), pd.DataFrame(jobs), pd.DataFrame(history)


def r_of(c):
    return 0.4 + 0.1 * TEAMS[c.first].code + 0.02 * TEAMS[c.core].code


def test_every_combination_has_a_row_with_what_came_of_it():
    bad, failed, absent = FITTING[0], FITTING[1], FITTING[2]
    made = tables(lambda c: 0.05 if c == bad else r_of(c), failed=[failed], absent=[absent])
    table = grid.summarise(*made, {}, "pearson_score").set_index("code")
    assert len(table) == 81
    assert table["status"].value_counts().to_dict() == {
        "scored": 42, "incompatible": 36, "not converged": 1, "failed": 1, "waiting": 1,
    }  # fmt: skip
    assert table.loc[bad.code, "status"] == "not converged"
    assert "0.050" in table.loc[bad.code, "reason"]
    assert table.loc[failed.code, "reason"] == "no memory"
    one = FITTING[10]
    assert table.loc[one.code, "value"] == pytest.approx(r_of(one) / 2), "the mean over members of the first level"


def test_the_rule_of_convergence_is_half_the_median():
    values = dict.fromkeys(FITTING, 1.0)
    values[FITTING[0]], values[FITTING[1]] = 0.49, 0.51
    table = grid.summarise(*tables(values.get), {}, "pearson_score").set_index("code")
    assert table.loc[FITTING[0].code, "status"] == "not converged"
    assert table.loc[FITTING[1].code, "status"] == "scored"
    assert "at least 0.5 of the median" in grid.RULE


def test_declined_combinations_differ_from_those_that_do_not_fit():
    c = FITTING[3]
    table = grid.summarise(*tables(r_of, absent=[c]), {grid.model_name(c): "has one head"}, "pearson_score")
    row = table.set_index("code").loc[c.code]
    assert (row["status"], row["reason"]) == ("declined", "has one head")
    refused = table[table["status"] == "incompatible"]
    assert (refused["reason"].str.len() > 20).all()


def test_an_unknown_metric_names_the_known():
    with pytest.raises(BadInput, match="pearson_score"):
        grid.summarise(*tables(r_of), {}, "pearson_scores")


def test_originals_stand_beside_the_best_with_their_core():
    table = grid.summarise(*tables(r_of), {}, "pearson_score")
    pairs = grid.originals_and_best(table).set_index(["core", "kind"])
    for core in TEAMS:
        same = [c for c in FITTING if c.core == core]
        original = next(c for c in same if c.is_original)
        assert pairs.loc[(core, "original"), "code"] == original.code
        best = max(r_of(c) for c in same) / 2
        assert pairs.loc[(core, "best with this core"), "value"] == pytest.approx(best)


def test_cells_show_scores_and_greys_where_there_is_none():
    """Major rows: core, minor rows: first; major columns: processor, minor columns: final block (Fig. 2b)."""
    table = grid.summarise(*tables(r_of, absent=[FITTING[0]]), {}, "pearson_score")
    figure = prixfixe_grid.every_combination(table, **LOOK)
    values = np.ma.filled(figure.axes[0].collections[0].get_array(), np.nan)
    order = list(TEAMS)
    for row in table.to_dict("records"):
        y = 3 * order.index(row["core"]) + order.index(row["first"])
        x = 3 * order.index(row["processor"]) + order.index(row["final"])
        if row["status"] == "scored":
            assert values[y, x] == pytest.approx(row["value"])
        else:
            assert np.isnan(values[y, x])
    texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert style.SIMULATED in texts
    assert {"incompatible", "waiting"} <= set(texts)
    ax = figure.axes[0]
    assert ax.get_xlabel() == "final layers block (below), data processor and trainer (above)"
    assert ax.get_ylabel() == "core layers block"
    top, right = ax.child_axes
    assert right.get_ylabel() == "first layers block"
    assert [label.get_text() for label in top.get_xticklabels()] == [team.title for team in TEAMS.values()]
    assert len(right.get_yticklabels()) == 9


def test_originals_are_white_points():
    table = grid.summarise(*tables(r_of), {}, "pearson_score")
    figure = prixfixe_grid.by_processor(table, **LOOK)
    white, black = [], []
    for dots in figure.axes[0].collections:
        for (_, y), face in zip(dots.get_offsets(), dots.get_facecolors(), strict=True):
            (white if tuple(face) == (1, 1, 1, 1) else black).append(float(y))
    assert sorted(white) == pytest.approx(sorted(r_of(c) / 2 for c in FITTING if c.is_original))
    assert sorted(black) == pytest.approx(sorted(r_of(c) / 2 for c in FITTING if not c.is_original))


def test_pairs_of_bars_stand_by_core():
    """Fig. 2d,e: for every core a white bar and a coloured one."""
    table = pd.DataFrame(
        [
            {"core": core, "kind": kind, "name": f"{core} {kind}", "n_params": 10 * i + j}
            for i, core in enumerate(TEAMS, start=1)
            for j, kind in enumerate((prixfixe_grid.SUBMISSION, prixfixe_grid.BEST))
        ]
    )
    figure = prixfixe_grid.pairs_by_core(table, value="n_params", title="t", **LOOK)
    ax = figure.axes[0]
    white, coloured = ([bar.get_width() for bar in bars] for bars in ax.containers)
    assert (white, coloured) == ([10, 20, 30], [11, 21, 31])
    assert [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()] == [
        f"{team.title} core" for team in TEAMS.values()
    ]
    assert "autosome best with this core" in " ".join(text.get_text() for text in ax.texts)


def test_modules_are_paired_with_all_else_equal():
    """Supplementary Fig. 1: the pairs that differ in one part, counted by hand over all combinations."""
    table = grid.summarise(*tables(r_of), {}, "pearson_score")
    pairs = prixfixe_grid.module_pairs(table, LOOK["teams"])
    value = {c.parts: r_of(c) / 2 for c in FITTING}
    for part, at in (("processor", 0), ("first", 1), ("core", 2), ("final", 3)):
        found = pairs[(pairs["part"] == part) & (pairs["one"] == "autosome") & (pairs["other"] == "bhi")]
        expected = {}
        for parts, score in value.items():
            changed = (*parts[:at], "bhi", *parts[at + 1 :])
            if parts[at] == "autosome" and changed in value:
                expected["-".join(parts[:at] + parts[at + 1 :])] = (score, value[changed])
        assert len(found) == len(expected)
        for row in found.itertuples():
            assert (row.value_one, row.value_other) == pytest.approx(expected[row.rest])
    figure = prixfixe_grid.modules(pairs, **LOOK)
    assert len(figure.axes) == 4 * 3
    dots = figure.axes[0].collections[0].get_offsets()
    assert (
        len(dots) == ((pairs["part"] == "processor") & (pairs["one"] == "autosome") & (pairs["other"] == "bhi")).sum()
    )


def test_the_grid_is_planned_with_its_refusals(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["prixfixe", "grid", "--task", "yeast", "--dry-run", "--json"])
    assert done.exit_code == 0, done.stderr
    planned = json.loads(done.stdout)
    assert planned["n_trainings"] == 45 * 3
    assert len(planned["refused"]) == 36
    assert all("head" in reason for reason in planned["refused"].values())
    assert not list(tmp_path.iterdir())


def test_the_grid_takes_the_options_of_a_run(tmp_path, monkeypatch):
    """The grid of the paper is 45 trainings of hours: it needs what `run` has for a cluster, a GPU and missing data."""
    asked = {}

    def planned(*_, **__):
        raise BadInput("planned")

    def options(**given):
        asked.update(given)

    monkeypatch.setattr("benchmarks.engine.pipeline.RunOptions", options)
    monkeypatch.setattr("benchmarks.engine.pipeline.plan_experiment", planned)
    monkeypatch.setattr("benchmarks.cli.run.fetch_missing", lambda task, preset, yes: asked.update(yes=yes))
    words = ["prixfixe", "grid", "--task", "yeast", "--preset", "paper", "--pack", "3", "--cluster", "c.yaml", "--yes"]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, "planned" in done.output) == (2, True)
    assert (asked["pack"], str(asked["cluster"]), asked["yes"], asked["pilot"]) == ("3", "c.yaml", True, False)
    refused = CliRunner().invoke(app, ["prixfixe", "grid", "--task", "yeast", "--probe"])
    assert refused.exit_code == 2
    assert "give it with --dry-run" in refused.output


@pytest.mark.slow
def test_a_whole_grid_trains_scores_draws_and_goes_on(tmp_path, monkeypatch):
    """All 45 on a small simulated challenge: two steps each, scores, plots; the second call trains nothing."""
    monkeypatch.setattr(task, "N_SIMULATED", 60)
    monkeypatch.setattr(simulate, "SIZES", dict.fromkeys(simulate.SIZES, 12))
    for name in ("N_SNVS", "N_PERTURBED", "N_TILED"):
        monkeypatch.setattr(simulate, name, 30)
    words = ["prixfixe", "grid", "--task", "yeast", "--members", "1", "--workers", "0", "--results", str(tmp_path)]
    words += ["--set", "recipe.width_scale=0.03", "--set", "recipe.epochs=1", "--set", "recipe.batch_size=24", "--json"]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.stderr
    done = json.loads(first.stdout)
    assert done["done"] == 45
    (folder,) = (tmp_path / "reports").iterdir()
    table = pd.read_csv(folder / "grid.csv")
    assert table["status"].isin(["scored", "not converged"]).sum() == 45
    assert {f"grid_2{panel}.png" for panel in "bcde"} <= {file.name for file in folder.iterdir()}
    again = json.loads(CliRunner().invoke(app, words).stdout)
    assert (again["done"], again["skipped"]) == (0, 45)
    words = [
        "figures",
        "--results",
        str(tmp_path),
        "--out",
        str(tmp_path / "figures"),
        "--panels",
        "2b,2c,2e,ED6,ED7,S1",
    ]
    drawn = CliRunner().invoke(app, [*words, "--json"])
    assert drawn.exit_code == 0, drawn.stderr
    assert {row["drawn"] for row in json.loads(drawn.stdout)["panels"]} == {"yes"}
