"""A message as one piece of bytes: for the journal, and between the server and its workers.

Each part of a ZeroMQ message is handed over and encrypted alone. What a worker is told has seven, most of them small.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from shared.wire.codec import Part

ALIGNMENT = 8
"""Bytes, of parts whose arrays are used where they lie."""

_LENGTH = struct.Struct("<Q")


def bundled(parts: Sequence[Part], alignment: int = ALIGNMENT) -> bytes:
    """For each part its length, itself, and zeros up to the next multiple of `alignment`."""
    pieces: list[Part] = []
    for part in parts:
        pieces += _LENGTH.pack(len(part)), part, bytes(-len(part) % alignment)
    return b"".join(pieces)


def unbundled(bundle: Part, alignment: int = ALIGNMENT) -> list[Part]:
    """What `bundled` put together, as views if `bundle` is one."""
    parts, start = list[Part](), 0
    while start < len(bundle):
        (length,) = _LENGTH.unpack_from(bundle, start)
        start += _LENGTH.size
        parts.append(bundle[start : start + length])
        start += length + -length % alignment
    return parts
