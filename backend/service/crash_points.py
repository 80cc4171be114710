"""Named points at which a test lets the process die, to prove that what is on the disk then suffices."""

from __future__ import annotations

import os

_CHOSEN = os.environ.get("ABORT_AT", "")


def crash_point(name: str) -> None:
    """End the process here, as a power cut would, if the environment says `ABORT_AT=<name>`."""
    if name == _CHOSEN:
        os._exit(70)
