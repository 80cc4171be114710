"""Where Vivant keeps what it can compute again: compiled kernels, landmark embeddings."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """The user's cache folder for Vivant, created if missing.

    `VIVANT_CACHE` if set, else `vivant` in the platform's own place (XDG_CACHE_HOME or ~/.cache on Linux,
    ~/Library/Caches on macOS, %LOCALAPPDATA% on Windows).
    """
    own = os.environ.get("VIVANT_CACHE")
    folder = Path(own).expanduser() if own else _platform_cache() / "vivant"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _platform_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
