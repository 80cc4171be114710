"""The compute backend: one photo in, a moving avatar out."""

import os

__version__ = "0.1.0"

# numba and torch each bring an OpenMP of their own; threads that wait by spinning would starve the other's.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
