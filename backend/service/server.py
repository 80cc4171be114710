"""The service's I/O process: one loop over its sockets. It computes nothing, so it always answers; torch stays out."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

import zmq

from backend import __version__
from backend.service import own_memory
from backend.service.background import Background
from backend.service.doors import Doors
from backend.service.front import Front
from backend.service.house import House
from backend.service.journal import Journal
from backend.service.keys import LOCAL, SERVER, AllowList, allowed, new_pair, own_pair, own_token
from backend.service.lock import FolderLock
from backend.service.open_files import raise_limit
from backend.service.pool import Pool
from backend.service.post import Post
from backend.service.same_host import SameHost
from backend.service.served_time import ServedTime
from backend.service.session import Session
from backend.service.sessions import Sessions
from backend.service.zap import Gate
from shared.errors import VivantError
from shared.wire import limits
from shared.wire.codec import Envelope
from shared.wire.connection import LOOPBACK, Connection, connection_file, save_connection
from shared.wire.errors import WireError
from shared.wire.messages import Ok
from shared.wire.schema import Message
from shared.wire.sockets import CONTROL, READABLE, ZAP_DOMAIN, bind, new_context, server_socket

WORKER = (sys.executable, "-m", "backend.service.worker")
WORK_DOMAIN = b"vivant-work"
IDLE_POLL_MS, BUSY_POLL_MS = 50, 2
"""Turns of the loop: nobody announces that a slow peer takes more, so that is tried often while something waits."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServeSettings:
    """How the server runs."""

    data: Path
    bind: str = "127.0.0.1"  # an address of this computer
    port: int = 0  # of the control socket; the frames socket takes the next one. 0: any that are free
    worker: Sequence[str] = WORKER  # the command that starts a worker process


class Server:
    """Everything is set up when it is made, and serves while `run` runs."""

    def __init__(self, settings: ServeSettings) -> None:
        """Take the data folder and bind the sockets.

        Raises:
            VivantError: the folder or the address cannot be used.
        """
        self._settings, self._data = settings, settings.data.resolve()
        _check_address(settings)
        raise_limit()
        self._lock = FolderLock(self._data)
        _log_to(self._data / "logs")
        self._stopping = False
        self._journal = Journal(self._data / "journal.sqlite")
        self._context = new_context()
        self._background = Background()
        self._same_host = SameHost(self._data)
        self._time = ServedTime()
        self._open_sockets()
        control, frames = self._doors.control, self._doors.frames
        self.house = House(self._data, self._journal, self._sessions, self._pool, frames, self._background, self._time)
        self._front = Front(control, frames, self._sessions, self.house.handlers(self._stop_by_client))
        self.house.answer_through(self._front)

    def _open_sockets(self) -> None:
        server, local = own_pair(self._data, SERVER), own_pair(self._data, LOCAL)
        self._keys = AllowList(self._data, local.public)
        work = new_pair()
        work_keys: set[str] = set()
        lists: dict[bytes, Container[str]] = {ZAP_DOMAIN.encode(): self._keys, WORK_DOMAIN: work_keys}
        self._gate = Gate(self._context, lists)
        host = self._settings.bind
        self._doors = Doors(self._context, host, self._settings.port, server.secret)
        self._work = server_socket(self._context, CONTROL, work.secret, linger_s=0)
        if work.secret:
            self._work.set(zmq.ZAP_DOMAIN, WORK_DOMAIN)
        token = "" if server.secret else own_token(self._data)
        self.connection = Connection(
            host,
            self._doors.control_port,
            self._doors.frames_port,
            server.public,
            local.public,
            local.secret,
            token,
            os.getpid(),
            __version__,
        )
        endpoint = f"tcp://127.0.0.1:{bind(self._work, '127.0.0.1')}"
        self._sessions = Sessions(self._doors.control, self._keys, token, self._same_host, self._time)
        self._pool = Pool(
            Post(self._work), self._settings.worker, endpoint, work.public, self._data, self._time, work_keys
        )

    def run(self, ready: TextIO) -> None:
        """Serve until a signal or a client says stop. One line of JSON on `ready` tells that clients may come."""
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, self._stop_by_signal)
        try:
            self.house.recover()
            self._same_host.publish()
            save_connection(connection_file(self._data), self.connection)
            print(announcement(self.connection, self._data), file=ready, flush=True)
            self._pool.start(_devices())
            self._loop()
        except Exception:
            log.exception("A defect ended the server")
            raise
        finally:
            self.close()

    def _loop(self) -> None:
        poller, next_tick = self._poller(), 0.0
        while not self._stopping:
            ready = dict(poller.poll(BUSY_POLL_MS if self.house.pending() else IDLE_POLL_MS))
            self._time.turn()
            self._read(ready)
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + IDLE_POLL_MS / 1000
                self.house.tick()
                if self._is_too_large():
                    self._hang_up()
                    poller = self._poller()
            else:
                self.house.pump()

    def _poller(self) -> zmq.Poller:
        poller, doors = zmq.Poller(), self._doors
        for one in (self._gate.socket, doors.control.socket, doors.frames.socket, *doors.monitors, self._work):
            poller.register(one, zmq.POLLIN)
        poller.register(self._background.waker, zmq.POLLIN)
        return poller

    def _is_too_large(self) -> bool:
        """Whether this process holds more than it needs for pixels, poses and itself."""
        return own_memory.held() > limits.PROCESS_BYTES + self.house.relay.held()

    def _hang_up(self) -> None:
        """ZeroMQ limits the size of parts, not their number, and tells nothing of a message that has not ended."""
        log.error(
            "This process holds %d bytes: somebody with a key sends a message without end. All connections are cut, "
            "clients come back by themselves. These keys had sessions: %s. `vivant keys revoke` shuts one out.",
            own_memory.held(),
            ", ".join(self._sessions.owners()),
        )
        self._doors.hang_up()
        self._sessions.connections.forget()

    def _read(self, ready: Container[object]) -> None:
        """Only where something came: to ask in vain takes as long as to read."""
        self._doors.watch(ready, self._sessions.connections)
        if self._gate.socket in ready:
            while self._gate.socket.get(zmq.EVENTS) & READABLE:
                self._gate.answer()
        if self._doors.control.socket in ready:
            self._front.read_control(limits.MESSAGES_AT_ONCE)
        if self._doors.frames.socket in ready:
            self._front.read_frames(limits.MESSAGES_AT_ONCE)
        if self._work in ready:
            for worker, parts in self._pool.receive():
                self.house.hear(worker, parts)
        if self._background.waker.fileno() in ready:
            self._background.collect()

    def close(self) -> None:
        """Workers end, what ran is interrupted, nothing of this server stays but the journal and the files."""
        connection_file(self._data).unlink(missing_ok=True)
        self._same_host.withdraw()
        try:
            self.house.stop()
        finally:
            self._pool.stop(limits.WORKERS_END_S)
        self._background.close(limits.WORKERS_END_S)
        self._doors.close()
        self._work.close()
        self._gate.socket.close()
        self._context.term()
        self._journal.close()
        self._lock.release()

    def _stop_by_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _stop_by_client(self, session: Session, envelope: Envelope) -> Message:
        if not session.local:
            raise WireError("not_local", "Only a client on the server's own computer may stop it.")
        self._stopping = True
        return Ok()


def announcement(connection: Connection, data: Path) -> str:
    """The line of JSON that tells that clients may come."""
    words = {
        "ready": True,
        "host": connection.host,
        "control_port": connection.control_port,
        "frames_port": connection.frames_port,
        "pid": connection.pid,
        "version": connection.version,
        "data": str(data),
        "connection": str(connection_file(data)),
    }
    return json.dumps(words)


def _check_address(settings: ServeSettings) -> None:
    if settings.bind in ("*", "", "0.0.0.0", "::"):
        raise VivantError(
            f"--bind {settings.bind or repr('')} would listen everywhere. Give one address of this computer."
        )
    if settings.bind in LOOPBACK:
        return
    if not zmq.has("curve"):
        raise VivantError(
            "This pyzmq has no CURVE encryption, without which other computers are not let in. "
            "Install pyzmq's own wheel: python -m pip install --force-reinstall pyzmq."
        )
    if not allowed(settings.data):
        raise VivantError(
            f"Nobody may come in from outside yet: there are no client keys in {settings.data}. "
            "Make one with `vivant keys new NAME --host ADDRESS --port N --out FILE`, then start again."
        )


def _devices() -> list[str]:
    """What CUDA_VISIBLE_DEVICES becomes for each pair of workers; without several GPUs one pair chooses by itself."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return chosen.split(",")
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=limits.GPUS_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return [""]
    count = sum(line.startswith("GPU ") for line in listed.splitlines())
    return [str(number) for number in range(count)] if count > 1 else [""]


def _log_to(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(folder / "server.log", maxBytes=limits.LOG_FILE_BYTES, backupCount=2)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
