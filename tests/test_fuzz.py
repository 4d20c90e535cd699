"""Damaged inputs of every kind, thousands of them: no traceback, no hang, nothing written where nothing belongs."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.helpers.fuzz import KINDS
from tests.helpers.fuzz.box import Box
from tests.helpers.fuzz.damage import damaged_bytes

SHARE = 0.012
"""Share of the ten thousand that is tried by default."""
TOTAL = 10_000

pytestmark = pytest.mark.timeout(3600, method="thread")  # the limit of an input uses the signal


def tried(name: str, n: int, folder) -> Counter:
    """Try `n` inputs of a kind, after one that must be taken; returns exit code -> number."""
    box, codes = Box(folder), Counter()
    inputs, use, valid = KINDS[name].make(box)
    assert use(valid) == 0, "what is not damaged must be taken, or nothing is tried"

    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def holds(found) -> None:
        codes[use(found)] += 1

    holds()
    return codes


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.quick])
def test_damaged_inputs_are_refused_in_a_sentence(name, tmp_path, monkeypatch):
    """Reports without plots, which take seconds each; the ten thousand below draw them."""
    monkeypatch.setattr("benchmarks.engine.reporting.write_results._plots", lambda *args: {})
    n = max(4, round(SHARE * KINDS[name].n))
    codes = tried(name, n, tmp_path)
    assert codes.total() >= n
    assert codes[1] or codes[2] or KINDS[name].heals, "nothing was damaged enough to be refused"


@pytest.mark.slow
def test_ten_thousand_damaged_inputs(tmp_path_factory, capsys):
    found, failed = {}, {}
    for name, kind in KINDS.items():
        try:
            found[name] = tried(name, kind.n, tmp_path_factory.mktemp("box"))
        except Exception as error:  # the other kinds are tried all the same; all failures are shown below
            failed[name] = error
    with capsys.disabled():
        print(f"\n{'kind of input':<55}{'tried':>7}{'taken':>7}{'partly':>7}{'refused':>8}")
        for name, codes in found.items():
            print(f"{name:<55}{codes.total():>7,}{codes[0]:>7,}{codes[1]:>7,}{codes[2]:>8,}")
        print(f"{'all':<55}{sum(codes.total() for codes in found.values()):>7,}")
    if failed:
        raise ExceptionGroup("kinds of input that broke a promise", list(failed.values()))
    assert sum(codes.total() for codes in found.values()) >= TOTAL


@settings(max_examples=50, deadline=None, database=None, derandomize=True)
@given(st.binary(min_size=1, max_size=50).flatmap(damaged_bytes))
@example(b"")
def test_damage_is_bytes_whatever_is_damaged(content):
    assert isinstance(content, bytes)
