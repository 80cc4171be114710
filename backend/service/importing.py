"""Avatar folders that the command line built: looked at with suspicion, then copied."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared.wire.errors import WireError
from shared.wire.limits import GAUSSIANS, IMPORT_BYTES, IMPORT_FILES, IMPORT_HEADER_BYTES, NAME_CHARS, PSNR_DB
from shared.wire.messages import AvatarInfo
from shared.wire.schema import is_text

NEEDED = ("avatar.json", "gaussians.safetensors", "registration.npz")


def copied(source: Path, target: Path, avatar: str, name: str, wanted: Callable[[], bool]) -> AvatarInfo:
    """Copy the avatar folder `source` to `target`, which must not exist, and say what it is.

    Raises:
        WireError: bad_avatar, if it is no avatar folder, or holds anything but plain files of a sensible size; timeout,
            if it is not `wanted` any more, which is asked before each file.
    """
    _check_wanted(wanted)
    files = _plain_files(source)
    info = _described(source, avatar, name or source.name[:NAME_CHARS], sum(path.stat().st_size for path in files))
    target.mkdir()
    for path in files:
        _check_wanted(wanted)
        with path.open("rb") as original, (target / path.name).open("xb") as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
    return info


def _check_wanted(wanted: Callable[[], bool]) -> None:
    if not wanted():
        raise WireError("timeout", "Nobody waits for this import any more. Ask again.", retryable=True)


def _plain_files(folder: Path) -> list[Path]:
    if not folder.is_absolute() or folder.is_symlink() or not folder.is_dir():
        raise _bad(folder, "is not the full path of a folder")
    entries = sorted(folder.iterdir())
    for path in entries:
        if path.is_symlink() or not path.is_file():
            raise _bad(folder, f"holds {path.name!r}, which is no plain file")
        if len(path.name) > NAME_CHARS or not is_text(path.name):
            raise _bad(folder, f"holds {path.name!r}, a name that cannot be told to clients")
    missing = [name for name in NEEDED if name not in {path.name for path in entries}]
    if missing:
        raise _bad(folder, f"has no {missing[0]}")
    if len(entries) > IMPORT_FILES or sum(path.stat().st_size for path in entries) > IMPORT_BYTES:
        raise _bad(folder, f"has more than {IMPORT_FILES} files or {IMPORT_BYTES >> 30} GiB")
    return [path for path in entries if not path.name.startswith(".")]


def _described(folder: Path, avatar: str, name: str, size: int) -> AvatarInfo:
    try:
        about = json.loads(_start(folder / "avatar.json", IMPORT_HEADER_BYTES))
        count = _gaussian_count(folder / "gaussians.safetensors")
        body, psnr = str(about["body_sha256"]), float(about.get("photo_psnr_db", -1.0))
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError) as error:
        raise _bad(folder, f"cannot be read ({error!r})") from error
    if not re.fullmatch("[0-9a-f]{64}", body) or not -1 <= psnr <= PSNR_DB or not 0 < count <= GAUSSIANS:
        raise _bad(folder, "has a body hash, a PSNR or a number of Gaussians that cannot be")
    return AvatarInfo(avatar, name, time.time(), count, psnr, body, size)


def _gaussian_count(path: Path) -> int:
    """From the header of a safetensors file: its length in 8 bytes, then JSON."""
    start = _start(path, IMPORT_HEADER_BYTES)
    header: dict[str, Any] = json.loads(start[8 : 8 + int.from_bytes(start[:8], "little")])
    return int(header["face"]["shape"][0])


def _start(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _bad(folder: Path, why: str) -> WireError:
    return WireError("bad_avatar", f"{folder} {why}. Give a folder that `vivant build` made.", "folder")
