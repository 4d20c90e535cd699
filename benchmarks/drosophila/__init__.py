"""Drosophila UMI-STARR-seq; see README.md."""
