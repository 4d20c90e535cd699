"""From stored predictions to scores, tests, comparisons and leakage reports."""
