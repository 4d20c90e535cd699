"""What all HTML pages share: the template environment and its filters."""

from pathlib import Path

import jinja2

from benchmarks.api.metrics import label_of
from benchmarks.engine.reporting.text import duration, number, signed


def template(name: str) -> jinja2.Template:
    """Open a template of a page, with the filters that write numbers and names."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": number, "signed": signed, "duration": duration, "label": label_of}
    return environment.get_template(name)
