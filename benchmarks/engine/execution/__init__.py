"""Carrying out trainings, in this process, in worker processes or on the nodes of a cluster."""
