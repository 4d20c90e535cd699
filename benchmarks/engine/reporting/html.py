"""What all HTML pages share: the template environment and its formats."""

from pathlib import Path

import jinja2
import pandas as pd

_WORDS = {
    "row": "row level",
    "region": "region level",
    "pearson_r": "Pearson r",
    "spearman_rho": "Spearman rho",
    "mse": "MSE",
    "pearson_score": "Pearson score",
    "spearman_score": "Spearman score",
    "median_jsd": "median JS distance",
    "one_minus_median_jsd": "1 − median JS distance",
    "median_norm_jsd": "median normalised JS distance",
}


def template(name: str) -> jinja2.Template:
    """Open a template of a page, with the filters that write numbers and names."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": number, "signed": signed, "duration": duration, "words": words}
    return environment.get_template(name)


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


def duration(seconds: float | None) -> str:
    """Write a time in the two largest units that fit: 41.2 s, 12 min 3 s, 3 h 5 min."""
    if seconds is None or seconds < 100:
        return number(seconds) + " s" * (seconds is not None)
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def words(name: str) -> str:
    """Write the name of a column, metric or level as words."""
    return _WORDS.get(name, str(name).replace("_", " "))
