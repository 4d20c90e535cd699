"""Search for train-test overlap in stored runs, or in a file before any training."""
