"""A full disk as the one error that users meet, whatever the system calls it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.wire.errors import WireError

FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def telling_disk_full(path: Path, wanted: int = 0) -> Iterator[None]:
    """Turn what the system says when nothing more can be written to `path` into `WireError` disk_full."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL and not isinstance(error, PermissionError):
            raise
        raise disk_full(path, error, wanted) from error


def disk_full(path: Path, error: OSError, wanted: int = 0) -> WireError:
    """The error with path and bytes."""
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    need = f"{wanted:,} bytes were wanted, " if wanted else ""
    free = f"{shutil.disk_usage(place).free:,} are free"
    return WireError(
        "disk_full", f"Cannot write {path}: {error.strerror} ({need}{free}). Free some space, then try again.", "", True
    )
