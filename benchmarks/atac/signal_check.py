"""What the values of a signal look like: counts of insertions, or something that passes for them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.api.genome import Genome
from benchmarks.atac.bigwig import Signal
from benchmarks.atac.shift import centre_of
from benchmarks.errors import BadInput

MIN_ROUGHNESS = 0.6
"""Insertions are counted base by base: half the squared difference of neighbours is, on average, at least their value.
If every insertion or read counts at w bases in a row, it is about 1/w of it."""
_SMOOTH = 0.3
_MIN_STEP = 5
_LARGEST_MULTIPLE = 1000
_MIN_POSITIVE = 1000
_N_SAMPLED = 20_000


@dataclass
class Looks:
    """What a signal looks like, gathered chromosome by chromosome.

    Parameters
    ----------
    totals
        Chromosome -> sum of its values.
    units
        Smallest positive value of each chromosome, if its values are multiples of that.
    """

    totals: dict[str, float] = field(default_factory=dict)
    whole: bool = True
    first_decimal: str = ""
    units: list[float | None] = field(default_factory=list)
    steps: int = 0
    differences: float = 0.0
    squares: float = 0.0
    n_positive: int = 0

    def add(self, chrom: str, values: np.ndarray) -> None:
        """Look at the values of one chromosome, (length,)."""
        values = values.astype(np.float64)
        self.totals[chrom] = float(values.sum())
        positive = values[values > 0]
        if not len(positive):
            return
        if self.whole and (positive % 1).any():
            self.whole = False
            at = int(np.flatnonzero(values % 1)[0])
            self.first_decimal = f"{values[at]:g} at {chrom}:{at + 1:,}"
        self.n_positive += len(positive)
        unit = float(positive.min())
        ratio = positive / unit
        small = ratio[ratio < _LARGEST_MULTIPLE]
        is_multiple = np.abs(small - np.rint(small)) <= 1e-4 * small
        self.units.append(unit if is_multiple.mean() > 0.999 else None)
        change = np.diff(values)
        self.differences += float((change**2).sum())
        self.squares += float((positive**2).sum())
        self.steps = int(np.gcd.reduce([self.steps, *np.unique(np.flatnonzero(change) + 1)]))

    @property
    def unit(self) -> float | None:
        """The number that all values are multiples of; None if there is none."""
        known = [unit for unit in self.units if unit is not None]
        if not known or len(known) < len(self.units):
            return None
        smallest = min(known)
        ratios = np.array(known) / smallest
        return smallest if np.allclose(ratios, np.rint(ratios), rtol=1e-3) else None

    def roughness(self, unit: float = 1.0) -> float:
        """Half the squared differences of neighbours over the sum of values, in units of one insertion."""
        return self.differences / max(2 * unit * sum(self.totals.values()), 1e-300)

    def complaint(self) -> str | None:
        """Say what the signal looks like, if not like insertions per base."""
        step = f", in steps of {self.steps} bp" if self.steps >= _MIN_STEP else ""
        if not self.whole:
            unit = self.unit
            if unit is not None:
                n = sum(self.totals.values()) / unit
                million = ", to a million in all" if abs(n * unit - 1e6) < 1e3 else ""
                rough = self.roughness(unit)
                wide = ", and each at several bases in a row, as in coverage" if rough < MIN_ROUGHNESS else ""
                return f"its values are multiples of {unit:g}, as of counts that were scaled{million}{wide}{step}"
            smooth = self.differences < _SMOOTH * 2 * self.squares
            kind = "binned" if step else "smoothed or averaged" if smooth else "normalised or weighted"
            return f"its values are not whole numbers (first: {self.first_decimal}): it looks {kind}{step}"
        unit = self.unit
        if unit is not None and unit >= 2 and self.n_positive >= _MIN_POSITIVE:
            return f"all its values are multiples of {unit:g}: every insertion would count {unit:g} times"
        rough = self.roughness()
        if rough < MIN_ROUGHNESS:
            if step:
                return f"its values are equal{step}: it looks binned"
            return (
                "its values stay equal, or nearly so, over stretches of bases: it looks like coverage by whole reads "
                "or fragments, or smoothed"
            )
        return None


def look_at(signal: Signal, chroms: Iterable[str], path: Path, *, as_it_is: bool = False) -> tuple[Looks, list[str]]:
    """Look at every value of a signal; return what was found, and notes.

    Raises
    ------
    BadInput
        If it does not look like insertions per base, unless `as_it_is`.
    """
    looks = Looks()
    for chrom in chroms:
        looks.add(chrom, signal.values(chrom))
    if not sum(looks.totals.values()):
        raise BadInput(f"--signal: {path} has no insertion on the chromosomes that are used.")
    complaint = looks.complaint()
    if complaint is None:
        return looks, []
    if not as_it_is:
        raise BadInput(
            f"--signal: {path}: {complaint}. Whole, unscaled numbers of Tn5 insertions per base are expected; give the "
            "reads with --reads, or say --signal-as-is to train on these values as they are."
        )
    return looks, [f"The signal was taken as it is, though {complaint}."]


def tn5_note(signal: Signal, chroms: Iterable[str], genome: Genome, *, seed: int = 0) -> str:
    """Say whether the bases around insertions show Tn5's sequence bias, and whether they lie at its middle."""
    rng = np.random.default_rng(seed)
    places: dict[str, np.ndarray] = {}
    for chrom in chroms:
        values = signal.values(chrom).astype(np.float64)
        at = np.flatnonzero(values).astype(np.int32)
        if len(at):
            places[chrom] = rng.choice(at, _N_SAMPLED, p=values[at] / values[at].sum())
    centre = centre_of(places, genome, seed=seed)
    if not centre.is_clear:
        return "The bases around its insertions do not show Tn5's sequence bias: is it a signal of Tn5 insertions?"
    beside = ""
    if centre.is_unshifted:
        beside = ", but 4 bp left and right of them, as around 5' ends that were not shifted: shift them by +4/-4"
    elif abs(centre.offset) > 1:
        beside = f", but {abs(centre.offset)} bp beside them: it was shifted otherwise than by +4/-4"
    return f"The bases around its insertions show Tn5's palindrome (r = {centre.likeness:.2f}){beside}."
