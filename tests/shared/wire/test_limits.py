"""Each limit of a message at the limit and one past it."""

from dataclasses import replace

import numpy as np
import pytest

from shared.wire import limits
from shared.wire import messages as m
from shared.wire.codec import Envelope, decode, encode
from shared.wire.errors import WireError
from tests.shared.wire.golden import sample

ID = "00000000-0000-4000-8000-000000000000"
INFO = m.JobInfo(ID, "build", "", "running", 0.0)


def over_the_wire(message, buffers=None):
    return decode([bytes(part) for part in encode(Envelope(message, buffers or {}))])


def lengthened(header_bytes):
    """A ping whose header has exactly so many bytes."""
    magic, header = encode(Envelope(m.Ping()))
    return [magic, header + b" " * (header_bytes - len(header))]


def nested(levels):
    return [limits.MAGIC, b'{"kind":"ping","body":{"x":' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}}"]


def rendered(frames=1, cameras=1, names=0, width=640, height=480):
    motion = {
        "full_pose": np.zeros((frames, 165), "f4"),
        "transl": np.zeros((frames, 3), "f4"),
        "expression": np.zeros((frames, names), "f4"),
        "K": np.tile(np.eye(3, dtype="f4"), (cameras, 1, 1)),
        "world_to_camera": np.tile(np.eye(4, dtype="f4"), (cameras, 1, 1)),
    }
    return m.RenderFrames(ID, ID, width, height, expression_names=("",) * names), motion


def chunk(size):
    return m.AssetPut("0" * 64, limits.ASSET_BYTES), {"data": np.zeros(size, "u1")}


def picture(pixels):  # u1 and u2 pixels are 6 bytes each
    message = replace(sample(m.Frame).message, width=limits.RENDER_SIZE, height=limits.RENDER_SIZE, x=0, y=0)
    rows, left = divmod(pixels, 8192)
    assert left == 0
    return message, {"rgba": np.zeros((rows, 8192, 4), "u1"), "depth": np.zeros((rows, 8192), "u2")}


def sends(make):
    return lambda size: over_the_wire(*make(size))


def decodes(make):
    return lambda size: decode(make(size))


CASES = {
    "HEADER_BYTES": (decodes(lengthened), limits.HEADER_BYTES, 1, "too_large"),
    "HEADER_DEPTH": (decodes(nested), limits.HEADER_DEPTH, 1, "malformed"),
    "MAX_BUFFERS": (
        lambda count: decode([*encode(Envelope(m.Ping())), *[b""] * count]) if count > limits.MAX_BUFFERS else None,
        limits.MAX_BUFFERS,
        1,
        "malformed",
    ),
    "MESSAGE_BYTES": (sends(picture), 8192 * (limits.MESSAGE_BYTES // 6 // 8192), 8192, "too_large"),
    "CHUNK_BYTES": (sends(chunk), limits.CHUNK_BYTES, 1, "too_large"),
    "ASSET_BYTES": (sends(lambda size: (m.AssetPut("0" * 64, size),)), limits.ASSET_BYTES, 1, "out_of_range"),
    "PREVIEW_PIXELS": (
        sends(lambda size: (m.JobEvent(INFO), {"preview": np.zeros((1, size, 3), "u1")})),
        limits.PREVIEW_PIXELS,
        1,
        "too_large",
    ),
    "LOG_BYTES": (sends(lambda size: (m.JobLogText("x" * size, 0),)), limits.LOG_BYTES, 1, "out_of_range"),
    "WAITING_JOBS": (sends(lambda size: (m.Jobs((INFO,) * size),)), limits.WAITING_JOBS, 1, "out_of_range"),
    "JOB_FRAMES": (sends(lambda size: rendered(size)), limits.JOB_FRAMES, 1, "out_of_range"),
    "RENDER_SIZE": (sends(lambda size: rendered(width=size)), limits.RENDER_SIZE, 1, "out_of_range"),
    "CREDIT": (sends(lambda size: (m.RenderCredit(size),)), limits.CREDIT, 1, "out_of_range"),
    "NAME_CHARS": (sends(lambda size: (m.AvatarRename(ID, "ü" * size),)), limits.NAME_CHARS, 1, "out_of_range"),
    "TEXT_CHARS": (sends(lambda size: (m.Error("failed", "x" * size),)), limits.TEXT_CHARS, 1, "out_of_range"),
    "EXPRESSIONS": (sends(lambda size: rendered(names=size)), limits.EXPRESSIONS, 1, "out_of_range"),
    "CLIENTS": (
        sends(lambda size: (replace(sample(m.Status).message, clients=size),)), limits.CLIENTS, 1, "out_of_range"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_at_the_limit_it_passes(name):
    make, limit, _, _ = CASES[name]
    make(limit)


@pytest.mark.parametrize("name", CASES)
def test_one_past_the_limit_it_is_refused(name):
    make, limit, step, code = CASES[name]
    with pytest.raises(WireError) as raised:
        make(limit + step)
    assert raised.value.code == code


def test_six_buffers_are_read_by_the_codec_itself():
    """No kind of version 1.0 has six: the count is refused by the number of parts, before anything else is read."""
    with pytest.raises(WireError, match="describe each buffer"):
        decode([*encode(Envelope(m.Ping())), *[b""] * limits.MAX_BUFFERS])


def test_the_frame_of_the_largest_size_fits_its_strips():
    from shared.wire.pixels import strips

    row = limits.RENDER_SIZE * (8 + 4)  # half floats and depth
    pieces = strips(limits.RENDER_SIZE, row, limits.MESSAGE_BYTES)
    assert max(last - first for first, last in pieces) * row <= limits.FRAME_PART_BYTES
    assert len(pieces) <= 64


def test_a_part_too_long_for_the_control_socket_does_not_leave(quiet_client):
    """ZeroMQ would hang up without a word."""
    fits = limits.CONTROL_PART_BYTES // (4 * 165)
    with pytest.raises(WireError, match="too long"):
        quiet_client.send(*rendered(fits + 1))
    assert quiet_client.send(*rendered(fits)).exception(5).code in ("no_server", "lost")
