"""Weighted averages, MAUDE and their errors: by hand, by scipy, by finite differences, and in simulated experiments."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import nbinom, norm

from benchmarks.apps.quantify import dispersion, estimators, experiment_planning, maude, simulate, weighted_average
from benchmarks.apps.quantify.sample_sheet import Columns
from benchmarks.errors import BadInput

NUMBERS = np.arange(18)


def columns(n, **known):
    nothing = np.full(n, np.nan)
    values = {"cells": nothing, "start_q": nothing, "end_q": nothing} | known
    return Columns(np.arange(n), np.array(["1"] * n), **values)


def test_the_weighted_average_by_hand():
    counts = np.array([[4, 0, 6], [0, 5, 0], [0, 0, 0], [2, 2, 2]])
    totals = np.array([10, 20, 30])
    cells = np.array([100.0, 300.0, 100.0])
    nothing = np.full(3, np.nan)
    per_read = {
        kind: weighted_average.weight_per_read(
            kind, totals, cells, np.array([0.1, 0.2, 0.6]), np.array([0.2, 0.6, 0.7])
        )
        for kind in weighted_average.WEIGHTS
    }
    # relative: 4/10 and 6/30; cells: times 0.2 and 0.2; gates: times 0.1 and 0.1; reads: 4 and 6
    averages = {kind: weighted_average.weighted_average(counts, np.arange(3), w) for kind, w in per_read.items()}
    assert averages["relative"][0] == pytest.approx(2 * 0.2 / 0.6)
    assert averages["cells"][0] == pytest.approx(2 * 0.2 / 0.6)
    assert averages["reads"][0] == pytest.approx(1.2)
    assert averages["cells"][3] == pytest.approx((0.06 + 2 * 0.2 / 15) / (0.04 + 0.06 + 0.2 / 15))
    assert averages["gates"][3] == pytest.approx((0.04 + 2 * 0.1 / 15) / (0.02 + 0.04 + 0.1 / 15))
    for average in averages.values():
        assert average[1] == 1.0  # exactly: what tells a singleton to the yeast task
        assert np.isnan(average[2])
    unknown = weighted_average.weight_per_read("cells", totals, nothing, nothing, nothing)
    assert unknown == pytest.approx(1 / totals)
    # Two replicates of three bins: the same bin twice is one bin.
    assert weighted_average.n_bins_seen(
        np.array([[0, 3, 0, 0, 9, 0], [1, 0, 0, 0, 1, 0]]), np.r_[0:3, 0:3]
    ).tolist() == [
        1,
        2,
    ]


def test_bins_of_six_gates_are_stacked_from_the_tails():
    bins = maude.stacked(np.full(6, 0.1))
    assert bins.start_q == pytest.approx([0.001, 0.101, 0.201, 0.699, 0.799, 0.899])
    assert bins.end_q == pytest.approx([0.101, 0.201, 0.301, 0.799, 0.899, 0.999])
    assert bins.start_z == pytest.approx(norm.ppf(bins.start_q))
    with pytest.raises(BadInput, match=r"come to 1\.2"):
        maude.stacked(np.full(6, 0.2))


def test_pseudocounts_and_abundance_by_hand():
    counts = np.array([[300_000, 0], [700_000, 40_000]])
    observed = maude.observe(counts)
    assert observed.x.tolist() == [[300_010, 1], [700_010, 40_001]]  # 10 per million; at least 1
    assert observed.totals.tolist() == [1_000_020, 40_002]
    mean_total = 520_000
    abundance = np.array([0.15, 0.85]) * mean_total + 10
    assert observed.library == pytest.approx(abundance / abundance.sum())
    observed = maude.observe(counts, np.array([30, 50]))
    assert observed.library == pytest.approx([0.4, 0.6])
    observed = maude.observe(counts, np.array([30, 50]), 0)
    assert observed.x.tolist() == counts.tolist()
    assert observed.library == pytest.approx([0.375, 0.625])


def simulated(seed=0, n=1_500, **changes):
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.normal(9, 3, n), 0.5, 17)
    design = simulate.Design(**changes)
    lib = simulate.library(rng, truth, design)
    one = simulate.sort(rng, lib, design)
    return truth, design, lib, one, experiment_planning.columns_of(lib, [one])


def second_route(observed, bins, i):
    """ln L(mu) of one sequence, in scipy's words."""

    def value(mu):
        p = (
            observed.library[i]
            * (norm.cdf(bins.end_z - mu) - norm.cdf(bins.start_z - mu))
            / (bins.end_q - bins.start_q)
        )
        if not (p < 1).all():
            return -np.inf
        return nbinom.logpmf(observed.x[i], observed.totals, 1 - p).sum()

    return value


@pytest.mark.parametrize("pseudocount", [10, 0])
def test_maude_agrees_with_scipy_one_sequence_at_a_time(pseudocount):
    *_, one, known = simulated(cells=40, reads=100)
    bins = maude.BinModel(known.start_q, known.end_q)
    observed = maude.observe(one.reads, pseudocount=pseudocount)
    mu = maude.maximise(observed, bins)
    rng = np.random.default_rng(0)
    n_checked = 0
    for i in rng.choice(len(mu), 60, replace=False):
        value = second_route(observed, bins, i)
        assert maude.log_likelihood(observed, bins, mu)[i] == pytest.approx(value(mu[i]), rel=1e-9)
        local = minimize_scalar(lambda m, f=value: -f(m), bounds=(mu[i] - 0.05, mu[i] + 0.05), options={"xatol": 1e-9})
        assert local.x == pytest.approx(mu[i], abs=1e-5)
        # The published search: L-BFGS-B from 0. Where it ends elsewhere, it is at a lower likelihood.
        published = minimize(lambda m, f=value: -f(m[0]), [0.0], method="L-BFGS-B", bounds=[maude.LIMITS])
        if abs(published.x[0] - mu[i]) < 1e-3:
            n_checked += 1
        else:
            assert -published.fun <= value(mu[i]) + 1e-6
    assert n_checked >= 55


def test_a_mean_beyond_the_limits_is_the_limit_and_has_no_error():
    q = np.linspace(0.001, 0.999, 7)
    known = columns(6, start_q=q[:-1], end_q=q[1:])
    rng = np.random.default_rng(0)
    counts = rng.poisson(200, (300, 6))
    counts[0], counts[1] = [0, 0, 0, 0, 0, 900], 0
    found = estimators.by_maude(0.0)(counts, known)
    bins = maude.BinModel(known.start_q, known.end_q)
    observed = maude.observe(counts, pseudocount=0)
    grid = np.linspace(-4, 4, 2_001)
    best = grid[np.argmax([second_route(observed, bins, 0)(m) for m in grid])]
    assert found.value[0] == pytest.approx(best, abs=0.005)
    assert np.isnan(found.value[1])  # no reads, no estimate
    assert np.isnan(found.se[1])
    assert np.isfinite(found.value[2:]).all()


def test_controls_centre_and_likelihood_ratios_use_their_mean():
    *_, one, known = simulated(n=400, cells=50, reads=120)
    bins = maude.BinModel(known.start_q, known.end_q)
    observed = maude.observe(one.reads)
    mu = maude.maximise(observed, bins)
    is_control = np.arange(len(mu)) < 50
    against = maude.against_controls(observed, bins, mu, is_control)
    mean = mu[:50].mean()
    assert against.z == pytest.approx(mu - mean)
    for i in (3, 77, 300):
        value = second_route(observed, bins, i)
        assert against.log_likelihood_ratio[i] == pytest.approx(value(mu[i]) - value(mean), abs=1e-6)
    assert (against.log_likelihood_ratio >= -1e-9).all()
    with pytest.raises(BadInput, match="None of the controls has reads"):
        maude.against_controls(observed, bins, np.full(len(mu), np.nan), is_control)


@pytest.mark.parametrize("pseudocount", [10, 0])
def test_curvature_and_propagated_error_are_finite_differences(pseudocount):
    *_, one, known = simulated(n=300, cells=200, reads=400)
    bins = maude.BinModel(known.start_q, known.end_q)
    counts = one.reads.astype(float)
    observed = maude.observe(counts, pseudocount=pseudocount)
    mu = maude.maximise(observed, bins)
    errors = maude.standard_errors(counts, observed, bins, mu, np.ones(18))
    inside = np.abs(mu) < 4
    assert inside.mean() > 0.95
    assert np.isnan(errors.curvature[~inside]).all()
    h = 1e-3
    value = [maude.log_likelihood(observed, bins, mu + step) for step in (-h, 0, h)]
    curvature = -(value[0] - 2 * value[1] + value[2]) / h**2
    assert errors.curvature[inside] == pytest.approx(1 / np.sqrt(curvature[inside]), rel=1e-4)

    # One more read of a sequence: how far does its estimate move? Totals are held, as they are in a large library.
    influence, *_ = maude._influence(observed, bins, mu)
    for row in np.flatnonzero(inside)[[0, 9, 100]]:
        step = np.concatenate([-0.5 * np.eye(18), 0.5 * np.eye(18)])  # one bin less, or more, by half a read
        changed = replace(
            observed,
            x=observed.x[row] + step,
            library=observed.library[row] + step @ observed.library_per_read[row],
            library_per_read=np.tile(observed.library_per_read[row], (36, 1)),
        )
        less, more = maude.maximise(changed, bins).reshape(2, 18)
        assert influence[row] == pytest.approx(more - less, rel=0.02, abs=2e-5)
    bumped = counts.copy()
    bumped[17, 9] += 1
    step = maude.observe(bumped, pseudocount=pseudocount).library[17] - observed.library[17]
    assert step == pytest.approx(observed.library_per_read[17, 9], rel=0.02)


def test_dispersion_is_estimated_with_or_without_cell_numbers():
    for cells, reads in ((3, 9), (30, 75), (100, 300)):
        _, design, _, one, known = simulated(n=6_000, cells=cells, reads=reads)
        depth = one.reads.sum(axis=0) / one.cells_per_bin
        true = 1 + depth * (1 + design.amplification_cv**2)
        found = dispersion.dispersion(one.reads, known.numbers, known.replicate, known.cells)
        assert found.values == pytest.approx(true, rel=0.06)
        blind = dispersion.dispersion(one.reads, known.numbers, known.replicate, np.full(18, np.nan))
        assert blind.values == pytest.approx(np.average(true, weights=one.reads.sum(axis=0)), rel=0.1)


def test_few_bins_fall_back_on_what_is_known_and_say_so():
    counts = np.array([[10, 20, 30, 40]] * 5)
    known = dispersion.dispersion(counts, np.arange(4), np.array(["1"] * 4), np.array([10.0, 10, 10, 20]))
    assert known.values.tolist() == [6, 11, 16, 11]
    assert "reads per sorted cell" in known.basis
    blind = dispersion.dispersion(counts, np.arange(4), np.array(["1"] * 4), np.full(4, np.nan))
    assert blind.values.tolist() == [1, 1, 1, 1]
    assert "lower bounds" in blind.basis


def test_effective_cells_and_pooled_variances_by_hand():
    weights = np.array([[2.0, 2, 2, 0], [6, 0, 0, 1], [0, 0, 0, 0]])
    assert dispersion.effective_cells(weights, np.array([1.0, 1, 1, 1])).tolist() == [6, 7, 0]
    assert dispersion.effective_cells(weights, np.array([2.0, 2, 2, 1])) == pytest.approx([3, 49 / 13, 0])
    rng = np.random.default_rng(0)
    n, sd = rng.integers(1, 6, 4_000), 1.7
    cells = [rng.normal(0, sd, k) for k in n]
    own = np.array([((c - c.mean()) ** 2).sum() / len(c) ** 2 for c in cells])  # as propagation of errors has it
    location = np.array([c.mean() for c in cells])
    pooled = dispersion.pooled_variance(own, 1 / n, n.astype(float), np.zeros(len(n)))
    assert pooled == pytest.approx(sd**2, rel=0.05)
    assert len(dispersion.pooled_variance(own, 1 / n, n.astype(float), location)) == len(n)


@pytest.mark.parametrize(
    ("cells", "reads", "estimator"),
    [
        (3, 6, estimators.weighted("cells")),
        (30, 75, estimators.weighted("cells")),
        (100, 300, estimators.weighted("gates")),
        (30, 75, estimators.by_maude(10)),
        (30, 75, estimators.by_maude(0)),
        (100, 300, estimators.by_maude(10)),
    ],
)
def test_intervals_of_95_percent_hold_the_true_value_in_92_to_98(cells, reads, estimator):
    truth, design, lib, one, known = simulated(seed=5, n=4_000, cells=cells, reads=reads)
    found = estimator(one.reads, known)
    free = estimator(simulate.expected_reads(lib, design), known).value
    has = np.isfinite(found.value) & np.isfinite(found.se)
    off = np.abs(found.value - free)[has] / found.se[has]
    assert has.sum() > (3_300 if cells == 3 else 3_900)
    assert 0.92 <= (off < estimators.INTERVAL).mean() <= 0.98
    assert np.corrcoef(found.value[has], truth[has])[0, 1] > (0.9 if cells == 3 else 0.94)


def test_an_unsorted_library_gives_abundance_and_its_error_term():
    _, design, lib, one, known = simulated(seed=8, n=3_000, cells=60, reads=150)
    rng = np.random.default_rng(0)
    unsorted, mean = rng.poisson(20_000_000 * lib.abundance), 20_000_000 * lib.abundance
    rare, mean_rare = rng.poisson(60_000 * lib.abundance), 60_000 * lib.abundance
    for reads, expected in ((unsorted, mean), (rare, mean_rare)):
        found = estimators.by_maude(0.0, reads)(one.reads, known)
        free = estimators.by_maude(0.0, expected)(simulate.expected_reads(lib, design), known).value
        has = np.isfinite(found.se) & np.isfinite(free)
        assert has.mean() > 0.95
        off = np.abs(found.value - free)[has] / found.se[has]
        assert 0.91 <= (off < estimators.INTERVAL).mean() <= 0.98
    observed = maude.observe(one.reads, rare, 0.0)
    share = rng.poisson(60_000 * lib.abundance[:, None], (3_000, 400)) / rare.sum()
    assert observed.library_variance.mean() == pytest.approx(share.var(axis=1).mean(), rel=0.05)


def test_reads_taken_for_cells_make_errors_that_are_too_small():
    _, design, lib, one, known = simulated(seed=6, n=4_000, cells=100, reads=600)
    found = estimators.by_maude(0)(one.reads, known)
    free = estimators.by_maude(0)(simulate.expected_reads(lib, design), known).value
    off = np.abs(found.value - free)
    assert np.nanmean(off < estimators.INTERVAL * found.curvature) < 0.8
    assert 0.92 <= np.nanmean((off / found.se)[np.isfinite(found.se)] < estimators.INTERVAL) <= 0.98


def test_replicates_agree_as_they_are_estimated_alone():
    rng = np.random.default_rng(7)
    truth = rng.uniform(1, 16, 800)
    design = simulate.Design(cells=40, reads=100)
    lib = simulate.library(rng, truth, design)
    sorts = [simulate.sort(rng, lib, design) for _ in range(2)]
    known = experiment_planning.columns_of(lib, sorts)
    counts = np.concatenate([one.reads for one in sorts], axis=1)
    table, alone = estimators.agreement(estimators.weighted("cells"), counts, known)
    single = estimators.weighted("cells")(sorts[0].reads, experiment_planning.columns_of(lib, sorts[:1])).value
    assert alone["1"] == pytest.approx(single, nan_ok=True)
    assert table["pearson_r"].tolist() == pytest.approx([np.corrcoef(alone["1"], alone["2"])[0, 1]])
    both = estimators.weighted("cells")(counts, known)
    assert np.nanmedian(both.se) == pytest.approx(np.nanmedian(estimators.weighted("cells")(sorts[0].reads,
        experiment_planning.columns_of(lib, sorts[:1])).se) / np.sqrt(2), rel=0.1)  # fmt: skip


def test_unknown_weights_and_gates_without_quantiles_are_refused():
    with pytest.raises(BadInput, match="Did you mean 'cells'"):
        estimators.weighted("cell")
    with pytest.raises(BadInput, match="needs start_q and end_q"):
        estimators.weighted("gates")(np.ones((3, 4), dtype=int), columns(4))
