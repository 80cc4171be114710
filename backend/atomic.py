"""Files that are there whole or not at all."""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from shared.errors import VivantError


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder to write to; on success it takes the name `path`, on failure it goes.

    Missing folders are made.

    Raises:
        VivantError: the folder cannot be written to, or the disk is full.
    """
    # The suffix stays, for encoders choose their container by it.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        keep_names(path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        if os.path.lexists(temporary):
            temporary.unlink()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, compressed: bool = True) -> None:
    """Write an npz, whole or not at all.

    Raises:
        VivantError: as `written_whole`.
    """
    packed = io.BytesIO()  # numpy's zip file, cut short by a full disk, complains on stderr whenever it is collected
    (np.savez_compressed if compressed else np.savez)(packed, **arrays)
    with written_whole(path) as temporary:
        temporary.write_bytes(packed.getbuffer())


def keep_names(folder: Path) -> None:
    """See to it that names given in `folder` outlive a power cut, where the system lets folders be synced.

    Windows does not, nor do some network drives; the files themselves are whole there, too.
    """
    if os.name == "posix":
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def ensure_writable(folder: Path) -> None:
    """Find out before the work starts whether `folder` takes files, or can be made; leaves nothing behind.

    Raises:
        VivantError: it does not.
    """
    try:
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(path: Path, error: OSError) -> VivantError:
    cause = error.strerror or str(error).rstrip(".")
    return VivantError(f"Cannot write {path}: {cause}. Free some disk space, or choose a folder you may write to.")
