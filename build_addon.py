"""Build the Blender extension: `python build_addon.py` writes dist/vivant-<version>.zip."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def stage(folder: Path) -> Path:
    """The extension's package, unpacked: `folder`/vivant, with `shared/` inside as `_shared`. Without wheels."""
    package = folder / "vivant"
    _copy(ROOT / "blender_addon", package)
    _copy(ROOT / "shared", package / "_shared")
    return package


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"), dirs_exist_ok=True)
