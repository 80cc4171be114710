"""`vivant bench wire`: what the way from a worker's pixels to the client's costs, beside a bare socket and a copy."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np
import zmq

from backend.progress import Event, Progress, silent
from backend.service import bench_peers as peers
from shared.errors import VivantError
from shared.wire.calls import ask_live, connect
from shared.wire.client import Client
from shared.wire.codec import Buffers, Envelope
from shared.wire.connection import Connection, load_connection
from shared.wire.errors import WireError
from shared.wire.mapped import FEATURE
from shared.wire.messages import AvatarImport, Frame, Ping, RenderCredit, RenderLive
from shared.wire.sockets import FRAMES

Row = dict[str, Any]
FRAMES_MEASURED, WARM_UP, ROUNDS = 600, 60, 5
ROWS = 17
WAYS = {(): "socket", (FEATURE,): "mapped"}
"""By the features that the client announces, how frames come."""
AHEAD = 3
"""Requests under way, and credit: one frame is made, one is encrypted, one is decrypted."""
PACE_S = 1 / 60
SILENCE_MS = 20_000
CONNECTIONS = 30
PING_EVERY_S = 0.005
EXPRESSIONS = tuple(f"expression{number}" for number in range(52))


def bench_wire(progress: Progress = silent, count: int = FRAMES_MEASURED) -> list[Row]:
    """Measure all rows in one run, on one computer, `count` frames each.

    A frame is what a 1080p view of an avatar takes whose box is a quarter of the picture: RGBA8 and 16-bit depth. The
    server, its worker and the client are processes of their own with one thread for their sockets each. The bare pair
    and what it is compared with are measured in `ROUNDS` turns: what else a computer does changes by the second.
    """
    rows: list[Row] = []

    def row(name: str, seconds: list[float], rate: bool = True) -> Row:
        progress(Event("wire", len(rows), ROWS, name))
        rows.append({"what": name, **_statistics(seconds, rate)})
        return rows[-1]

    row("memory copy", _copy(count))
    row("bare pair", _bare(count, curve=False))
    with _server() as connection:
        for features, way in WAYS.items():
            with connect(connection, "bench", features) as client:
                avatar = _avatar(client)
                client.post(RenderCredit(AHEAD))
                bare_gaps, gaps, latency = _in_turns(client, avatar, count)
                bare = row(f"bare pair, CURVE, in turns with {way}", bare_gaps)
                row(f"live frames, {way}", gaps)["over_bare"] = round(float(np.mean(gaps)) * bare["per_s"], 2)
                row(f"request to frame, {way}", latency, rate=False)
                row(f"ping meanwhile, {way}", _pings(client, avatar, count), rate=False)
                gaps, latency = _live(client, avatar, count, PACE_S)
                row(f"live frames, {way}, paced", gaps)
                row(f"request to frame, {way}, paced", latency, rate=False)
                row(f"ping meanwhile, {way}, paced", _pings(client, avatar, count, PACE_S), rate=False)
        row("hello to ready", _hellos(connection), rate=False)
    return rows


def _in_turns(client: Client, avatar: str, count: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds between frames of the bare pair; between live ones; and from request to frame."""
    bare, gaps, latency = _bare(count, curve=True), list[float](), list[float]()
    for _ in range(ROUNDS):
        more_gaps, more_latency = _live(client, avatar, count)
        gaps += more_gaps
        latency += more_latency
        bare += _bare(count, curve=True)
    return bare, gaps, latency


def _statistics(seconds: list[float], rate: bool = True) -> Row:
    milliseconds = np.array(seconds) * 1000
    percentiles = {f"p{p}_ms": round(float(np.percentile(milliseconds, p)), 2) for p in (50, 99)}
    row = {"mean_ms": round(float(milliseconds.mean()), 2), **percentiles}
    return {"per_s": round(1 / float(np.mean(seconds)), 1), **row} if rate else row


def _copy(count: int) -> list[float]:
    """Seconds that copying one frame's bytes takes."""
    rgba, depth = peers.pixels()
    targets = np.empty_like(rgba), np.empty_like(depth)
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        np.copyto(targets[0], rgba)
        np.copyto(targets[1], depth)
        taken.append(time.perf_counter() - began)
    return taken


def _bare(count: int, *, curve: bool) -> list[float]:
    """Seconds between frames that another process pushes as fast as it can, each copied out."""
    context = zmq.Context()
    socket = context.socket(zmq.PULL)
    socket.set(zmq.RCVHWM, FRAMES.queue)
    socket.set(zmq.RCVTIMEO, SILENCE_MS)
    public, secret = zmq.curve_keypair()
    if curve:
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, secret)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    kept = [np.empty(array.nbytes, np.uint8) for array in peers.pixels()]
    command = [sys.executable, "-m", peers.MODULE, "push", f"tcp://127.0.0.1:{port}", public.decode() if curve else ""]
    with subprocess.Popen(command) as pusher:
        try:
            arrived = [_copied_out(socket, kept) for _ in range(WARM_UP + count)]
        finally:
            pusher.kill()
            context.destroy(linger=0)
    return np.diff(arrived[WARM_UP - 1 :]).tolist()


def _copied_out(socket: zmq.Socket, kept: list[np.ndarray]) -> float:
    """When the next frame had come and was copied into `kept`."""
    try:
        _, *parts = socket.recv_multipart(copy=False)
    except zmq.Again:
        raise VivantError("The process that sends to the bare socket is silent: its last words stand above.") from None
    for target, part in zip(kept, parts, strict=True):
        np.copyto(target, np.frombuffer(part.buffer, np.uint8))
    return time.perf_counter()


@contextmanager
def _server() -> Iterator[Connection]:
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", peers.MODULE, "server", data]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                yield load_connection(Path(json.loads(process.stdout.readline())["connection"]))
            finally:
                process.send_signal(signal.SIGTERM)


def _avatar(client: Client) -> str:
    """The id of an avatar that only looks like one: the workers of this bench load nothing."""
    avatar, gaussians = str(uuid.uuid4()), json.dumps({"face": {"shape": [1]}}).encode()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "avatar.json").write_text(json.dumps({"body_sha256": "0" * 64}), encoding="utf-8")
        (Path(folder) / "gaussians.safetensors").write_bytes(len(gaussians).to_bytes(8, "little") + gaussians)
        (Path(folder) / "registration.npz").write_bytes(b"")
        _patiently(client, AvatarImport(avatar, folder, "bench"))
    return avatar


def _patiently(client: Client, message: AvatarImport) -> None:
    """Ask again while the server's workers start."""
    while True:
        try:
            client.call(message)
            return
        except WireError as error:
            if error.code != "busy":
                raise
            time.sleep(0.05)


def _live(client: Client, avatar: str, count: int, pace_s: float = 0.0) -> tuple[list[float], list[float]]:
    """Seconds between frames, each copied out, and seconds from each request to its frame.

    A request goes out every `pace_s` seconds, or as soon as less than `AHEAD` are under way, each for a view that waits
    for nothing: of one view, a newer request would replace one that is not drawn yet, and count for nothing.
    """
    idle, asked, last, consumed = [str(uuid.uuid4()) for _ in range(AHEAD)], dict[str, float](), -pace_s, 0
    arrived: list[float] = []
    latency: list[float] = []
    posture = _posture()
    kept = {"rgba": np.empty_like(peers.pixels()[0]), "depth": np.empty_like(peers.pixels()[1])}
    while len(arrived) < WARM_UP + count:
        while idle and (now := time.perf_counter()) - last >= pace_s:
            view = idle.pop(0)
            asked[view] = last = now
            ask_live(client, _request(view, len(arrived), avatar), posture, consumed)
            consumed = 0
        came = _next(client, last + pace_s if idle else None)
        frame = came.message if came is not None else None
        if came is None or not isinstance(frame, Frame):
            continue
        if frame.view in asked:  # else it is the last of an earlier measurement
            for name, target in kept.items():
                np.copyto(target, came.buffers[name])
            arrived.append(time.perf_counter())
            latency.append(arrived[-1] - asked.pop(frame.view))
            idle.append(frame.view)
        consumed += 1
        del came, frame  # the next one can have its memory, as with the bare pair
    client.post(RenderCredit(consumed))
    return np.diff(arrived[WARM_UP - 1 :]).tolist(), latency[WARM_UP:]


def _next(client: Client, until: float | None) -> Envelope | None:
    """What comes next; None if the time comes before, or the connection changes."""
    try:
        came = client.inbox.get(timeout=None if until is None else max(0.0, until - time.perf_counter()))
    except Empty:
        return None
    return came if isinstance(came, Envelope) else None


def _pings(client: Client, avatar: str, count: int, pace_s: float = 0.0) -> list[float]:
    """Seconds that pings take while frames come."""
    taken = []
    stream = threading.Thread(target=_live, args=(client, avatar, count, pace_s))
    stream.start()
    while stream.is_alive():
        began = time.perf_counter()
        client.call(Ping())
        taken.append(time.perf_counter() - began)
        time.sleep(PING_EVERY_S)
    return taken


def _hellos(connection: Connection) -> list[float]:
    """Seconds from nothing to a session that answers."""
    taken = []
    for _ in range(CONNECTIONS):
        began = time.perf_counter()
        with connect(connection, "bench"):
            taken.append(time.perf_counter() - began)
    return taken


def _request(view: str, seq: int, avatar: str) -> RenderLive:
    return RenderLive(view, seq, avatar, peers.WIDTH, peers.HEIGHT, EXPRESSIONS)


def _posture() -> Buffers:
    """As many numbers as an animated avatar sends for each frame."""
    shapes = {
        "full_pose": (1, 165),
        "transl": (1, 3),
        "expression": (1, len(EXPRESSIONS)),
        "world_to_camera": (1, 4, 4),
        "K": (1, 3, 3),
    }
    buffers = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return {**buffers, "world_to_camera": np.eye(4, dtype=np.float32)[None], "K": np.eye(3, dtype=np.float32)[None]}
