"""The two sockets that clients connect to: opened, watched for connections that end, closed and opened anew."""

from __future__ import annotations

import time
from collections.abc import Iterator

import zmq
from zmq.utils.monitor import recv_monitor_message

from backend.service.post import Post
from shared.errors import VivantError
from shared.wire import limits
from shared.wire.connection import LOOPBACK
from shared.wire.sockets import CONTROL, FRAMES, Channel, address, bind, server_socket


class Doors:
    """Control and frames. A ZAP handler must run before they are made."""

    def __init__(self, context: zmq.Context, host: str, port: int, secret_key: str) -> None:
        """Bind both, to `port` and the next one, or to any that are free if it is 0.

        Raises:
            VivantError: the address cannot be used.
        """
        self._context, self._host, self._secret_key = context, host, secret_key
        self.control, self.frames = (Post(self._socket(channel)) for channel in (CONTROL, FRAMES))
        self.control_port = _bound(self.control.socket, host, port)
        self.frames_port = _bound(self.frames.socket, host, port + 1 if port else 0)
        self._watch()

    def ended(self) -> Iterator[int]:
        """The descriptors of connections that ended since this was asked last."""
        for monitor in self._monitors:
            while int(monitor.get(zmq.EVENTS)) & zmq.POLLIN:
                yield recv_monitor_message(monitor)["value"]

    def hang_up(self) -> None:
        """Let go of everybody, and of what they were sending. They come back by themselves, to the same ports."""
        self.close(linger_s=0)
        for post, channel, port in (
            (self.control, CONTROL, self.control_port),
            (self.frames, FRAMES, self.frames_port),
        ):
            post.socket = self._socket(channel)
            _bind_again(post.socket, address(self._host, port))
        self._watch()

    def close(self, linger_s: float = limits.LINGER_S) -> None:
        """Stop listening."""
        for post, monitor in zip((self.control, self.frames), self._monitors, strict=True):
            post.socket.disable_monitor()
            monitor.close(0)
            post.socket.close(round(1000 * linger_s))

    def _socket(self, channel: Channel) -> zmq.Socket:
        return server_socket(self._context, channel, self._secret_key)

    def _watch(self) -> None:
        posts = (self.control, self.frames)
        self._monitors = [post.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED) for post in posts]


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
