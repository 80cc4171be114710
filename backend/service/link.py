"""A worker's end of the socket to its server. While torch computes, a thread looks into it, so that it answers."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import zmq

from backend.service.bundle import bundled, unbundled
from backend.service.work import WorkCancel, WorkJob, WorkPing, WorkPong, WorkStop
from shared.wire.codec import Buffers, Envelope, decode, encode
from shared.wire.limits import WORKER_LOOK_S
from shared.wire.schema import Message
from shared.wire.sockets import READABLE


@dataclass(frozen=True)
class Contact:
    """How the server knows this worker, and the keys of this start (Z85)."""

    identity: str
    server_key: str
    public_key: str
    secret_key: str

    @classmethod
    def read(cls, stream: TextIO) -> Contact:
        """From the first line of the standard input: keys on a command line would be seen by everybody."""
        return cls(**json.loads(stream.readline()))


def end_with(stream: TextIO) -> None:
    """End this process when the standard input ends, for then the server is gone."""

    def wait() -> None:
        while stream.readline():
            pass
        os._exit(0)

    threading.Thread(target=wait, name="end", daemon=True).start()


class Link:
    """What the worker's main thread sees of the server: work to take, a way to answer, and what was cancelled.

    The socket is used by whoever holds the lock. While the main thread waits for work it listens itself: to be handed
    a message by another thread takes longer than to read it.
    """

    def __init__(self, endpoint: str, contact: Contact) -> None:
        self._inbox: deque[Envelope] = deque()
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()
        self._waits = False  # the main thread, for work
        self._socket = _dealer(zmq.Context(), contact)
        self._socket.connect(endpoint)
        self._poller = zmq.Poller()
        self._poller.register(int(self._socket.get(zmq.FD)), zmq.POLLIN)
        threading.Thread(target=self._look, name="link", daemon=True).start()

    def work(self) -> Iterator[Envelope]:
        """What the server asks for, one after the other, for ever: `WorkStop` ends the process."""
        while True:
            with self._lock:
                self._take_in()
                self._waits = not self._inbox
            if self._waits:
                self._poller.poll()
            else:
                yield self._inbox.popleft()

    def send(self, message: Message, buffers: Buffers | None = None) -> None:
        """Send, from the thread that does the work. Buffers are copied."""
        with self._lock:
            self._say(Envelope(message, buffers or {}))
            self._take_in()

    def cancelled(self, job: str) -> bool:
        """Whether the server wants the job stopped."""
        return job in self._cancelled

    def _look(self) -> None:
        """Pings and cancelled jobs do not wait until the main thread has time."""
        while True:
            time.sleep(WORKER_LOOK_S)
            with self._lock:
                if not self._waits:
                    self._take_in()

    def _say(self, envelope: Envelope) -> None:
        self._socket.send(bundled(encode(envelope)))

    def _take_in(self) -> None:
        """All that has come. The descriptor tells of it once, and any use of the socket takes that sign away."""
        while int(self._socket.get(zmq.EVENTS)) & READABLE:
            self._hear(decode(unbundled(self._socket.recv(copy=False).buffer)))

    def _hear(self, envelope: Envelope) -> None:
        message = envelope.message
        if isinstance(message, WorkPing):
            self._say(Envelope(WorkPong(), re=envelope.id))
        elif isinstance(message, WorkStop):
            os._exit(0)  # files appear whole or not at all, so there is nothing to tidy
        elif isinstance(message, WorkCancel):
            self._cancelled.add(message.job)
        else:
            if isinstance(message, WorkJob):
                self._cancelled.discard(message.job)  # a word about an earlier try of the same job
            self._inbox.append(envelope)


def _dealer(context: zmq.Context[zmq.Socket[bytes]], contact: Contact) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    socket.set(zmq.CURVE_SERVERKEY, contact.server_key.encode())
    socket.set(zmq.CURVE_PUBLICKEY, contact.public_key.encode())
    socket.set(zmq.CURVE_SECRETKEY, contact.secret_key.encode())
    socket.set(zmq.ROUTING_ID, contact.identity.encode())
    socket.set(zmq.LINGER, 0)
    return socket
