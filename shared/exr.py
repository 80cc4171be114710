"""Multilayer EXR files that Blender's compositor reads as they stand, written with nothing but numpy and zlib.

The same channels as `backend.rendering.writers.write_exr`: `Avatar.Combined.R/G/B/A` (half, premultiplied linear
Rec.709) and `Avatar.Depth.Z` (float, planar, metres), in ZIP-compressed blocks of scanlines. The header carries a text
of ours, the origin: what the picture was made from. Inside the file the two cannot fall apart.
"""

from __future__ import annotations

import os
import secrets
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NO_DEPTH = 1e10
"""What Blender's own renderers write where there is nothing."""

_MAGIC = struct.pack("<ii", 20000630, 2)  # version 2: one part, scanlines, short names
_HALF, _FLOAT = 1, 2
_CHANNELS = [(f"Avatar.Combined.{name}", _HALF) for name in "ABGR"] + [("Avatar.Depth.Z", _FLOAT)]  # sorted by name
_PIXEL_BYTES = 12
_ZIP = 3
_LINES = 16  # of one ZIP block
_FAST = 1  # of zlib's levels: a picture of noise is 3 % smaller at level 6, and takes four times as long
_SMALL = 9  # for emptiness, which is deflated once and written many times
_HEADER_BYTES = 4096  # our headers end long before


@dataclass(frozen=True)
class ExrHeader:
    """What one of our files says about itself."""

    width: int
    height: int
    origin: str


def write_exr(
    path: Path,
    rgba: np.ndarray,  # [H, W, 4] float16, premultiplied linear Rec.709
    depth: np.ndarray,  # [H, W] float32 metres, undefined where alpha is 0
    origin: str = "",
) -> None:
    """Write one frame, whole or not at all, into a folder that exists.

    Raises:
        OSError: the file cannot be written.
    """
    starts = range(0, len(rgba), _LINES)
    with ThreadPoolExecutor() as pool:  # zlib works outside Python's lock
        blocks = list(pool.map(lambda y: _block(rgba[y : y + _LINES], depth[y : y + _LINES]), starts))
    write_whole(path, _content(rgba.shape[1], rgba.shape[0], blocks, origin))


def empty_exr(width: int, height: int) -> bytes:
    """The content of a file in which nothing is seen and whose origin is empty."""
    rgba, depth = np.zeros((_LINES, width, 4), np.float16), np.zeros((_LINES, width), np.float32)
    blocks = [_block(rgba, depth, _SMALL)] * (height // _LINES)
    rest = height % _LINES
    if rest:
        blocks.append(_block(rgba[:rest], depth[:rest], _SMALL))
    return _content(width, height, blocks, "")


def read_header(path: Path) -> ExrHeader | None:
    """What the file says about itself; None if it is missing or not one of ours."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES)
    except OSError:
        return None
    attributes = _attributes(start) if start.startswith(_MAGIC) else {}
    if "vivantOrigin" not in attributes:
        return None
    _, _, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    return ExrHeader(right + 1, bottom + 1, attributes["vivantOrigin"].decode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all. Raises `OSError` where it cannot be written."""
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial")
    try:
        temporary.write_bytes(content)  # not synced: what a power cut takes is rendered again
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _block(rgba: np.ndarray, depth: np.ndarray, level: int = _FAST) -> bytes:  # at most _LINES lines
    """Lines of channel after channel; even bytes before odd ones; differences; deflated unless that makes it longer."""
    lines, width = depth.shape
    raw = np.empty((lines, _PIXEL_BYTES * width), np.uint8)
    raw[:, : 8 * width] = np.ascontiguousarray(rgba[..., ::-1].transpose(0, 2, 1), "<f2").reshape(lines, -1).view("u1")
    depth = np.where(rgba[..., 3] > 0, depth, np.float32(NO_DEPTH))
    raw[:, 8 * width :] = depth.astype("<f4", copy=False).view("u1")
    halves = np.concatenate([raw.reshape(-1)[0::2], raw.reshape(-1)[1::2]])
    halves[1:] = halves[1:] - halves[:-1] + np.uint8(128)  # the right side is complete before the left changes
    deflated = zlib.compress(halves.tobytes(), level)
    return deflated if len(deflated) < raw.nbytes else raw.tobytes()


def _content(width: int, height: int, blocks: list[bytes], origin: str) -> bytes:
    header = _header(width, height, origin)
    chunks = [struct.pack("<ii", k * _LINES, len(block)) + block for k, block in enumerate(blocks)]
    offsets = len(header) + 8 * len(chunks) + np.cumsum([0, *map(len, chunks)])[:-1]
    return b"".join([header, offsets.astype("<u8").tobytes(), *chunks])


def _header(width: int, height: int, origin: str) -> bytes:
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channels = b"".join(name.encode() + struct.pack("<xiBxxxii", kind, 0, 1, 1) for name, kind in _CHANNELS)
    attributes = [
        ("channels", "chlist", channels + b"\0"),
        ("compression", "compression", bytes([_ZIP])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1.0)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1.0)),
        ("vivantOrigin", "string", origin.encode()),
    ]
    parts = [f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value for name, kind, value in attributes]
    return b"".join([_MAGIC, *parts, b"\0"])


def _attributes(start: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    at = len(_MAGIC)
    while start[at : at + 1] != b"\0":
        name, _, rest = start[at:].partition(b"\0")
        kind, _, rest = rest.partition(b"\0")
        (length,) = struct.unpack_from("<i", rest)
        found[name.decode()] = rest[4 : 4 + length]
        at += len(name) + len(kind) + 2 + 4 + length
    return found
