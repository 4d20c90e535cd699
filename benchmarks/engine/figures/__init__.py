"""Plots: tables in, matplotlib figure out."""
