"""`python -m benchmarks doctor`: is this machine ready for a run?"""
