"""Designing sequences with trained models, and the libraries that test them."""
