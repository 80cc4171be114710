"""The other processes of `vivant bench wire`: `python -m backend.service.bench_peers WHAT ...`.

`server DATA` is the real server with workers of this module; a worker copies prepared pixels where a real one draws;
`push ENDPOINT SECRET` sends the same bytes over a bare socket.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zmq

from backend.service.link import Contact, Link, end_with
from backend.service.ring import Ring, aligned
from backend.service.server import Server, ServeSettings
from backend.service.work import WorkFrame, WorkMemory, WorkOpen, WorkReady, WorkRender
from shared.wire.sockets import FRAMES

MODULE = "backend.service.bench_peers"
WIDTH, HEIGHT = 1920, 1080
BOX = (480, 270, 960, 540)
"""x, y, width, height: a quarter of the frame."""


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """RGBA [h, w, 4] u1 and depth [h, w] u2 of the box, as hard to guess as encrypted ones."""
    random = np.random.default_rng(0)
    rgba = random.integers(0, 256, (BOX[3], BOX[2], 4), dtype=np.uint8)
    return rgba, random.integers(0, 65536, (BOX[3], BOX[2]), dtype=np.uint16)


def server(data: str) -> None:
    """Serve until the process is told to end."""
    command = (sys.executable, "-m", MODULE, "worker")
    Server(ServeSettings(Path(data), worker=command)).run(sys.stdout)


def worker(*options: str) -> None:
    """Answer what the pool of the server asks a worker; `options` are those of `backend.service.worker`."""
    role, endpoint = options[options.index("--role") + 1], options[options.index("--connect") + 1]
    link = Link(endpoint, Contact.read(sys.stdin))
    end_with(sys.stdin)
    link.send(WorkReady(role, 0, "cpu", "none"))
    rgba, depth = pixels()
    rings: dict[str, Ring] = {}
    for envelope in link.work():
        message = envelope.message
        if isinstance(message, WorkOpen):
            link.send(WorkMemory(0, 1, (message.avatar,)))
        elif isinstance(message, WorkRender):
            if message.ring not in rings:
                rings[message.ring] = Ring.open(Path(message.ring))
            slot = rings[message.ring].slot(message.slot)
            np.frombuffer(slot, np.uint8, rgba.size)[:] = rgba.reshape(-1)
            np.frombuffer(slot, np.uint16, depth.size, aligned(rgba.nbytes))[:] = depth.reshape(-1)
            link.send(WorkFrame(message.request, *BOX, 1.0, 3.0, 0.0))


def push(endpoint: str, server_key: str) -> None:
    """Send the box's bytes for ever, encrypted for the holder of `server_key` unless that is empty."""
    socket = zmq.Context().socket(zmq.PUSH)
    socket.set(zmq.SNDHWM, FRAMES.queue)
    if server_key:
        public, secret = zmq.curve_keypair()
        socket.set(zmq.CURVE_SERVERKEY, server_key.encode())
        socket.set(zmq.CURVE_PUBLICKEY, public)
        socket.set(zmq.CURVE_SECRETKEY, secret)
    socket.connect(endpoint)
    parts = [array.reshape(-1).view(np.uint8).data for array in pixels()]
    while True:
        socket.send_multipart([b"frame", *parts], copy=False)


PARTS: dict[str, Callable[..., None]] = {"server": server, "worker": worker, "push": push}

if __name__ == "__main__":
    PARTS[sys.argv[1]](*sys.argv[2:])
