"""What is damaged and by which command it is read: a kind of input gives the ways to damage it, and what tries one."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.helpers.fuzz.box import Box

Use = Callable[[Any], int]


@dataclass(frozen=True)
class Kind:
    """`make` fills a box with what is valid and returns what to try, how, and an input that must be taken.

    `n` is how many of 10,000 inputs are of this kind; `quick` ones are tried by default too, a few of each.
    What `heals` is made again or passed over where it is damaged.
    """

    name: str
    n: int
    quick: bool
    heals: bool
    make: Callable[[Box], tuple[st.SearchStrategy, Use, Any]]


KINDS: dict[str, Kind] = {}


def kind(name: str, n: int, *, quick: bool = True, heals: bool = False) -> Callable:
    def known(make: Callable) -> Callable:
        KINDS[name] = Kind(name, n, quick, heals, make)
        return make

    return known


def dna(n: int, seed: Any) -> str:
    return "".join(random.Random(str(seed)).choices("ACGT", k=n))


HERE = ("--device", "cpu", "--workers", "0")
RIDGE = ("--models", "kmer_ridge", "--set", "kmer_ridge.k=2")


def needed(name: str) -> Any:
    import pytest

    return pytest.importorskip(name)
