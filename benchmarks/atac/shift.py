"""The shift that reads come with, told by the sequence bias of Tn5, and where their insertions are counted.

Source: `kundajelab/chrombpnet`, `chrombpnet/helpers/preprocessing` (`reads_to_bigwig.py`, `auto_shift_detect.py`). Tn5
cuts the two strands 9 bp apart, so that its sequence bias is a palindrome around the middle of those 9 bp; every
insertion is counted there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.api.genome import Genome
from benchmarks.api.sequences import COMPLEMENT, N_CODE
from benchmarks.atac.reads import Ends
from benchmarks.errors import BadInput

TARGETS = {"atac": (4, -4), "dnase": (0, 0)}
"""Assay -> bp by which + starts and - ends are shifted. ATAC: both ends of an insertion count at the middle of its 9
bp. DNase: the 5' base of a read counts; ChromBPNet counts that of reads on - one base further, between its bases."""
ALLOWED = {(0, 0)} | {(plus, minus) for plus in (3, 4, 5) for minus in (-4, -5, -6)}
"""Shifts that files come with: none, or one of the usual corrections."""

N_SAMPLED = 10_000
_REACH, _AROUND = 8, 24
"""Positions that are compared on either side of a centre, and that are read on either side of an insertion."""
_MIN_LIKENESS, _MIN_HALVES = 0.6, 0.35


@dataclass(frozen=True)
class Shift:
    """The shift of the 5' ends in a file, as the base composition around them shows it."""

    plus: int
    minus: int
    likeness: float
    """Pearson r of the composition around the centre with its reverse complement, the lower of both strands."""

    @property
    def is_clear(self) -> bool:
        """Whether the palindrome is distinct enough to rely on."""
        return self.likeness >= _MIN_LIKENESS

    def __str__(self) -> str:
        return f"{self.plus:+d}/{self.minus:+d}"


def detect_shift(ends: Ends, genome: Genome, *, seed: int = 0) -> Shift:
    """Find the centre of the palindrome that Tn5 prefers around the + starts, and around the - ends.

    Of an unshifted file it is 4 bp right of a + start and 5 bp left of a - end (exclusive).
    """
    rng = np.random.default_rng(seed)
    plus, r_plus = _centre(_composition(ends.plus, genome, rng))
    minus, r_minus = _centre(_composition(ends.minus, genome, rng))
    return Shift(4 - plus, -5 - minus, min(r_plus, r_minus))


def settled_shift(detected: Shift, given: tuple[int, int] | None) -> tuple[tuple[int, int], str]:
    """Decide by which shift the ends in a file are corrected already; return it, and a sentence for the report.

    Raises
    ------
    BadInput
        If none was given, and the detected one is unclear or unusual.
    """
    says = f"{detected} (likeness of both strands' palindromes r = {detected.likeness:.2f})"
    if given is not None:
        agrees = "as" if (detected.plus, detected.minus) == given else "although"
        looks = f"{agrees} the reads look like {says}" if detected.is_clear else "the reads do not show one"
        return given, f"The reads come shifted by {given[0]:+d}/{given[1]:+d}, as told; {looks}."
    if not detected.is_clear:
        raise BadInput(
            f"The reads do not show which shift they come with: no palindrome of Tn5 around their ends ({says}). "
            "Say it: --shift 0,0 for reads as aligned, --shift 4,-5 for fragments already corrected."
        )
    if (detected.plus, detected.minus) not in ALLOWED:
        raise BadInput(
            f"The reads look shifted by {says}; 0/0 or about +4/-5 is usual. If that is right, say so: "
            f"--shift {detected.plus},{detected.minus}."
        )
    return (detected.plus, detected.minus), f"The reads come shifted by {says}."


def _composition(positions: dict[str, np.ndarray], genome: Genome, rng: np.random.Generator) -> np.ndarray:
    """Count bases around a sample of positions, less what is usual; (2 * _AROUND + 1, 4)."""
    total = sum(map(len, positions.values()))
    share = min(1.0, N_SAMPLED / max(total, 1))
    counts = np.zeros((2 * _AROUND + 1, N_CODE + 1))
    offsets = np.arange(-_AROUND, _AROUND + 1)
    for chrom in genome.sizes:
        here = positions.get(chrom, np.zeros(0, np.int32))
        here = rng.choice(here, int(np.ceil(share * len(here))), replace=False) if len(here) else here
        here = here[(here >= _AROUND) & (here < genome.sizes[chrom] - _AROUND)]
        around = genome.codes(chrom)[here[:, None] + offsets] if len(here) else np.zeros((0, len(offsets)), np.uint8)
        counts += (around[:, :, None] == np.arange(N_CODE + 1)).sum(axis=0)
    known = counts[:, :N_CODE]
    shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return shares - shares.mean(axis=0)


def _centre(composition: np.ndarray) -> tuple[int, float]:
    """Find the offset around which a composition is most its own reverse complement, and how much it is (r)."""
    offsets = range(-_AROUND + _REACH, _AROUND - _REACH + 1)
    found = {offset: _likeness(composition, offset) for offset in offsets}
    best = max(offsets, key=lambda offset: found[offset][0])
    return best, found[best][1]


def _likeness(composition: np.ndarray, offset: int) -> tuple[float, float]:
    """Compare the composition around an offset with its reverse complement: strength, and Pearson r."""
    here = composition[_AROUND + offset + np.arange(-_REACH, _REACH + 1)]
    reverse_complemented = here[::-1][:, COMPLEMENT[:N_CODE]]
    strength = float((here * reverse_complemented).sum())
    scale = float(np.sqrt((here**2).sum() * (reverse_complemented**2).sum()))
    return strength, strength / scale if scale > 0 else 0.0


@dataclass(frozen=True)
class Centre:
    """The palindrome of Tn5 around insertions where they stand.

    Parameters
    ----------
    offset, likeness
        Where its middle is, in bp right of them, and how like its reverse complement it is (Pearson r).
    halves
        The lower likeness of two palindromes, 4 bp left and 4 bp right. Unshifted 5' ends of both strands have those,
        which together mirror each other around the ends and so look centred.
    """

    offset: int
    likeness: float
    halves: float

    @property
    def is_clear(self) -> bool:
        """Whether the palindrome is distinct enough to rely on."""
        return self.likeness >= _MIN_LIKENESS

    @property
    def is_unshifted(self) -> bool:
        """Whether these look like 5' ends that nobody has shifted to the middle of Tn5's 9 bp."""
        return self.is_clear and self.halves >= _MIN_HALVES


def centre_of(positions: dict[str, np.ndarray], genome: Genome, *, seed: int = 0) -> Centre:
    """Find the palindrome around insertions of both strands together."""
    composition = _composition(positions, genome, np.random.default_rng(seed))
    offset, likeness = _centre(composition)
    strengths = [_likeness(composition, at) for at in (-4, 4)]
    return Centre(offset, likeness, min(r for _, r in strengths))


def check_insertions(ends: Ends, genome: Genome, *, is_told: bool = False, seed: int = 0) -> str:
    """Say what the bases around insertions of one base show; they count where they stand.

    Parameters
    ----------
    is_told
        Whether the user said that these are insertions where they stand: what looks otherwise is then only noted.

    Raises
    ------
    BadInput
        If they plainly lie beside the middle of Tn5's 9 bp.
    """
    centre = centre_of(ends.plus, genome, seed=seed)
    if not centre.is_clear:
        return "The bases around them do not show Tn5's sequence bias."
    if centre.is_unshifted:
        looks = (
            "The bases around them look as around 5' ends of both strands that were not shifted: palindromes of Tn5 "
            f"lie 4 bp left and right of them (r = {centre.halves:.2f})"
        )
    elif abs(centre.offset) > 1:
        side = "left" if centre.offset > 0 else "right"
        looks = (
            f"They lie {abs(centre.offset)} bp {side} of the middle of Tn5's 9 bp, as the bases around them show "
            f"(likeness of its palindrome r = {centre.likeness:.2f})"
        )
    else:
        return f"The bases around them are Tn5's palindrome (r = {centre.likeness:.2f})."
    if is_told:
        return f"{looks}."
    raise BadInput(
        f"{looks}. Give them with strands (column 6), or the reads themselves, so that they can be shifted; if they "
        "are to count where they stand, say --format insertions."
    )


def positions_of(ends: Ends, shift: tuple[int, int], assay: str = "atac") -> dict[str, np.ndarray]:
    """Return the position of every insertion, 0-based, by chromosome; some may lie off its ends.

    Parameters
    ----------
    shift
        bp that the ends are shifted by already; the rest to the assay's target is added.
    """
    if ends.is_single:
        return dict(ends.plus)
    target = TARGETS[assay]
    plus, minus = target[0] - shift[0], target[1] - shift[1]
    none = np.zeros(0, np.int32)
    return {
        chrom: np.concatenate([ends.plus.get(chrom, none) + plus, ends.minus.get(chrom, none) + minus - 1])
        for chrom in {**ends.plus, **ends.minus}
    }


def count(positions: dict[str, np.ndarray], genome: Genome) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Count insertions per base, by chromosome in the genome's order: (name, positions, counts at them)."""
    for chrom, size in genome.sizes.items():
        at = positions.get(chrom, np.zeros(0, np.int32))
        places, counts = np.unique(at[(at >= 0) & (at < size)], return_counts=True)
        if len(places):
            yield chrom, places, counts
