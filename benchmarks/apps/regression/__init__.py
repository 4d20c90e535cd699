"""Regression of model scores: recompute a small fixed matrix, and say which scores have moved."""
