"""The two sockets that clients connect to: opened, watched for who comes and goes, closed and opened anew."""

from __future__ import annotations

import socket as tcp
import time
from collections.abc import Container, Iterator
from contextlib import suppress

import zmq
from zmq.utils.monitor import recv_monitor_message

from backend.service.connections import Connection, Connections
from backend.service.post import Post
from shared.errors import VivantError
from shared.wire import limits
from shared.wire.connection import LOOPBACK
from shared.wire.sockets import CONTROL, FRAMES, READABLE, Channel, address, bind, server_socket

CHANNELS = (CONTROL, FRAMES)


class Doors:
    """Control and frames. A ZAP handler must run before they are made."""

    def __init__(self, context: zmq.Context, host: str, port: int, secret_key: str) -> None:
        """Bind both, to `port` and the next one, or to any that are free if it is 0.

        Raises:
            VivantError: the address cannot be used.
        """
        self._context, self._host, self._secret_key = context, host, secret_key
        self._posts = self.control, self.frames = tuple(Post(self._socket(channel)) for channel in CHANNELS)
        self._watch()
        self.control_port = _bound(self.control.socket, host, port)
        self.frames_port = _bound(self.frames.socket, host, port + 1 if port else 0)

    def watch(self, ready: Container[object], connections: Connections) -> None:
        """Tell who came and went since this was done last, and cut who shall not stay."""
        for came, connection in self._changes(ready):
            (connections.accept if came else connections.end)(connection)
        connections.caught_up()
        for surplus in connections.surplus():
            _cut(surplus)

    def _changes(self, ready: Container[object]) -> Iterator[tuple[bool, Connection]]:
        for channel, monitor in zip(CHANNELS, self.monitors, strict=True):
            while monitor in ready and int(monitor.get(zmq.EVENTS)) & READABLE:
                said = recv_monitor_message(monitor)
                yield said["event"] == zmq.EVENT_ACCEPTED, (channel.name, said["value"])

    def hang_up(self) -> None:
        """Let go of everybody, and of what they were sending. They come back by themselves, to the same ports."""
        self.close(linger_s=0)
        ports = (self.control_port, self.frames_port)
        for post, channel in zip(self._posts, CHANNELS, strict=True):
            post.socket = self._socket(channel)
        self._watch()  # before the first one comes
        for post, port in zip(self._posts, ports, strict=True):
            _bind_again(post.socket, address(self._host, port))

    def close(self, linger_s: float = limits.LINGER_S) -> None:
        """Stop listening."""
        for post, monitor in zip(self._posts, self.monitors, strict=True):
            post.socket.disable_monitor()
            monitor.close(0)
            post.socket.close(round(1000 * linger_s))

    def _socket(self, channel: Channel) -> zmq.Socket:
        return server_socket(self._context, channel, self._secret_key)

    def _watch(self) -> None:
        self.monitors = [self._monitor(post.socket) for post in self._posts]

    def _monitor(self, watched: zmq.Socket) -> zmq.Socket:
        """Its queue has no bound: ZeroMQ's thread would wait for room in it, with a lock that closing needs."""
        place = f"inproc://watched-{int(watched.get(zmq.FD))}"
        watched.monitor(place, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        monitor = self._context.socket(zmq.PAIR)
        monitor.set(zmq.RCVHWM, 0)
        monitor.connect(place)
        return monitor


def _cut(connection: Connection) -> None:
    """ZeroMQ has no call for this, but sees that the connection ends, and tells it like any other end.

    Should it have ended in this moment, and its descriptor be another connection's already, then that one is cut, and
    whoever had just opened it tries again.
    """
    with suppress(OSError):  # it has ended
        peer = tcp.socket(tcp.AF_INET, tcp.SOCK_STREAM, fileno=connection[1])
        try:
            peer.shutdown(tcp.SHUT_RDWR)
        finally:
            peer.detach()  # the descriptor is ZeroMQ's


def _bound(socket: zmq.Socket, host: str, port: int) -> int:
    """Bind; on loopback another port is as good as one that is taken, for the connection file tells it."""
    try:
        got = bind(socket, host, port)
    except zmq.ZMQError as error:
        raise VivantError(
            f"Cannot listen at {host} port {port or 'any'}: {error.strerror}. "
            "Give another --bind, an address of this computer, or another --port."
        ) from error
    if port and got != port and host not in LOOPBACK:
        raise VivantError(f"Port {port} of {host} is taken. Stop what listens there, or give another --port.")
    return got


def _bind_again(socket: zmq.Socket, endpoint: str) -> None:
    """ZeroMQ's own thread lets go of a port a moment after its socket was closed."""
    until = time.monotonic() + limits.REOPEN_S
    while True:
        try:
            socket.bind(endpoint)
            return
        except zmq.ZMQError:
            if time.monotonic() > until:
                raise
            time.sleep(0.001)
