"""The report: what it says, that it stands alone, and that it does not hide where numbers come from."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

pytest.importorskip("jinja2")

from benchmarks.engine.evaluation.leakage import Leakage
from benchmarks.engine.reporting import run_page
from benchmarks.engine.reporting.text import mean_sd, number

PLACE = {"dataset": "K562", "output": "activity", "subset": "all", "level": "row", "metric": "pearson_r"}
LABELS = {"mprann": "MPRAnn", "rnn": "DREAM-RNN"}


def mean_row(model, mean, **other):
    row = {"model": model, "mean": mean, "sd": 0.0124, "role": "ensemble", "better": "higher"}
    return PLACE | row | {"n_folds": 10, "n_members_min": 9, "n_members_max": 9} | other


def comparison(model="rnn", **other):
    numbers = {
        "n_folds": 10, "n_members": 9, "mean_model": 0.6634, "mean_baseline": 0.5512,
        "mean_difference": 0.1122,
        "ci_low": 0.0991, "ci_high": 0.1253, "t": 19.4, "df": 9.0, "p_value": 2.13e-5, "cohens_dz": 6.13,
        "p_holm": 4.26e-5, "test_train_ratio": 0.125, "ci_low_corrected": 0.0912, "ci_high_corrected": 0.1332,
        "t_corrected": 12.9, "p_corrected": 3.31e-4, "p_corrected_holm": 6.62e-4, "family_size": 2,
        "ci_low_bootstrap": 0.1011, "ci_high_bootstrap": 0.1241, "p_bootstrap": 0.00099,
    }  # fmt: skip
    return PLACE | {"model": model, "baseline": "mprann", "better": "higher", "note": ""} | numbers | other


def score(model, value, **other):
    row = {"model": model, "run": "a1", "test_fold": 0, "val_fold": pd.NA, "role": "ensemble", "n_members": 9}
    return PLACE | row | {"value": value, "n": 5000, "origin": "simulated"} | other


def job(model, **other):
    row = {
        "dataset": "K562", "model": model, "test_fold": 0, "val_fold": 1, "status": "done",
        "duration_s": 41.23, "epochs_run": 12,
        "train_seq_per_s": 3120.4, "predict_seq_per_s": 9000.0, "peak_memory_mb": 812.0,
        "device": "cpu", "framework": "torch", "backend": "torch 9.9", "precision": "float32",
    }  # fmt: skip
    return row | other


def render(**other):
    ceiling = {**PLACE, "value": 0.74, "basis": "replicate noise"}
    parameters = [
        {"model": model, "label": label, "n_params": 1_933_970, "framework": "torch", "recipe": "batch 32"}
        for model, label in LABELS.items()
    ]
    inputs = {
        "title": "Human lentiMPRA",
        "origin": "simulated",
        "overview": [("task", "human_mpra")],
        "scores": pd.DataFrame([score("rnn", 0.66341), score("mprann", 0.5512)]),
        "summary": pd.DataFrame([mean_row("rnn", 0.6634), mean_row("mprann", 0.5512)]),
        "tests": pd.DataFrame([comparison()]),
        "comparisons": {},
        "assumptions": {"paired t-test": "folds are independent"},
        "leaks": pd.DataFrame(),
        "leak_free": pd.DataFrame(),
        "leaks_skipped": "",
        "checks": pd.DataFrame(),
        "featured": (),
        "jobs": pd.DataFrame([job("rnn"), job("mprann")]),
        "ceilings": pd.DataFrame([ceiling]),
        "parameters": pd.DataFrame(parameters),
        "notes": ["412 exact duplicate rows were collapsed."],
        "failures": pd.DataFrame(),
        "figures": [("Scores.", '<svg id="f1"><g id="f1-a"/></svg>')],
        "reproduce": {"command": "python -m benchmarks run", "seed": 0, "versions": {"torch": "2.11"}},
    }
    inputs |= other
    leakage = Leakage(inputs.pop("leaks"), {}, inputs.pop("leaks_skipped"), inputs.pop("leak_free"))
    return run_page.render(run_page.RunPage(leakage=leakage, **inputs))


class Page(HTMLParser):
    """Collects visible text, ids, links and tags, and checks that every tag is closed in order."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.parts = [], [], [], set(), []
        self.feed(html)
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.parts))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src", "srcset", "action", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.parts.append(data)


def text_of(**other):
    return Page(render(**other)).text


def test_the_page_stands_alone_and_its_links_lead_somewhere():
    html = render()
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert page.tags.isdisjoint({"script", "link", "img", "iframe"})
    assert not re.search(r"@import|url\(|https?://", html)
    assert len(page.ids) == len(set(page.ids))
    assert len(page.links) >= 11
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_the_headline_states_best_model_difference_and_p_value():
    """And the confidence interval and the noise ceiling."""
    text = text_of()
    assert "DREAM-RNN 0.663 ± 0.012 Pearson r, row level: mean ± sd (ensemble of 9, 10 test folds)" in text
    assert "+0.112 against MPRAnn (0.551 on the same folds), 95 % interval +0.0991 to +0.125" in text
    assert "P = 2.1e-05, n = 10." in text
    assert "89.6% of the noise ceiling 0.740 (replicate noise)." in text  # 0.6634 / 0.74 = 0.8965


def test_headlines_are_those_that_a_task_features():
    profile = {"output": "profile", "subset": "peaks", "metric": "one_minus_median_jsd"}
    summary = [mean_row("rnn", 0.6634), mean_row("mprann", 0.55), mean_row("rnn", 0.61, **profile)]
    text = text_of(
        scores=pd.DataFrame([score("rnn", 0.6634), score("rnn", 0.61, **profile)]),
        summary=pd.DataFrame([*summary, mean_row("mprann", 0.62, **profile)]),
        featured=(("profile", "peaks", "one_minus_median_jsd"),),
    )
    assert "MPRAnn 0.620 ± 0.012 1 − median JS distance" in text
    assert "Pearson r, row level: mean ± sd" not in text


def test_the_headline_does_not_oversell():
    weak = text_of(tests=pd.DataFrame([comparison(p_value=0.21)]))
    assert "P = 0.21, n = 10. This run does not tell the two apart." in weak
    one_fold = comparison(p_value=None, ci_low=None, ci_high=None, t=None, df=None, note="no test: it needs 2 folds")
    assert "no test: it needs 2 folds." in text_of(tests=pd.DataFrame([one_fold]))
    beaten = pd.DataFrame([mean_row("rnn", 0.50), mean_row("mprann", 0.55)])
    assert "This is the baseline: no model is above it." in text_of(summary=beaten)
    assert "There is no baseline to compare it with." in text_of(tests=pd.DataFrame())


def test_lower_is_better_where_it_is():
    place = {"metric": "mse", "better": "lower"}
    summary = pd.DataFrame([mean_row("rnn", 0.9, **place), mean_row("mprann", 0.4, **place)])
    html = render(summary=summary, tests=pd.DataFrame(), ceilings=pd.DataFrame())
    assert "MPRAnn 0.400 ± 0.012 MSE, row level" in Page(html).text
    assert re.findall(r'class="num best">([^<]*)<', html) == ["0.400 ± 0.012"]


def test_simulated_data_are_marked_and_measured_data_are_not():
    simulated = render()
    assert "<title>SIMULATED DATA: Human lentiMPRA</title>" in simulated
    assert Page(simulated).text.count("SIMULATED DATA") == 2
    measured = render(origin="measured", scores=pd.DataFrame([score("rnn", 0.66, origin="measured")]))
    assert "simulated" not in Page(measured).text.lower()
    assert "<title>Human lentiMPRA</title>" in measured


def test_levels_and_roles_are_kept_apart():
    summary = pd.DataFrame(
        [
            mean_row("rnn", 0.6634),
            mean_row("rnn", 0.7012, level="strand_averaged"),
            mean_row("rnn", 0.6111, role="member", sd=None, n_members_min=8),
        ]
    )
    text = text_of(summary=summary)
    assert "K562, row level model predictions folds Pearson r ↑ of noise ceiling" in text
    assert "DREAM-RNN single members, 8 to 9 per fold 10 0.611 82.6%" in text
    assert "K562, strand averaged model predictions folds Pearson r ↑ DREAM-RNN ensemble of 9 10 0.701 ± 0.012" in text


def test_subsets_and_outputs_get_their_own_rows_and_tables():
    rows = [mean_row("rnn", 0.6, output=output, subset=s) for output in ("dev", "hk") for s in ("native", "all")]
    text = text_of(summary=pd.DataFrame(rows), tests=pd.DataFrame(), ceilings=pd.DataFrame())
    assert "Best on K562 · dev" in text
    assert "K562 · hk, row level model predictions subset folds" in text
    assert "DREAM-RNN ensemble of 9 native 10" in text


def test_the_test_table_has_every_number_and_the_note():
    text = text_of(tests=pd.DataFrame([comparison(note="fold 3 left out: no score of the model")]))
    assert "+0.112 +0.0991 to +0.125 +6.13 +19.4 (9) 2.1e-05 / 4.3e-05" in text
    assert "+0.0912 to +0.133 0.00033 / 0.00066 +0.101 to +0.124 0.00099" in text
    assert "DREAM-RNN: fold 3 left out: no score of the model." in text
    assert "paired t-test: folds are independent." in text


def test_uneven_folds_are_pointed_out():
    assert "Not all models have the same folds" not in text_of()
    summary = pd.DataFrame([mean_row("rnn", 0.66, n_folds=3), mean_row("mprann", 0.55)])
    assert "Not all models have the same folds" in text_of(summary=summary)


def test_checks_have_a_section_where_a_task_makes_them():
    check = {"dataset": "K562", "test_fold": 2, "check": "r of the <bias>", "value": -0.42, "verdict": "warning"}
    text = text_of(checks=pd.DataFrame([check]))
    assert "Checks dataset test fold check value result K562 2 r of the <bias> −0.420 warning" in text
    assert "check value result" not in text_of()


def test_failures_are_prominent():
    assert "None of 2 trainings failed." in text_of()
    failed = job("rnn", status="failed", val_fold=2, duration_s=3.0, train_seq_per_s=None, device=None)
    reason = {"dataset": "K562", "model": "rnn", "test_fold": 0, "val_fold": 2, "reason": "out of memory"}
    text = text_of(jobs=pd.DataFrame([job("rnn"), failed]), failures=pd.DataFrame([reason]))
    assert text.count("1 of 2 trainings failed.") == 2
    assert "K562 DREAM-RNN 0 2 out of memory" in text
    assert "DREAM-RNN cpu torch 9.9 float32 1 1 41.2 s 44.2 s 12 3,120 9,000 812" in text


def test_texts_are_escaped():
    bad = "<script>alert('x')</script>"
    failures = pd.DataFrame([{"dataset": bad, "model": bad, "test_fold": 0, "val_fold": 1, "reason": bad}])
    html = render(title=bad, notes=[bad], failures=failures, reproduce={"command": bad, "data": {bad: bad}})
    assert "script" not in Page(html).tags
    assert html.count("&lt;script&gt;") >= 7


@pytest.mark.parametrize("has_scores", [True, False], ids=["one model", "all failed"])
def test_a_task_with_headlines_reports_without_comparisons(has_scores):
    """One model, or none that could be scored: there is nothing to compare, and the report comes out."""
    empty = {"tests": pd.DataFrame()} if has_scores else dict.fromkeys(("scores", "summary", "tests"), pd.DataFrame())
    text = Page(render(featured=[("activity", "all", "pearson_r")], **empty)).text
    assert ("There are no scores yet." in text) != has_scores


def test_a_run_without_any_score_still_has_its_report():
    empty = dict.fromkeys(["scores", "summary", "tests", "jobs", "ceilings", "failures", "parameters"])
    text = text_of(figures=[], notes=[], reproduce={}, **{name: pd.DataFrame() for name in empty})
    assert "There are no scores yet." in text
    assert "All 0 scores are in scores.csv, beside this page." in text


def test_long_score_tables_are_cut_ensembles_first():
    members = [score("rnn", 0.5, role="member", val_fold=i, n_members=1) for i in range(run_page.MAX_SCORE_ROWS)]
    html = render(scores=pd.DataFrame([*members, score("rnn", 0.66341)]), reproduce={"scores_csv": "a/scores.csv"})
    text = Page(html).text
    assert "All 201 scores are in a/scores.csv." in text
    assert "Show the first 200, ensembles first" in text
    assert html.count("<td") < 200 * 14 + 200
    assert "K562 rnn a1 0 – ensemble 9 activity all row pearson_r 0.6634 5000 simulated" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origin": "real"}, "origin is 'real'; expected 'measured' or 'simulated'"),
        ({"origin": "measured"}, "hold simulated data, so the report cannot be of origin 'measured'"),
        ({"jobs": pd.DataFrame([{"model": "rnn"}])}, "The table 'jobs' lacks dataset, status"),
    ],
)
def test_contradictions_and_missing_columns_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        render(**change)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.66341, 3, "0.663"), (0.0031, 2, "0.0031"), (2.13e-5, 2, "2.1e-05"), (12, 3, "12"),
        (123.4, 3, "123"), (-0.5, 3, "-0.500"), (1234.5, 3, "1,234"), (1_933_970, 3, "1,933,970"),
        (None, 3, "–"), (1.0, 2, "1.0"),
    ],
)  # fmt: skip
def test_number(value, digits, expected):
    assert number(value, digits) == expected


@pytest.mark.parametrize(
    ("mean", "sd", "expected"),
    [
        (0.66341, 0.01239, "0.663 ± 0.012"), (12.34, 1.26, "12.3 ± 1.3"), (0.7, float("nan"), "0.700"),
        (float("nan"), 0.1, "–"), (1.2e-6, 3.4e-7, "1.20e-06 ± 3.4e-07"), (-0.05, 0.02, "-0.0500 ± 0.0200"),
    ],
)  # fmt: skip
def test_mean_sd(mean, sd, expected):
    assert mean_sd(mean, sd) == expected


def test_overlap_is_counted_over_folds_with_scores_without_it():
    about = {"dataset": "K562", "kind": "near", "n_test": 400, "rule": "near: of the same kind"}
    leaks = [
        about | {"test_fold": 0, "n_leaking": 1, "share": 0.0025, "examples": "a1 = b1"},
        about | {"test_fold": 7, "n_leaking": 30, "share": 0.075, "examples": "a2 = b2"},
    ]
    one = PLACE | {"model": "rnn", "role": "ensemble"}
    free = [
        one | {"value": 0.7111, "value_leak_free": 0.7001, "difference": -0.011, "n": 400, "n_leak_free": 370},
        one | {"value": 0.9999, "value_leak_free": 0.9999, "difference": 0.0, "n": 400, "n_leak_free": 400},
    ]
    page = render(leaks=pd.DataFrame(leaks), leak_free=pd.DataFrame(free), leaks_skipped="")
    part = page.partition('<section id="leaks">')[2].partition("</section>")[0]
    for text in ("800", "31", "7.50 % (fold 7)", "a2 = b2", "0.7111", "0.7001", "−0.0110"):
        assert text in part
    assert "0.9999" not in part


def test_a_search_that_was_left_out_says_what_to_type():
    assert "type this" in render(leaks_skipped="Not searched; type this").partition('<section id="leaks">')[2]


def test_the_mixed_model_is_a_table_with_its_notes():
    row = PLACE | {"model": "rnn", "baseline": "mprann", "better": "higher", "n_scores": 180, "difference": 0.1122}
    row |= {"ci_low": 0.1011, "ci_high": 0.1233, "p_value": 0.0123, "p_holm": 0.0246, "note": "singular fit: no folds"}
    row |= {"sd_fold": 0.0312, "sd_seed": None, "sd_residual": 0.0041}
    page = render(comparisons={"mixed_model": pd.DataFrame([row])})
    section = page[page.index("Linear mixed model over trainings") :]
    section = section[: section.index("</table>")]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", section)
    assert cells[:5] == ["K562", "activity", "DREAM-RNN", "Pearson r ↑", "180"]
    assert cells[5:] == [
        "+0.112", "+0.101 to +0.123", "0.012 / 0.025", "0.0312", "–", "0.00410", "DREAM-RNN: singular fit: no folds.",
    ]  # fmt: skip
    assert "Linear mixed model over trainings" not in render()
