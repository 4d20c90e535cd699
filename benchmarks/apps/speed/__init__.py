"""Timing of the engine and of models; see docs/speed.md."""
