"""Measurements; run by hand, on a machine that does nothing else."""
