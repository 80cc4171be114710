"""The one place that sets numba up: where compiled kernels are kept, and how they are compiled.

Numba decides whether a stored kernel is stale by the kernel's own source file, so an `inlined` helper lives in the
file of the kernels that use it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numba

from backend.cache import cache_dir

os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_dir() / "numba"))
numba.config.reload_config()  # another package may have imported numba before the variable was set

# Not the whole of fastmath: infinities and NaN keep their meaning (an empty pixel's depth is inf).
_FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": _FASTMATH}

kernel: Callable[..., Any] = numba.njit(**_OPTIONS)
parallel_kernel: Callable[..., Any] = numba.njit(parallel=True, **_OPTIONS)
inlined: Callable[..., Any] = numba.njit(inline="always", **{**_OPTIONS, "cache": False})
