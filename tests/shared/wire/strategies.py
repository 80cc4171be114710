"""Hypothesis strategies for every message and its buffers, derived from the type annotations."""

from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, get_args, get_origin

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from shared.wire import messages as m
from shared.wire.codec import DTYPES, Envelope
from shared.wire.schema import Choice, Hex, Length, Range, Uuid, _hints

MESSAGES = [value for value in vars(m).values() if isinstance(value, type) and issubclass(value, m.Message)]
MESSAGES.remove(m.Message)
UUIDS = st.uuids().map(str)
TEXT = st.characters(codec="utf-8")


def values(kind, checks=()):
    """Values of an annotated type, inside all its limits."""
    if get_origin(kind) is Annotated:
        base, *more = get_args(kind)
        return values(base, [*more, *checks])
    by_type = {type(check): check for check in checks}
    if Choice in by_type:
        return st.sampled_from(by_type[Choice].options)
    if Uuid in by_type:
        return UUIDS | st.just("") if by_type[Uuid].or_empty else UUIDS
    if Hex in by_type:
        digits = st.text("0123456789abcdef", min_size=by_type[Hex].digits, max_size=by_type[Hex].digits)
        return digits | st.just("") if by_type[Hex].or_empty else digits
    return _plain(kind, by_type.get(Range), by_type.get(Length))


def _plain(kind, limits, length):
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(int(limits.low), int(limits.high))
    if kind is float:
        return st.floats(limits.low, limits.high)
    if kind is str:
        return st.text(TEXT, min_size=length.at_least, max_size=min(length.at_most, 30))
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=min(length.at_most, 3)).map(tuple)
    assert is_dataclass(kind)
    return bodies(kind)


def bodies(cls, fixed=None):
    """Instances of a message or of a part of one; fields with a default may keep it."""
    made = {}
    for field in fields(cls):
        made[field.name] = values(_hints(cls)[field.name])
        if field.default is not MISSING:
            made[field.name] |= st.just(field.default)
    return st.builds(cls, **{**made, **(fixed or {})})


@st.composite
def envelopes(draw, cls=None):
    """A message with buffers that fit it."""
    cls = cls or draw(st.sampled_from(MESSAGES))
    buffers, fixed = draw(_BUFFERS.get(cls, st.just(({}, {}))))
    message = draw(bodies(cls, {name: st.just(value) for name, value in fixed.items()}))
    short = st.text(TEXT, max_size=20)
    return Envelope(message, buffers, draw(UUIDS), draw(UUIDS | st.just("")), draw(short))


@st.composite
def _chunks(draw):
    data = draw(npst.arrays(np.uint8, st.integers(0, 40)))
    offset = draw(st.integers(0, 1000))
    total = draw(st.integers(max(1, offset + len(data)), 10_000))
    return {"data": data}, {"offset": offset, "total": total}


@st.composite
def _motions(draw, most=3):
    count, names = draw(st.integers(1, most)), draw(st.lists(st.text(TEXT, max_size=8), max_size=3))
    cameras = draw(st.sampled_from((1, count)))
    K = np.tile(np.array([[500, 0, 10], [0, 400, 20], [0, 0, 1]], "f4"), (cameras, 1, 1))
    buffers = {
        "full_pose": draw(floats((count, 165), 10)),
        "transl": draw(floats((count, 3), 100)),
        "expression": draw(floats((count, len(names)), 2)),
        "world_to_camera": np.tile(np.eye(4, dtype="f4"), (cameras, 1, 1)),
        "K": K,
    }
    return buffers, {"expression_names": tuple(names)}


def floats(shape, largest):
    """Finite float32 arrays."""
    return npst.arrays("<f4", shape, elements=st.floats(-largest, largest, width=32))


@st.composite
def _frames(draw):
    height, width, strips = draw(st.integers(0, 4)), draw(st.integers(0, 4)), draw(st.integers(1, 5))
    color, depth = draw(st.sampled_from(("u1", "f2"))), draw(st.sampled_from(("u2", "f4")))
    rgba = draw(npst.arrays(np.uint8, (height, width, 4))).astype(DTYPES[color])
    near, far = sorted(draw(st.tuples(st.floats(0, 100), st.floats(0, 100))))
    owner = draw(st.sampled_from(("view", "job")))
    fixed = {"x": 2, "y": 3, "width": 10, "height": 12, "near": near, "far": far, "strips": strips}
    fixed |= {"strip": draw(st.integers(0, strips - 1)), "view": "", "job": "", owner: draw(UUIDS)}
    return {"rgba": rgba, "depth": np.zeros((height, width), DTYPES[depth])}, fixed


_PREVIEWS = npst.arrays(np.uint8, st.tuples(st.integers(0, 4), st.integers(0, 4), st.just(3)))
_PLAIN_JOB = ({}, {"expression_names": ()})
_BUFFERS = {
    m.AssetPut: _chunks(),
    m.FileChunk: _chunks(),
    m.RenderLive: _motions(most=1),
    m.RenderFrames: _motions(),
    m.Frame: _frames(),
    m.JobEvent: _PREVIEWS.map(lambda preview: ({"preview": preview}, {})) | st.just(({}, {})),
    m.JobSubmit: st.just(_PLAIN_JOB)
    | _motions(most=1).map(
        lambda made: (
            {name: made[0][name] for name in ("full_pose", "transl", "expression")},
            {**made[1], "registration": "7b0b9f5c-8a46-4c43-9f3b-0d3d3a0f4f5e"},
        )
    ),
}
