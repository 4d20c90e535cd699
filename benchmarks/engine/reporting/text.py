"""How numbers and times are written in tables, pages and messages."""

import pandas as pd


def number(value: float | None, digits: int = 3) -> str:
    """Write a number to some significant digits, whole from 1,000 on, and a missing one as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".")


def signed(value: float | None) -> str:
    """Write a difference with its sign."""
    return number(value) if value is None else ("−" if value < 0 else "+") + number(abs(value))


def mean_sd(mean: float, sd: float) -> str:
    """Write mean ± sd with as many decimals as give the mean three digits; no sd for a single fold."""
    if pd.isna(mean):
        return "–"
    text = number(mean)
    if pd.isna(sd):
        return text
    decimals = len(text.partition(".")[2])
    return f"{text} ± {number(sd, 2)}" if "e" in text else f"{text} ± {sd:.{decimals}f}"


def duration(seconds: float | None, *, exact: bool = False) -> str:
    """Write a time in two units at most: `41 s`, `3 min 20 s`, `16 min`, `5 h 2 min`, `12 days`.

    With `exact`, as for times that were measured, nothing above a second is rounded: `41.2 s`, `16 min 40 s`, `290 h`.
    A missing time is a dash.
    """
    if seconds is None:
        return number(seconds)
    if exact and seconds < 100:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and (exact or minutes < 10) else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48 or exact:
        return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"
    return f"{round(hours / 24):,} days"
