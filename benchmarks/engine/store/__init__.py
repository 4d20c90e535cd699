"""The only code that reads or writes `results/`."""
