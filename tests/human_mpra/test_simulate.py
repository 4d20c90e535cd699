"""The simulated experiment: its activity against a slow reading of strings, its noise and ceilings against scipy."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from benchmarks.api import sequences
from benchmarks.human_mpra import simulate as simulation

LEFT, RIGHT = "AGGACCGGATCAACT", "CATTGCGTGAACCGA"
MOTIFS = {motif.name: motif for motif in simulation.MOTIFS}
PAIR = simulation.PAIRS[0]
FORWARD, REVERSE = "forward", "reverse"
FILLER = "A"  # poly-A holds no motif on either strand


def turned(text):
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def site(name, strand=FORWARD):
    consensus = MOTIFS[name].consensus
    return consensus if strand == FORWARD else turned(consensus)


def element(*parts):
    """Write (start, text) parts, starts counted in the 200-bp element, into poly-A between the adapters."""
    letters = list(FILLER * 200)
    for start, text in parts:
        letters[start : start + len(text)] = text
    assert len(letters) == 200
    return LEFT + "".join(letters) + RIGHT


def activity(*texts):
    return simulation.activity(sequences.encode(texts, 230))


def activity_by_hand(text):
    """Read one sequence letter by letter: sum of sites that fade with distance, bonus of pairs, floor and ceiling."""
    total, starts = 0.0, {}
    for motif in simulation.MOTIFS:
        for strand, effect in ((FORWARD, motif.forward), (REVERSE, motif.reverse)):
            found = [match.start() for match in re.finditer(f"(?={site(motif.name, strand)})", text)]
            starts[motif.name, strand] = found
            for start in found:
                distance = max(0, 215 - start - len(motif.consensus))
                total += effect * math.exp(-distance / motif.reach_bp)
    for pair in simulation.PAIRS:
        ends = [start + len(site(pair.left)) for start in starts[pair.left, FORWARD]]
        gaps = [start - end for end in ends for start in starts[pair.right, FORWARD]]
        if any(pair.min_gap_bp <= gap <= pair.max_gap_bp for gap in gaps):
            total += pair.bonus
    shown = total if total > 0 else simulation.REPRESSION * total
    return simulation.BASELINE + simulation.SATURATION * math.tanh(shown / simulation.SATURATION)


@pytest.fixture(scope="module")
def data():
    return simulation.simulate(n_elements=700, seed=3)


# --- activity of sequences built by hand


def test_a_sequence_without_sites_has_the_baseline():
    assert activity(element()) == pytest.approx(simulation.BASELINE, abs=1e-12)


@pytest.mark.parametrize("name", MOTIFS)
def test_a_site_beside_the_promoter_has_its_full_effect(name):
    end = 200 - len(site(name))
    effect = MOTIFS[name].forward
    shown = effect if effect > 0 else effect * simulation.REPRESSION
    expected = simulation.BASELINE + simulation.SATURATION * math.tanh(shown / simulation.SATURATION)
    assert activity(element((end, site(name)))) == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name, motif in MOTIFS.items() if motif.forward > 0])
def test_an_activator_acts_by_its_strand(name):
    forward, reverse = activity(element((150, site(name))), element((150, site(name, REVERSE))))
    assert forward > simulation.BASELINE + 0.5
    assert reverse < simulation.BASELINE


def test_some_factor_represses_on_both_strands():
    forward, reverse = activity(element((150, site("REST"))), element((150, site("REST", REVERSE))))
    assert forward < simulation.BASELINE
    assert reverse == pytest.approx(forward)


@pytest.mark.parametrize("name", [name for name, motif in MOTIFS.items() if motif.forward > 0])
def test_a_site_fades_with_its_distance_from_the_promoter(name):
    end, reach = 200 - len(site(name)), MOTIFS[name].reach_bp
    texts = [element((start, site(name))) for start in (end, 130, 60, 0)]
    assert (np.diff(activity(*texts)) < -0.05).all()
    distances = np.array([0, end - 130, end - 60, end])
    np.testing.assert_allclose(totals(*texts), MOTIFS[name].forward * np.exp(-distances / reach))


@pytest.mark.parametrize("name", MOTIFS)
def test_one_changed_letter_takes_a_site_away(name):
    consensus = site(name)
    broken = consensus[:3] + turned(consensus[3]) + consensus[4:]
    assert activity(element((150, broken))) == pytest.approx(simulation.BASELINE, abs=1e-12)


def test_n_matches_no_site():
    consensus = site("HNF4A")
    assert activity(element((150, "N" + consensus[1:]))) == pytest.approx(simulation.BASELINE, abs=1e-12)


def pair_and_singles(gap, *, strands=(FORWARD, FORWARD), order=(PAIR.left, PAIR.right)):
    """Place two sites `gap` bp apart; return the element with both, with the left one and with the right one."""
    left, right = (site(name, strand) for name, strand in zip(order, strands, strict=True))
    start = 190 - len(right)
    parts = (start - gap - len(left), left), (start, right)
    return element(*parts), element(parts[0]), element(parts[1])


def totals(*texts):
    """Return the sums of effects behind the activities: ceiling and floor undone."""
    shown = simulation.SATURATION * np.arctanh((activity(*texts) - simulation.BASELINE) / simulation.SATURATION)
    return np.where(shown > 0, shown, shown / simulation.REPRESSION)


def bonus(text, *alone):
    """Return what two sites do beyond the sum of their own effects."""
    together, *single = totals(text, *alone)
    return together - sum(single)


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (PAIR.min_gap_bp, PAIR.bonus),
        ((PAIR.min_gap_bp + PAIR.max_gap_bp) // 2, PAIR.bonus),
        (PAIR.max_gap_bp, PAIR.bonus),
        (PAIR.min_gap_bp - 1, 0),
        (PAIR.max_gap_bp + 1, 0),
        (PAIR.max_gap_bp + 40, 0),
    ],
)
def test_two_sites_do_more_together_only_at_the_right_spacing(gap, expected):
    assert bonus(*pair_and_singles(gap)) == pytest.approx(expected, abs=1e-9)


def test_the_pair_in_the_other_order_has_no_bonus():
    assert bonus(*pair_and_singles(10, order=(PAIR.right, PAIR.left))) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("strands", [(REVERSE, FORWARD), (FORWARD, REVERSE), (REVERSE, REVERSE)])
def test_the_pair_needs_both_sites_on_the_forward_strand(strands):
    assert bonus(*pair_and_singles(10, strands=strands)) == pytest.approx(0, abs=1e-9)


def test_the_sum_of_many_sites_levels_off():
    crowded = element(*((start, site("GABPA")) for start in range(0, 190, 10)))
    top = simulation.BASELINE + simulation.SATURATION
    assert top - 0.1 < activity(crowded)[0] < top


def test_repressors_sink_an_element_only_a_little():
    crowded = element(*((start, site("REST")) for start in range(0, 180, 18)))
    floor = simulation.BASELINE - simulation.SATURATION
    assert floor < activity(crowded)[0] < simulation.BASELINE - 0.5


def test_activity_agrees_with_a_reading_letter_by_letter(data):
    texts = sequences.decode(data.codes[:400])
    by_hand = [activity_by_hand(text) for text in texts]
    assert np.std(by_hand) > 0.5
    np.testing.assert_allclose(activity(*texts), by_hand, atol=1e-9)


def test_activity_is_a_function_of_each_sequence_alone(data):
    rows = np.random.default_rng(0).permutation(len(data))
    np.testing.assert_array_equal(simulation.activity(data.codes)[rows], simulation.activity(data.codes[rows]))


# --- the experiment


def test_both_orientations_of_every_element_are_measured(data):
    assert len(data) == 1400
    texts = sequences.decode(data.codes)
    assert {(text[:15], text[215:]) for text in texts} == {(LEFT, RIGHT)}
    assert texts[1::2] == [LEFT + turned(text[15:215]) + RIGHT for text in texts[::2]]
    assert len(set(texts)) == 1400


def test_rows_carry_strand_pair_and_an_id_that_says_both(data):
    assert data.meta["is_reverse"].tolist() == [0, 1] * 700
    assert data.meta["group"].tolist() == [i for i in range(700) for _ in range(2)]
    assert data.meta["seq_id"].is_unique
    assert data.meta["seq_id"].str.endswith("_Reversed:").tolist() == [False, True] * 700
    before_the_mark = data.meta["seq_id"].str.replace(r"_(F|Reversed:)$", "", regex=True)
    assert (before_the_mark.groupby(data.meta["group"]).nunique() == 1).all()


def test_ten_folds_hold_whole_pairs_in_equal_number(data):
    per_pair = data.meta.groupby("group")["fold"].agg(["nunique", "first"])
    assert (per_pair["nunique"] == 1).all()
    assert per_pair["first"].value_counts().to_dict() == dict.fromkeys(range(10), 70)


def test_everything_says_that_it_is_simulated(data):
    assert data.origin == "simulated"
    assert "simulated" in data.name
    assert any("SIMULATED" in note for note in data.notes)
    assert any("700" in note and "seed 3" in note for note in data.notes)


def test_a_seed_settles_the_simulated_experiment():
    """Another seed gives another one."""
    first, again, other = (simulation.simulate(n_elements=40, seed=seed) for seed in (5, 5, 6))
    assert first.content_hash() == again.content_hash()
    assert first.ceilings == again.ceilings
    assert (first.codes != other.codes).mean() > 0.1
    assert not np.array_equal(first.targets["expression"], other.targets["expression"])


def test_the_global_random_state_is_neither_read_nor_changed():
    np.random.seed(0)  # noqa: NPY002
    first = simulation.simulate(n_elements=20, seed=1)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    np.random.seed(99)  # noqa: NPY002
    assert simulation.simulate(n_elements=20, seed=1).content_hash() == first.content_hash()


def test_the_noise_has_the_stated_size(data):
    noise = data.targets["expression"] - simulation.activity(data.codes)
    stated = simulation.REPLICATE_SD / math.sqrt(simulation.N_REPLICATES)
    # Four standard errors: of a mean sd / sqrt(n), of a standard deviation sd / sqrt(2 n).
    assert noise.mean() == pytest.approx(0, abs=4 * stated / math.sqrt(1400))
    assert noise.std() == pytest.approx(stated, abs=4 * stated / math.sqrt(2800))
    assert any(str(simulation.REPLICATE_SD) in note for note in data.notes)


def test_noise_is_normal_and_independent_of_the_sequence(data):
    """And of the orientation."""
    signal = simulation.activity(data.codes)
    noise = data.targets["expression"] - signal
    assert stats.kstest(noise / noise.std(), "norm").pvalue > 0.001
    assert abs(stats.pearsonr(noise, signal).statistic) < 4 / math.sqrt(1400)
    assert abs(stats.pearsonr(noise[::2], noise[1::2]).statistic) < 4 / math.sqrt(700)


def test_noise_ceilings_are_correlations_with_true_activity(data):
    signal, measured = simulation.activity(data.codes), data.targets["expression"].astype(float)
    mean = {
        "row": (signal, measured),
        "strand_averaged": ((signal[::2] + signal[1::2]) / 2, (measured[::2] + measured[1::2]) / 2),
    }
    assert [ceiling["level"] for ceiling in data.ceilings] == ["row", "strand_averaged"]
    for ceiling in data.ceilings:
        assert ceiling["value"] == pytest.approx(stats.pearsonr(*mean[ceiling["level"]]).statistic, abs=1e-9)
        assert (ceiling["output"], ceiling["metric"]) == ("expression", "pearson_r")
        assert ceiling["basis"]


def test_the_ceiling_follows_from_the_size_of_signal_and_noise(data):
    # r of a signal and the signal plus independent noise is 1 / sqrt(1 + noise variance / signal variance).
    signal = simulation.activity(data.codes)
    ratio = simulation.REPLICATE_SD**2 / simulation.N_REPLICATES / signal.var()
    assert data.ceilings[0]["value"] == pytest.approx(1 / math.sqrt(1 + ratio), abs=0.03)
    assert 0.5 < data.ceilings[0]["value"] < 0.98


@pytest.mark.parametrize("name", MOTIFS)
def test_every_motif_is_planted_on_both_strands_and_everywhere(data, name):
    texts = [text[15:215] for text in sequences.decode(data.codes[::2])]
    for strand in (FORWARD, REVERSE):
        starts = [m.start() for text in texts for m in re.finditer(f"(?={site(name, strand)})", text)]
        # Half of the planted sites fall on either strand; some are overwritten by later ones.
        assert len(starts) > 0.3 * MOTIFS[name].rate * 700
        assert min(starts) < 40
        assert max(starts) > 150


def test_about_the_stated_share_of_elements_has_the_pair(data):
    gap = f".{{{PAIR.min_gap_bp},{PAIR.max_gap_bp}}}"
    pattern = re.compile(site(PAIR.left) + gap + site(PAIR.right))
    share = np.mean([bool(pattern.search(text)) for text in sequences.decode(data.codes[::2])])
    assert simulation.PAIR_RATE - 0.07 < share < simulation.PAIR_RATE + 0.12


def test_gc_content_differs_between_elements_around_one_half(data):
    gc = np.array([text[15:215].count("G") + text[15:215].count("C") for text in sequences.decode(data.codes[::2])])
    assert gc.mean() / 200 == pytest.approx(0.5, abs=0.02)
    assert gc.std() / 200 > math.sqrt(0.25 / 200)  # more than by chance alone
