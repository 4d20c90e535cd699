"""`python -m benchmarks status | retry | gc`: where runs stand, going on with them, and what they left behind."""
