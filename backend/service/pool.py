"""Worker processes: started, watched, killed when they hang, replaced when they die."""

from __future__ import annotations

import json
import math
import os
import secrets
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from backend.service.bundle import bundled, unbundled
from backend.service.keys import KeyPair, new_pair
from backend.service.post import Post, Sent
from backend.service.work import WorkMemory, WorkPing, WorkReady, WorkStop
from backend.service.worker_log import keep
from shared.wire import limits
from shared.wire.codec import Buffers, Envelope, Part, encode
from shared.wire.schema import Message

ROLES = ("build", "render")


@dataclass
class Worker:
    """One process."""

    role: str
    device: str  # what CUDA_VISIBLE_DEVICES becomes; empty: left as it is
    process: subprocess.Popen[bytes]
    identity: bytes
    public: str  # its CURVE key
    log: threading.Thread  # copies what it prints
    heard: float
    pinged: float
    ready: WorkReady | None = None
    memory: WorkMemory = field(default_factory=lambda: WorkMemory(0, 0))
    busy: str = ""  # id of the job or request it has
    until: float = math.inf  # when that must be done
    unsent: deque[bytes] = field(default_factory=deque)  # bundles that it did not take yet


@dataclass
class _Place:
    """A worker that there should be."""

    role: str
    device: str
    number: int
    worker: Worker | None = None
    next_start: float = 0.0
    failed_starts: int = 0


class Pool:
    """For each device a worker that builds and one that renders."""

    def __init__(
        self,
        post: Post,
        command: Sequence[str],
        endpoint: str,
        server_key: str,
        data: Path,
        now: Callable[[], float],
        public_keys: set[str],
    ) -> None:
        """`command` starts a worker, before its options. `endpoint` and `server_key` are those of the work socket.

        `public_keys` is kept to be those of the workers that run.
        """
        self._post, self._command, self._endpoint, self._server_key = post, command, endpoint, server_key
        self._logs, self._now = data / "logs", now
        self._places: list[_Place] = []
        self._public_keys = public_keys
        self.lost: Callable[[Worker, str], None]  # called once for each process that is gone, with the reason

    def start(self, devices: Sequence[str]) -> None:
        """Start one worker of each role for each device."""
        self._logs.mkdir(exist_ok=True)
        for number, device in enumerate(devices):
            self._places += [_Place(role, device, number) for role in ROLES]
        self.tick()

    def tick(self) -> None:
        """Notice who died or hangs, ping, start what is missing."""
        for place in self._places:
            if place.worker is not None:
                self._watch(place, place.worker)
            elif self._now() >= place.next_start:
                place.worker = self._spawn(place)

    def receive(self) -> Iterator[tuple[Worker, list[Part]]]:
        """What workers sent; who is not one of ours is not read."""
        for parcel in self._post.parcels():
            worker = next((one for one in self.workers() if one.identity == parcel.routing), None)
            if worker is not None and worker.public == parcel.user:
                worker.heard = self._now()
                yield worker, unbundled(parcel.parts[0])

    def take_note(self, worker: Worker, message: Message) -> None:
        """What a worker says of itself."""
        if isinstance(message, WorkReady):
            worker.ready = message
            self._place(worker).failed_starts = 0
        elif isinstance(message, WorkMemory):
            worker.memory = message

    def workers(self, role: str = "") -> list[Worker]:
        """All that run, or those of one role."""
        running = [place.worker for place in self._places if place.worker is not None]
        return [worker for worker in running if role in ("", worker.role)]

    def ready(self, role: str) -> list[Worker]:
        """Those that have started, whatever they do now."""
        return [worker for worker in self.workers(role) if worker.ready is not None]

    def idle(self, role: str) -> list[Worker]:
        """Those that are ready and have nothing to do."""
        return [worker for worker in self.ready(role) if not worker.busy]

    def engage(self, worker: Worker, request: str) -> None:
        """It draws a frame: its socket's thread would answer pings even if that never ended."""
        worker.busy, worker.until = request, self._now() + limits.FRAME_S

    def hurry(self, worker: Worker) -> None:
        """Nobody wants that frame any more: it may take a little longer, not much."""
        worker.until = min(worker.until, self._now() + limits.CANCEL_KILL_S)

    def give_up(self, worker: Worker, reason: str) -> None:
        """It has hung over something that is not a frame: another one takes its place."""
        self._kill(self._place(worker), worker, reason)

    def release(self, worker: Worker) -> None:
        """It has nothing more to do."""
        worker.busy, worker.until = "", math.inf

    def send(self, worker: Worker, message: Message, buffers: Buffers | None = None) -> None:
        """Tell a worker something, now or as soon as it takes it. One that takes nothing is found by its silence."""
        worker.unsent.append(bundled(encode(Envelope(message, buffers or {}))))
        self._flush(worker)

    def _flush(self, worker: Worker) -> None:
        while worker.unsent and self._post.send_parts(worker.identity, [worker.unsent[0]])[0] is not Sent.FULL:
            worker.unsent.popleft()

    def trouble(self, role: str) -> str:
        """A sentence if no worker of this role manages to start; else empty."""
        places = [place for place in self._places if place.role == role]
        if not places or any(place.failed_starts < limits.WORKER_STARTS for place in places):
            return ""
        return f"The {role} worker does not start. {self._log(places[0])} tells why; `vivant doctor` may help."

    def stop(self, within_s: float) -> None:
        """End all workers: asked first, killed after `within_s` seconds."""
        for worker in self.workers():
            self.send(worker, WorkStop())
            _opened(worker.process.stdin).close()
        for worker in self.workers():
            try:
                worker.process.wait(within_s)
            except subprocess.TimeoutExpired:
                _end(worker.process)
            worker.log.join(within_s)
        self._places.clear()

    def _watch(self, place: _Place, worker: Worker) -> None:
        code = worker.process.poll()
        if code is not None:
            self._bury(place, worker, _cause(code))
            return
        self._flush(worker)
        silence = self._now() - worker.heard
        if silence > (limits.WORKER_SILENCE_S if worker.ready else limits.WORKER_START_S):
            self._kill(place, worker, f"it gave no sign of life for {silence:.0f} s")
        elif self._now() > worker.until:
            self._kill(place, worker, "its frame did not end")
        elif worker.ready and self._now() - worker.pinged > limits.PING_S:
            worker.pinged = self._now()
            self.send(worker, WorkPing())

    def _kill(self, place: _Place, worker: Worker, reason: str) -> None:
        _end(worker.process)
        self._bury(place, worker, reason)

    def _bury(self, place: _Place, worker: Worker, reason: str) -> None:
        _opened(worker.process.stdin).close()
        self._public_keys.discard(worker.public)
        place.worker = None
        if worker.ready is None:
            place.failed_starts += 1
        first, longest = limits.WORKER_RESTART_S
        place.next_start = self._now() + min(first * 2**place.failed_starts, longest)
        self.lost(worker, reason)

    def _spawn(self, place: _Place) -> Worker:
        keys, identity = new_pair(), secrets.token_hex(16)
        environment = {**os.environ, **({"CUDA_VISIBLE_DEVICES": place.device} if place.device else {})}
        process = subprocess.Popen(
            [*self._command, "--role", place.role, "--connect", self._endpoint],
            stdin=subprocess.PIPE,
            bufsize=0,  # words that nobody read must not be left for `close`, which would fail of them
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # Ctrl-C in the terminal is for the server, which then ends its workers
        )
        log = keep(_opened(process.stdout), self._log(place))
        self._public_keys.add(keys.public)
        _introduce(process, identity, self._server_key, keys)
        return Worker(place.role, place.device, process, identity.encode(), keys.public, log, self._now(), self._now())

    def _log(self, place: _Place) -> Path:
        return self._logs / f"{place.role}-{place.number}.log"

    def _place(self, worker: Worker) -> _Place:
        return next(place for place in self._places if place.worker is worker)


def _introduce(process: subprocess.Popen[bytes], identity: str, server_key: str, keys: KeyPair) -> None:
    """Keys go through the pipe: arguments and environment can be read by others."""
    line = {"identity": identity, "server_key": server_key}
    line |= {f"{name}_key": value for name, value in asdict(keys).items()}
    with suppress(BrokenPipeError):  # it died at once: `tick` will see
        _opened(process.stdin).write(json.dumps(line).encode() + b"\n")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it. One that hangs in a driver or on a drive dies when that lets go of it, which is not waited for."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(limits.WORKERS_END_S)


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # `_spawn` asks for it
    return pipe


def _cause(code: int) -> str:
    return f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
