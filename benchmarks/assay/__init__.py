"""Task `assay`: any table of sequences and measurements, described by one short YAML file."""
