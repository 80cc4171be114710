"""Messages to parts and back: magic, JSON header, raw buffers. Nothing that arrives is trusted or unpickled."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import limits, messages
from .errors import WireError
from .schema import KINDS, Buffer, Message, from_json, to_json

Part = bytes | memoryview
Buffers = Mapping[str, np.ndarray]

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.S)
_BRACKET = re.compile(rb"[][{}]")
DTYPES = {"u1": np.dtype("u1"), "u2": np.dtype("<u2"), "f2": np.dtype("<f2"), "f4": np.dtype("<f4")}


@dataclass(frozen=True)
class Envelope:
    """A message with its buffers and what connects it to others."""

    message: Message
    buffers: Buffers = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    re: str = ""  # id of the message that this one answers
    session: str = ""


def encode(envelope: Envelope) -> list[Part]:
    """Parts for `send_multipart`; buffers are views of the arrays, which must not change before they are sent.

    Raises:
        WireError: the header or the buffers exceed the limits of the protocol.
    """
    described, parts = [], []
    for name, array in envelope.buffers.items():
        dtype = next(key for key, value in DTYPES.items() if value == array.dtype)
        contiguous = np.ascontiguousarray(array)
        described.append({"name": name, "dtype": dtype, "shape": list(array.shape), "nbytes": array.nbytes})
        parts.append(contiguous.reshape(-1).view("u1").data)
    header = {
        "kind": envelope.message.kind,
        "id": envelope.id,
        "re": envelope.re,
        "session": envelope.session,
        "body": to_json(envelope.message),
        "buffers": described,
    }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    if len(text) > limits.HEADER_BYTES:
        raise WireError("too_large", f"The header has {len(text)} bytes; {limits.HEADER_BYTES} are allowed.")
    return [limits.MAGIC, text, *parts]


def decode(parts: Sequence[Part]) -> Envelope:
    """The message in `parts` (without a routing id). Its arrays are views of the parts.

    Raises:
        WireError: whatever is wrong with it; `code` is version, unknown_kind, too_large, out_of_range or malformed.
    """
    if not 2 <= len(parts) <= 2 + limits.MAX_BUFFERS:
        raise WireError("malformed", f"A message has 2 to {2 + limits.MAX_BUFFERS} parts, this one {len(parts)}.")
    _check_magic(bytes(parts[0][:64]))
    header = _parse(parts[1])
    known = header["id"] if isinstance(header.get("id"), str) and len(header["id"]) <= limits.NAME_CHARS else ""
    try:
        return _envelope(header, parts[2:])
    except WireError as error:
        error.re = known
        raise


def _check_magic(magic: bytes) -> None:
    if magic == limits.MAGIC:
        return
    name, _, version = magic.partition(b"/")
    if name != b"VIVANT" or not version.isdigit():
        raise WireError("malformed", "This is no message of Vivant.")
    older = "other side" if int(version) < limits.MAJOR else "side that says this"
    raise WireError(
        "version",
        f"One side speaks version {int(version)} of the protocol, the other {limits.MAJOR}: update the {older}.",
    )


def _parse(part: Part) -> dict[str, Any]:
    text = bytes(part[: limits.HEADER_BYTES + 1])
    if len(text) > limits.HEADER_BYTES:
        raise WireError("too_large", f"A header may have {limits.HEADER_BYTES} bytes.")
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > limits.HEADER_DEPTH:
            raise WireError("malformed", f"The header is nested deeper than {limits.HEADER_DEPTH} levels.")
    try:
        header = json.loads(
            text.decode("utf-8"), object_pairs_hook=_object, parse_float=_finite, parse_constant=_finite
        )
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise WireError("malformed", f"The header is not JSON: {error}.") from error
    if not isinstance(header, dict):
        raise WireError("malformed", "The header must be an object.")
    return header


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    for text in (*result, *(value for value in result.values() if isinstance(value, str))):
        text.encode("utf-8")  # lone surrogates would fail later, on the way out
    return result


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


def _envelope(header: dict[str, Any], parts: Sequence[Part]) -> Envelope:
    for name in ("kind", "id", "re", "session"):
        if not isinstance(header.setdefault(name, ""), str) or len(header[name]) > limits.NAME_CHARS:
            raise WireError("malformed", f"{name} must be a short string.", name)
    cls = KINDS.get(header["kind"])
    if cls is None:
        raise WireError("unknown_kind", f"This side knows no message of kind {header['kind']!r}: update it.", "kind")
    message = from_json(cls, header.get("body", {}))
    buffers, sizes = _buffers(cls.BUFFERS, header.get("buffers", []), parts)
    message.check(sizes)
    return Envelope(message, buffers, header["id"], header["re"], header["session"])


def _buffers(
    wanted: dict[str, Buffer], described: Any, parts: Sequence[Part]
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The arrays by name, and the sizes that the letters of their shapes took."""
    if not isinstance(described, list) or len(described) != len(parts):
        raise WireError("malformed", "The header must describe each buffer that follows.", "buffers")
    arrays: dict[str, np.ndarray] = {}
    sizes: dict[str, int] = {}
    for entry, part in zip(described, parts, strict=True):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in wanted or name in arrays:
            raise WireError("malformed", f"A buffer called {name!r} does not belong here.", "buffers")
        arrays[name] = _array(name, entry, part, wanted[name], sizes)
    missing = [name for name, buffer in wanted.items() if name not in arrays and not buffer.optional]
    if missing:
        raise WireError("malformed", f"The buffer {missing[0]} is missing.", missing[0])
    return arrays, sizes


def _array(name: str, entry: dict[str, Any], part: Part, wanted: Buffer, sizes: dict[str, int]) -> np.ndarray:
    dtype, shape = entry.get("dtype"), entry.get("shape")
    if dtype not in wanted.dtypes.split("|"):
        raise WireError("malformed", f"{name} must be of type {wanted.dtypes}.", name)
    if not isinstance(shape, list) or not all(type(size) is int and 0 <= size < 2**40 for size in shape):
        raise WireError("malformed", f"{name} has no proper shape.", name)
    fits = len(shape) == len(wanted.shape) and all(
        size == (sizes.setdefault(letter, size) if isinstance(letter, str) else letter)
        for size, letter in zip(shape, wanted.shape, strict=True)
    )
    if not fits:
        raise WireError("malformed", f"{name} has the shape {shape}; it must be {list(wanted.shape)}.", name)
    nbytes = math.prod(shape) * DTYPES[dtype].itemsize
    if not nbytes == entry.get("nbytes") == len(part):
        raise WireError("malformed", f"{name} should have {nbytes} bytes, {len(part)} came.", name)
    return np.frombuffer(part, DTYPES[dtype]).reshape(shape)


__all__ = ["DTYPES", "Buffers", "Envelope", "Part", "decode", "encode", "messages"]
