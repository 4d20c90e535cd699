"""`python -m benchmarks bench …`: how fast models and engine are on this machine."""
