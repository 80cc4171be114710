"""Messages to parts and back: magic, JSON header, raw buffers. Nothing that arrives is trusted or unpickled."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from types import MappingProxyType
from typing import Any

import numpy as np

from . import compression, limits, messages
from .errors import WireError
from .mapped import FEATURE, Maps, Place
from .schema import KINDS, Buffer, Message, from_json, is_text, to_json

Part = bytes | memoryview
Buffers = Mapping[str, np.ndarray]

DType = np.dtype[Any]
DTYPES: dict[str, DType] = {name: np.dtype("<" + name) for name in ("u1", "u2", "f2", "f4")}
PACKED_FROM = 16 * 1024
"""Bytes; smaller buffers are not worth packing, and are copied."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.S)
"""The last quote may be missing: else each quote of a text without end would be tried as its beginning."""
_BRACKET = re.compile(rb"[][{}]")

_PROCESS, _NUMBERS = str(uuid.uuid4())[:-12], count()


def fresh_id() -> str:
    """For messages. Only what tells processes apart is random: asking the system for each id costs too much a frame."""
    return f"{_PROCESS}{next(_NUMBERS):012x}"


@dataclass(frozen=True)
class Envelope:
    """A message with its buffers and what connects it to others."""

    message: Message
    buffers: Buffers = field(default_factory=dict)
    id: str = field(default_factory=fresh_id)
    re: str = ""  # id of the message that this one answers
    session: str = ""


def encode(envelope: Envelope, pack: bool = False, places: Mapping[str, Place] = MappingProxyType({})) -> list[Part]:
    """Parts for `send_multipart`; large buffers are views of the arrays, which must not change before they are sent.

    `pack` compresses large buffers, for a peer that announced `compression.FEATURES`. Buffers in `places` lie there,
    for a peer that has proven to be able to read them, and are not part of the message.

    Raises:
        WireError: the header or the buffers exceed the limits of the protocol, or an array is of another type.
    """
    described, parts = [], []
    for name, array in envelope.buffers.items():
        entry, part = _described(name, array, pack, places.get(name))
        described.append(entry)
        parts.append(part)
    if sum(array.nbytes for array in envelope.buffers.values()) > limits.MESSAGE_BYTES:
        raise _too_large(f"The buffers of a message may have {limits.MESSAGE_BYTES} bytes together.")
    header = {
        "kind": envelope.message.kind,
        "id": envelope.id,
        "re": envelope.re,
        "session": envelope.session,
        "body": to_json(envelope.message),
        "buffers": described,
    }
    text = _WRITER.encode(header).encode()
    if len(text) > limits.HEADER_BYTES:
        raise _too_large(f"The header has {len(text)} bytes; {limits.HEADER_BYTES} are allowed.")
    return [limits.MAGIC, text, *parts]


def _described(name: str, array: np.ndarray, pack: bool, place: Place | None) -> tuple[dict[str, Any], Part]:
    if array.dtype not in _NAMES:
        raise WireError("malformed", f"{name} is an array of {array.dtype}; only {', '.join(DTYPES)} travel.", name)
    entry = {"name": name, "dtype": _NAMES[array.dtype], "shape": list(array.shape), "nbytes": array.nbytes}
    if place is not None:
        return {**entry, "coding": FEATURE, "ring": place.ring, "offset": place.offset}, b""
    if array.nbytes < PACKED_FROM:
        return entry, array.tobytes()  # takes less time than a view
    part = np.ascontiguousarray(array).reshape(-1).view("u1").data
    if not pack:
        return entry, part
    return {**entry, "coding": "zstd"}, compression.pack(part)


def decode(parts: Sequence[Part], maps: Maps | None = None) -> Envelope:
    """The message in `parts` (without a routing id). Its arrays are views of the parts, or copies out of `maps`.

    Raises:
        WireError: whatever is wrong with it; `code` is version, unknown_kind, too_large, out_of_range or malformed.
    """
    if not 2 <= len(parts) <= 2 + limits.MAX_BUFFERS:
        raise WireError("malformed", f"A message has 2 to {2 + limits.MAX_BUFFERS} parts, this one {len(parts)}.")
    _check_magic(bytes(parts[0][:64]))
    header = _parse(parts[1])
    for name in ("kind", "id", "re", "session"):
        text = header.setdefault(name, "")
        if not isinstance(text, str) or len(text) > limits.NAME_CHARS or not is_text(text):
            raise WireError("malformed", f"{name} must be a short text.", name)
    try:
        return _envelope(header, parts[2:], maps)
    except WireError as error:
        error.refused, error.re = header["id"], header["re"]
        raise


def _check_magic(magic: bytes) -> None:
    if magic == limits.MAGIC:
        return
    found = re.fullmatch(rb"VIVANT/(\d{1,6})", magic)
    if not found or int(found[1]) == limits.MAJOR:
        raise WireError("malformed", "This is no message of Vivant.")
    theirs = int(found[1])
    newer, older = (limits.MAJOR, theirs) if theirs < limits.MAJOR else (theirs, limits.MAJOR)
    raise WireError(
        "version",
        f"One side speaks version {newer} of the protocol, the other {older}: update Vivant on the older side.",
    )


def _parse(part: Part) -> dict[str, Any]:
    text = bytes(part[: limits.HEADER_BYTES + 1])
    if len(text) > limits.HEADER_BYTES:
        raise _too_large(f"A header may have {limits.HEADER_BYTES} bytes.")
    if text.count(b"[") + text.count(b"{") > limits.HEADER_DEPTH:  # few messages have more brackets than that
        _check_depth(text)
    try:
        header = _READER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise WireError("malformed", f"The header is not JSON: {str(error)[:200]}.") from error
    if not isinstance(header, dict):
        raise WireError("malformed", "The header must be an object.")
    return header


def _check_depth(text: bytes) -> None:
    """Before the parser, which recurses."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > limits.HEADER_DEPTH:
            raise WireError("malformed", f"The header is nested deeper than {limits.HEADER_DEPTH} levels.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not finite")
    return number


_READER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_finite)
_WRITER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)
"""Made once: `json.loads` and `json.dumps` make one for each text."""


def _envelope(header: dict[str, Any], parts: Sequence[Part], maps: Maps | None) -> Envelope:
    cls = KINDS.get(header["kind"])
    if cls is None:
        raise WireError("unknown_kind", f"This side knows no message of kind {header['kind']!r}: update it.", "kind")
    message = from_json(cls, header.get("body", {}))
    buffers = _buffers(cls.BUFFERS, header.get("buffers", []), parts, maps)
    message.check(buffers)
    return Envelope(message, buffers, header["id"], header["re"], header["session"])


def _buffers(
    wanted: dict[str, Buffer], described: Any, parts: Sequence[Part], maps: Maps | None
) -> dict[str, np.ndarray]:
    if not isinstance(described, list) or len(described) != len(parts):
        raise WireError("malformed", "The header must describe each buffer that follows.", "buffers")
    arrays: dict[str, np.ndarray] = {}
    sizes: dict[str, int] = {}  # that the letters of the shapes took
    left = limits.MESSAGE_BYTES
    for entry, part in zip(described, parts, strict=True):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in wanted or name in arrays:
            raise WireError("malformed", "A buffer of this name does not belong here.", "buffers")
        dtype, shape, nbytes = _layout(name, entry, wanted[name], sizes)
        left -= nbytes
        if left < 0:
            raise _too_large(f"The buffers of a message may have {limits.MESSAGE_BYTES} bytes together.", name)
        arrays[name] = np.frombuffer(_unpacked(name, entry, part, nbytes, maps), dtype).reshape(shape)
    missing = [name for name, buffer in wanted.items() if name not in arrays and not buffer.optional]
    if missing:
        raise WireError("malformed", f"The buffer {missing[0]} is missing.", missing[0])
    return arrays


def _layout(name: str, entry: dict[str, Any], wanted: Buffer, sizes: dict[str, int]) -> tuple[DType, list[int], int]:
    """Type, shape and size of a buffer, all checked in Python's integers before anything is allocated."""
    dtype, shape, nbytes = entry.get("dtype"), entry.get("shape"), entry.get("nbytes")
    if not isinstance(dtype, str) or dtype not in wanted.dtypes.split("|"):
        raise WireError("malformed", f"{name} must be of type {wanted.dtypes}.", name)
    if not isinstance(shape, list):
        raise WireError("malformed", f"{name} has no proper shape.", name)
    for size in shape:
        if type(size) is not int or not 0 <= size <= limits.SHAPE_SIZE:
            raise WireError("malformed", f"{name} has no proper shape.", name)
    if not _fits(shape, wanted, sizes):
        raise WireError("malformed", f"{name} has the shape {shape[:8]}; it must be {_told(wanted, sizes)}.", name)
    if type(nbytes) is not int or nbytes != math.prod(shape) * DTYPES[dtype].itemsize:
        raise WireError("malformed", f"{name} does not announce the bytes that its shape needs.", name)
    return DTYPES[dtype], shape, nbytes


def _fits(shape: list[int], wanted: Buffer, sizes: dict[str, int]) -> bool:
    if len(shape) != len(wanted.shape):
        return False
    for size, letter in zip(shape, wanted.shape, strict=True):
        if size != (sizes.setdefault(letter, size) if isinstance(letter, str) else letter):
            return False
    return True


def _told(wanted: Buffer, sizes: dict[str, int]) -> str:
    letters = [f"{size} ({sizes[size]})" if size in sizes else str(size) for size in wanted.shape]
    return f"[{', '.join(letters)}]"


def _unpacked(name: str, entry: dict[str, Any], part: Part, nbytes: int, maps: Maps | None) -> Part:
    coding = entry.get("coding", "raw")
    if coding == "raw" and len(part) == nbytes:
        return part
    if coding == "zstd":
        return compression.unpack(part, nbytes)
    if coding == FEATURE and maps is not None:
        return maps.read(_place(name, entry), nbytes)
    if coding != "raw":
        raise WireError("malformed", f"{name} is packed in a way that this side does not know.", name)
    raise WireError("malformed", f"{name} should have {nbytes} bytes, {len(part)} came.", name)


def _place(name: str, entry: dict[str, Any]) -> Place:
    ring, offset = entry.get("ring"), entry.get("offset")
    if not isinstance(ring, str) or type(offset) is not int or not 0 <= offset <= limits.COUNT:
        raise WireError("malformed", f"{name} names no place in a ring.", name)
    return Place(ring, offset)


def _too_large(message: str, field: str = "") -> WireError:
    return WireError("too_large", message, field)


__all__ = ["DTYPES", "Buffers", "Envelope", "Part", "decode", "encode", "messages"]
