"""Each limit of a message at the limit and one past it."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import zmq

from shared.errors import VivantError
from shared.wire import compression, limits, sockets
from shared.wire import messages as m
from shared.wire.codec import Envelope, decode, encode
from shared.wire.connection import Connection, load_connection
from shared.wire.errors import WireError
from shared.wire.mapped import Maps, proof
from tests.conftest import ROOT
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


def listing(kind, count):
    """The largest list of this kind, cut to what a header holds: its items are as small as they can be."""
    item = {m.Files: m.FileInfo("", "0" * 64, 0), m.Avatars: m.AvatarInfo(ID, "", 0.0)}[kind]
    return (kind((item,) * count),)


def changed(message_type, **values):
    """A message as it is, but for some fields; a dot leads into a part of it."""
    message, buffers = (told := sample(message_type)).message, told.buffers
    for path, value in values.items():
        part, _, name = path.rpartition("__")
        inner = {name: value} if not part else {part: replace(getattr(message, part), **{name: value})}
        message = replace(message, **inner)
    return message, buffers


def shaped(size):
    """A header that announces so long a buffer; the part is missing, which is found after the shape."""
    described = {"name": "data", "dtype": "u1", "shape": [size], "nbytes": size}
    magic, header = encode(Envelope(m.AssetPut("0" * 64, 1)))
    text = json.loads(header) | {"buffers": [described]}
    return [magic, json.dumps(text).encode(), b""]


def builds(option):
    return sends(lambda size: changed(m.JobSubmit, **{option: size}))


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
    "COUNT": (sends(lambda size: changed(m.JobEvents, since=size)), limits.COUNT, 1, "out_of_range"),
    "SECONDS": (sends(lambda size: changed(m.Status, uptime_s=size)), limits.SECONDS, 1, "out_of_range"),
    "METRES": (sends(lambda size: changed(m.Frame, far=size)), limits.METRES, 1, "out_of_range"),
    "ETA_S": (sends(lambda size: changed(m.JobIs, info__eta_s=size)), limits.ETA_S, 1, "out_of_range"),
    "PSNR_DB": (sends(lambda size: changed(m.AvatarIs, info__photo_psnr_db=size)), limits.PSNR_DB, 1, "out_of_range"),
    "VERSION": (sends(lambda size: changed(m.Hello, minor=size)), limits.VERSION, 1, "out_of_range"),
    "FILES": (sends(lambda size: listing(m.Files, size)), limits.FILES, 1, "out_of_range"),
    "AVATARS": (sends(lambda size: listing(m.Avatars, size)), limits.AVATARS, 1, "out_of_range"),
    "FRAME_NOTES": (sends(lambda size: changed(m.Frame, notes=("",) * size)), limits.FRAME_NOTES, 1, "out_of_range"),
    "STATUS_NOTES": (sends(lambda size: changed(m.Status, notes=("",) * size)), limits.STATUS_NOTES, 1, "out_of_range"),
    "STRIPS": (sends(lambda size: changed(m.Frame, strips=size)), limits.STRIPS, 1, "out_of_range"),
    "FRAME_NUMBER": (sends(lambda size: changed(m.RenderFrames, first=size)), limits.FRAME_NUMBER, 1, "out_of_range"),
    "-FRAME_NUMBER": (
        sends(lambda size: changed(m.RenderFrames, first=size)), -limits.FRAME_NUMBER - 1, -1, "out_of_range"
    ),
    "PERSON": (sends(lambda size: changed(m.JobSubmit, person=size)), limits.PERSON, 1, "out_of_range"),
    "-BUILD_SIZE": (builds("options__size"), limits.BUILD_SIZE[0], -1, "out_of_range"),
    "BUILD_SIZE": (builds("options__size"), limits.BUILD_SIZE[1], 1, "out_of_range"),
    "BUILD_STEPS": (builds("options__steps"), limits.BUILD_STEPS, 1, "out_of_range"),
    "SEED": (builds("options__seed"), limits.SEED, 1, "out_of_range"),
    "TOLD": (sends(lambda size: changed(m.Status, queued=size)), limits.TOLD, 1, "out_of_range"),
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


@pytest.mark.limits("SHAPE_SIZE")
def test_the_size_of_a_shape_is_checked_before_anything_is_computed_with_it():
    for size, words in ((limits.SHAPE_SIZE, "bytes together"), (limits.SHAPE_SIZE + 1, "no proper shape")):
        with pytest.raises(WireError, match=words):
            decode(shaped(size))


@pytest.mark.limits("ZSTD_WINDOW_BYTES")
@pytest.mark.skipif(not compression.FEATURES, reason="needs zstandard")
@pytest.mark.parametrize("past", [0, 1])
def test_a_packed_buffer_may_ask_for_so_much_room(past):
    import zstandard

    window = limits.ZSTD_WINDOW_BYTES.bit_length() - 1 + past
    packer = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=window, enable_ldm=True)
    ).compressobj()  # of a size that it does not announce, so that its window is the whole
    data = bytes(3 * limits.ZSTD_WINDOW_BYTES)
    packed = packer.compress(data) + packer.flush()
    if past:
        with pytest.raises(WireError, match="damaged"):
            compression.unpack(packed, len(data))
    else:
        assert compression.unpack(packed, len(data)) == data


@pytest.mark.limits("FRAME_PART_BYTES")
@pytest.mark.parametrize("past", [0, 1])
def test_a_part_of_a_frame_may_be_so_large(past):
    context, server = sockets.new_context(), Connection("127.0.0.1", 1, 0)
    door = context.socket(zmq.ROUTER)
    client = sockets.client_socket(context, sockets.FRAMES, server)
    sockets.connect(client, sockets.FRAMES, replace(server, frames_port=sockets.bind(door, "127.0.0.1")))
    client.send(b"here")
    routing, _ = door.recv_multipart()
    # Without a key there is no encryption, whose bytes the socket leaves room for.
    door.send_multipart([routing, bytes(limits.FRAME_PART_BYTES + past * (sockets.ENCRYPTION_BYTES + 1))])
    assert bool(client.poll(10_000 if not past else 500)) != bool(past)
    context.destroy(linger=0)


@pytest.mark.limits(
    "CONTROL_QUEUE", "FRAMES_QUEUE", "HANDSHAKE_S", "HEARTBEAT_S", "LINGER_S", "CONTROL_PART_BYTES", "JOIN_PART_BYTES"
)
def test_zeromq_is_told_its_limits():
    """What it makes of them is its own: that it cuts at them is tested with real peers (rows 4 and 8)."""
    context = sockets.new_context()
    for channel, queue, part in (
        (sockets.CONTROL, limits.CONTROL_QUEUE, limits.CONTROL_PART_BYTES),
        (sockets.FRAMES, limits.FRAMES_QUEUE, limits.JOIN_PART_BYTES),
    ):
        socket = sockets.server_socket(context, channel)
        told = {
            zmq.SNDHWM: queue,
            zmq.RCVHWM: queue,
            zmq.MAXMSGSIZE: part + sockets.ENCRYPTION_BYTES,
            zmq.HANDSHAKE_IVL: 1000 * limits.HANDSHAKE_S,
            zmq.HEARTBEAT_IVL: 1000 * limits.HEARTBEAT_S[0],
            zmq.HEARTBEAT_TIMEOUT: 1000 * limits.HEARTBEAT_S[1],
            zmq.HEARTBEAT_TTL: 1000 * limits.HEARTBEAT_S[2],
            zmq.LINGER: 1000 * limits.LINGER_S,
        }
        assert {option: socket.get(option) for option in told} == told
    context.destroy(linger=0)


@pytest.mark.limits("CONNECTION_FILE_BYTES")
def test_a_connection_file_may_be_so_large(tmp_path):
    path = tmp_path / "connection.json"
    for past in (0, 1):
        text = json.dumps({"host": "127.0.0.1", "control_port": 1, "frames_port": 2})
        path.write_text(text[:-1] + " " * (limits.CONNECTION_FILE_BYTES + past - len(text)) + "}")
        if past:
            with pytest.raises(VivantError, match="Cannot read"):
                load_connection(path)
        else:
            assert load_connection(path).control_port == 1


@pytest.mark.limits("RING_KEY_BYTES")
def test_no_more_is_read_of_a_ring_key(tmp_path):
    key = bytes(range(256)) * 4 + b"!"
    (tmp_path / "ring-key").write_bytes(key)
    assert len(key) == limits.RING_KEY_BYTES + 1
    assert Maps(tmp_path / "ring-key").proof("ticket") == proof(key[:-1], "ticket") != proof(key, "ticket")


# All of them

TESTED = re.compile(r"mark\.limits\(([^)]*)\)")


def test_every_limit_has_a_test_that_says_so():
    """`CASES` here, and tests marked with the names that they go up to and past."""
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    marked = {name for text in texts for names in TESTED.findall(text) for name in re.findall(r'"(\w+)"', names)}
    names = {name for name in vars(limits) if name.isupper()} - {"MAJOR", "MINOR", "MAGIC"}
    assert marked | {name.lstrip("-") for name in CASES} == names
