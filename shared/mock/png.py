"""PNG out (8 bit, three or four channels), and the size of a PNG or JPEG in: all that the mock needs of pictures."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from ..wire.errors import WireError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def png(pixels: np.ndarray) -> bytes:
    """A file of `pixels` [H, W, 3 or 4] u1, straight alpha."""
    height, width, channels = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 4)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG or JPEG. Raises `WireError` (bad_photo) for anything else."""
    size = _png_size(data) if data.startswith(_SIGNATURE) else _jpeg_size(data)
    if size is None:
        raise WireError("bad_photo", "The photo cannot be read. Give a PNG or JPEG file.")
    return size


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_size(data: bytes) -> tuple[int, int] | None:
    return struct.unpack(">II", data[16:24]) if len(data) >= 24 else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while data.startswith(b"\xff\xd8") and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _JPEG_SIZES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", data[at + 2 : at + 4])[0]
    return None
