"""Folders that tests read."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED_DATA = Path(os.environ.get("DREAM_BENCH_DATA") or ROOT.parent / "shared" / "data")
"""Published data that tests read where they are here."""
DATA = ROOT / "tests" / "data"
DOCS = ROOT / "docs"
GOOD_PLUGIN = ROOT / "tests/helpers/base_counts.py"
"""A model as a third party might write it; it passes every check."""
