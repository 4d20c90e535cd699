"""What is printed, and the tables, plots and pages that a run leaves behind."""
