"""Observations to an SMPL-X fit with a clothed surface."""
