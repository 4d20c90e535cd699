"""The figures and tables of Rafi et al. 2024, drawn from stored runs."""
