"""dream-bench: train, score and compare sequence-to-function models with one command."""

__version__ = "0.1.0"
