"""Folders that tests read."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
DOCS = ROOT / "docs"
GOOD_PLUGIN = ROOT / "tests/helpers/base_counts.py"
"""A model as a third party might write it; it passes every check."""
