"""Find a Python that has Vivant installed. Only looks at files, starts nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

SCRIPTS, EXE = ("Scripts", ".exe") if sys.platform == "win32" else ("bin", "")


def find_python(chosen: str = "") -> Path | None:
    """The Python of the preferences if one is `chosen`, else VIVANT_PYTHON, the one behind `vivant` on the PATH, or a
    virtual environment in a usual place; None if there is none.
    """
    given = chosen or os.environ.get("VIVANT_PYTHON", "")
    if given:
        return Path(given) if Path(given).is_file() else None
    command = shutil.which("vivant")
    if command and (python := _python_beside(Path(command))):
        return python
    return next((python for folder in _usual_places() if (python := _python_of(folder))), None)


def _python_of(environment: Path) -> Path | None:
    command = environment / SCRIPTS / f"vivant{EXE}"
    return _python_beside(command) if command.is_file() else None


def _python_beside(command: Path) -> Path | None:
    """pip writes a package's command beside the Python it belongs to; pipx and uv link to it from elsewhere."""
    folder = command.resolve().parent
    return next((path for name in ("python", "python3") if (path := folder / f"{name}{EXE}").is_file()), None)


def _usual_places() -> Iterator[Path]:
    home = Path.home()
    for folder in (home / "vivant", home / "Vivant", home):
        yield from (folder / ".venv", folder / "venv")
    share = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    yield from (share / "uv" / "tools" / "vivant", share / "pipx" / "venvs" / "vivant")
    yield from (home / ".local" / "pipx" / "venvs" / "vivant", home / "pipx" / "venvs" / "vivant")
    for conda in ("miniconda3", "anaconda3", "miniforge3"):
        yield home / conda / "envs" / "vivant"
    if roaming := os.environ.get("APPDATA"):
        yield Path(roaming) / "uv" / "tools" / "vivant"
