"""A worker's end of the socket to its server. One thread owns it, so that the worker answers while torch computes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TextIO

import zmq

from backend.service.work import WorkCancel, WorkJob, WorkPing, WorkPong, WorkStop
from shared.wire.codec import Buffers, Envelope, decode, encode
from shared.wire.schema import Message


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
    """What the worker's main thread sees of the server: work to take, a way to answer, and what was cancelled."""

    def __init__(self, endpoint: str, contact: Contact) -> None:
        self._inbox: SimpleQueue[Envelope] = SimpleQueue()
        self._cancelled: set[str] = set()
        self._context = zmq.Context()
        self._out = self._context.socket(zmq.PAIR)
        self._out.bind("inproc://out")
        threading.Thread(target=self._run, args=(endpoint, contact), name="link", daemon=True).start()

    def work(self) -> Iterator[Envelope]:
        """What the server asks for, one after the other, for ever: `WorkStop` ends the process."""
        while True:
            yield self._inbox.get()

    def send(self, message: Message, buffers: Buffers | None = None) -> None:
        """Send from the thread that made this link. Buffers are copied."""
        self._out.send_multipart(encode(Envelope(message, buffers or {})))

    def cancelled(self, job: str) -> bool:
        """Whether the server wants the job stopped."""
        return job in self._cancelled

    def _run(self, endpoint: str, contact: Contact) -> None:
        socket = _dealer(self._context, contact)
        socket.connect(endpoint)
        out = self._context.socket(zmq.PAIR)
        out.connect("inproc://out")
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(out, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if out in ready:
                socket.send_multipart(out.recv_multipart(copy=False), copy=False)
            if socket in ready:
                self._receive(socket)

    def _receive(self, socket: zmq.Socket[bytes]) -> None:
        envelope = decode(socket.recv_multipart())
        message = envelope.message
        if isinstance(message, WorkPing):
            socket.send_multipart(encode(Envelope(WorkPong(), re=envelope.id)))
        elif isinstance(message, WorkStop):
            os._exit(0)  # files appear whole or not at all, so there is nothing to tidy
        elif isinstance(message, WorkCancel):
            self._cancelled.add(message.job)
        else:
            if isinstance(message, WorkJob):
                self._cancelled.discard(message.job)  # a word about an earlier try of the same job
            self._inbox.put(envelope)


def _dealer(context: zmq.Context[zmq.Socket[bytes]], contact: Contact) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    socket.set(zmq.CURVE_SERVERKEY, contact.server_key.encode())
    socket.set(zmq.CURVE_PUBLICKEY, contact.public_key.encode())
    socket.set(zmq.CURVE_SECRETKEY, contact.secret_key.encode())
    socket.set(zmq.ROUTING_ID, contact.identity.encode())
    socket.set(zmq.LINGER, 0)
    return socket
