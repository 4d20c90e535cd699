"""Predictions of trained models for sequences of the user."""
