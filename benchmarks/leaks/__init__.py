"""Leaks: which test sequences the trainings of a run, or the splits of a file, have seen."""
