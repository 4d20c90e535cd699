"""Quantify a sorted library (FACS and sequencing): from its reads to expression labels, and a simulator of both."""
