"""The way of a run: plan the trainings, carry them out, store, score, test and report. `pipeline` is the sequence."""
