"""The one place that sets numba up: where compiled kernels are kept, and how they are compiled.

Numba decides whether a stored kernel is stale by the kernel's own source file, so an `inlined` helper lives in the
file of the kernels that use it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numba
import torch

from backend.cache import cache_dir

os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir() / "numba"))
numba.config.reload_config()  # another package may have imported numba before the variable was set

# Numba sets up its OpenMP pool once, here, and tells OpenMP to use all cores from then on. Torch listens to the same
# OpenMP: without this, the first kernel would undo the user's OMP_NUM_THREADS for every torch operation after it.
_torch_threads = torch.get_num_threads()
numba.get_num_threads()
torch.set_num_threads(_torch_threads)

# Not the whole of fastmath: infinities and NaN keep their meaning (an empty pixel's depth is inf).
_FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": _FASTMATH}

kernel: Callable[..., Any] = numba.njit(**_OPTIONS)
parallel_kernel: Callable[..., Any] = numba.njit(parallel=True, **_OPTIONS)
inlined: Callable[..., Any] = numba.njit(inline="always", **{**_OPTIONS, "cache": False})
