"""Regression test of scores: train a small fixed matrix of models anew, and test their scores by tolerances."""
