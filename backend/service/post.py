"""A ROUTER socket as a place where messages come in from peers and go out to them, never waiting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import zmq

from shared.wire.codec import Envelope, Part, encode
from shared.wire.sockets import READABLE, receive, send


@dataclass(frozen=True)
class Parcel:
    """What came, not yet decoded."""

    routing: bytes
    user: str  # the CURVE key that the connection proved to have; empty without CURVE
    parts: list[Part]
    connection: int = -1  # descriptor of the connection that it came by


class Sent(Enum):
    """What became of a message."""

    YES = "sent"
    FULL = "the peer takes no more now"
    GONE = "there is no such peer any more"


class Post:
    """One socket with `ROUTER_MANDATORY`."""

    def __init__(self, socket: zmq.Socket) -> None:
        self.socket = socket

    def parcels(self) -> Iterator[Parcel]:
        """The messages that are waiting. To ask whether one more is takes less time than to try to receive it."""
        parcel = self.receive()
        while parcel is not None:
            yield parcel
            parcel = self.receive() if int(self.socket.get(zmq.EVENTS)) & READABLE else None

    def receive(self) -> Parcel | None:
        """The next message, if one is waiting."""
        try:
            routing, *frames = receive(self.socket)
        except zmq.Again:
            return None
        user = frames[-1].get("User-Id") if frames and zmq.has("curve") else ""
        return Parcel(routing.bytes, str(user), [frame.buffer for frame in frames], routing.get(zmq.SRCFD))

    def send(self, routing: bytes, envelope: Envelope) -> Sent:
        """Send, or say why not."""
        return self.send_parts(routing, encode(envelope))[0]

    def send_parts(
        self, routing: bytes, parts: list[Part], track: bool = False
    ) -> tuple[Sent, zmq.MessageTracker | None]:
        """Send without copying what is large; with `track`, also what tells when the memory may change again.

        Each view is tracked, for the last one alone may be small and long copied. What is no view never changes.
        """
        sent = [zmq.Frame(part, track=True) if track and isinstance(part, memoryview) else part for part in parts]
        try:
            send(self.socket, [routing, *sent])
        except zmq.Again:
            return Sent.FULL, None
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return Sent.GONE, None
        tracked = [part for part in sent if isinstance(part, zmq.Frame)]
        return Sent.YES, zmq.MessageTracker(*tracked) if track else None
