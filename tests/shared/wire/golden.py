"""One fixed message of each kind, and its bytes as each version wrote them that wrote it otherwise than those before.

`python -m tests.shared.wire.golden` adds what this version's folder lacks; it never changes a file, for clients of
every version are out there."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, get_args, get_origin

import numpy as np

from shared.wire import limits
from shared.wire import messages as m
from shared.wire.codec import DTYPES, Envelope, encode
from shared.wire.schema import Choice, Hex, Range, Uuid, _hints
from tests.shared.wire.strategies import MESSAGES

FOLDER = Path(__file__).parent / f"golden_{limits.MAJOR}_{limits.MINOR}"
"""Of this version."""
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
_SIZES = {"F": 1, "C": 1, "E": 2, "H": 2, "W": 3, "N": 5}


def sample(cls):
    """A message of this kind with its buffers, the same each time."""
    buffers = {name: _array(name, buffer) for name, buffer in cls.BUFFERS.items()}
    return Envelope(_value(cls), buffers, id=ID, re=ID, session=ID)


def _value(kind, checks=()):
    if get_origin(kind) is Annotated:
        return _value(get_args(kind)[0], get_args(kind)[1:])
    for check in checks:
        if isinstance(check, Choice):
            return check.options[-1]
        if isinstance(check, Uuid):
            return ID
        if isinstance(check, Hex):
            return "5e" * (check.digits // 2)
        if isinstance(check, Range) and kind is int:
            return int(min(max(check.low, 7), check.high))
    if get_origin(kind) is tuple:
        return tuple(_value(get_args(kind)[0]) for _ in range(2))
    if is_dataclass(kind):
        return kind(**{field.name: _value(_hints(kind)[field.name]) for field in fields(kind)} | _FIXED.get(kind, {}))
    return {str: 'Zoë \u2028 "[', int: 7, float: 0.1, bool: True}[kind]


_FIXED = {
    m.AssetPut: {"total": 12},
    m.FileChunk: {"total": 12},
    m.Frame: {"width": 10, "height": 9, "job": "", "strips": 8},
}


def _array(name, buffer):
    shape = [_SIZES.get(size, size) for size in buffer.shape]
    dtype = DTYPES[buffer.dtypes.split("|")[0]]
    if name in ("K", "world_to_camera"):
        return np.eye(shape[1], dtype=dtype)[None]
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def write(path, parts):
    """Magic and header as they are, buffers in hexadecimal, one part to a line."""
    lines = [bytes(parts[0]), bytes(parts[1]), *(bytes(part).hex().encode() for part in parts[2:])]
    path.write_bytes(b"\n".join(lines) + b"\n")


def read(path):
    """What `write` wrote."""
    magic, header, *buffers = path.read_bytes().splitlines()
    return [magic, header, *(bytes.fromhex(line.decode()) for line in buffers)]


def versions(kind):
    """The files of this kind, oldest version first."""
    return sorted(FOLDER.parent.glob(f"golden_*_*/{kind}.txt"), key=lambda path: int(path.parent.name.split("_")[2]))


def main():
    FOLDER.mkdir(exist_ok=True)
    for cls in MESSAGES:
        parts, path = encode(sample(cls)), FOLDER / f"{cls.kind}.txt"
        if not path.exists() and [read(known) for known in versions(cls.kind)][-1:] != [parts]:
            write(path, parts)


if __name__ == "__main__":
    main()
