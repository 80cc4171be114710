"""Every ZeroMQ socket of the protocol with every option set: the library's defaults wait for ever or know no bound."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import zmq

from . import limits
from .connection import Connection
from .errors import WireError

ZAP_DOMAIN = "vivant"
"""Where clients' keys are checked. `ZAP_ENFORCE_DOMAIN` delivers nothing while no handler answers for it."""

ENCRYPTION_BYTES = 33
"""What CURVE adds to each part: name and nonce, authenticator, flags. ZeroMQ's limit counts them."""


@dataclass(frozen=True)
class Channel:
    """What differs between the two sockets."""

    name: str
    queue: int  # messages, per peer: a net under credit
    to_server: int  # bytes of one part
    to_client: int
    io_thread: int  # bit of the context's thread that encrypts for it


READABLE, WRITABLE = int(zmq.POLLIN), int(zmq.POLLOUT)
_AND_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
"""Plain numbers, for Python takes long to put flags of an enumeration together."""
_PARTS_KEPT = 1 + 2 + limits.MAX_BUFFERS + 1
"""Routing id, magic, header, buffers, and one that shows that there are too many: the others are let go at once."""

CONTROL = Channel("control", limits.CONTROL_QUEUE, limits.CONTROL_PART_BYTES, limits.CONTROL_PART_BYTES, 0b01)
FRAMES = Channel("frames", limits.FRAMES_QUEUE, limits.JOIN_PART_BYTES, limits.FRAME_PART_BYTES, 0b10)


def new_context() -> zmq.Context:
    """With a thread for each channel: what is small does not wait until a frame is encrypted."""
    return zmq.Context(io_threads=2)


def has_curve() -> bool:
    """Whether this libzmq can encrypt. Without it only a server on the same computer may be talked to, by token."""
    return bool(zmq.has("curve"))


def server_socket(
    context: zmq.Context, channel: Channel, secret_key: str = "", linger_s: float = limits.LINGER_S
) -> zmq.Socket:
    """A ROUTER that is not bound yet. A ZAP handler for `ZAP_DOMAIN` must run before it is; without a key, none.

    `secret_key` is the server's CURVE key in Z85; empty only where libzmq has no CURVE.
    """
    socket = _socket(context, zmq.ROUTER, channel, channel.to_server, linger_s)
    # No `ROUTER_HANDOVER`, which gives a routing id to the second peer that takes it: when the first one speaks again,
    # libzmq 4.3.5 ends the process by an assertion. Our clients take a new id with each connection.
    socket.set(zmq.ROUTER_MANDATORY, 1)  # an unknown or full peer is an error, not a message lost in silence
    if secret_key:
        socket.set(zmq.CURVE_SERVER, 1)
        socket.set(zmq.CURVE_SECRETKEY, secret_key.encode())
        socket.set(zmq.ZAP_DOMAIN, ZAP_DOMAIN.encode())
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)
    return socket


def client_socket(context: zmq.Context, channel: Channel, connection: Connection) -> zmq.Socket:
    """A DEALER that is not connected yet. It will not come back by itself: who owns it makes a new one, with back-off.

    Raises:
        WireError: insecure, where keys are needed and not there.
    """
    _check_keys(connection)
    socket = _socket(context, zmq.DEALER, channel, channel.to_client, 0)
    # No `IMMEDIATE`: with it, libzmq 4.3.5 throws away what came before the connection broke and is not read yet.
    socket.set(zmq.RECONNECT_IVL, -1)
    socket.set(zmq.CONNECT_TIMEOUT, _ms(limits.CONNECT_S))
    socket.set(zmq.ROUTING_ID, b"v" + secrets.token_bytes(15))
    if connection.server_key:
        socket.set(zmq.CURVE_SERVERKEY, connection.server_key.encode())
        socket.set(zmq.CURVE_PUBLICKEY, connection.public_key.encode())
        socket.set(zmq.CURVE_SECRETKEY, connection.secret_key.encode())
    return socket


def connect(socket: zmq.Socket, channel: Channel, connection: Connection) -> None:
    """Begin to connect. Raises `WireError` (no_server) for a host that cannot be one."""
    port = connection.control_port if channel is CONTROL else connection.frames_port
    try:
        socket.connect(address(connection.host, port))
    except zmq.ZMQError as error:
        raise WireError("no_server", f"{connection.host!r} is not an address. Give a name or a number.") from error


def address(host: str, port: int | str) -> str:
    """As ZeroMQ writes it."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def bind(socket: zmq.Socket, host: str, port: int = 0) -> int:
    """Bind, to a free port if `port` is 0 or taken; returns the port."""
    try:
        socket.bind(address(host, port or "*"))
    except zmq.ZMQError as error:
        if error.errno != zmq.EADDRINUSE:
            raise
        socket.bind(address(host, "*"))
    return int(bytes(socket.get(zmq.LAST_ENDPOINT)).rpartition(b":")[2])


def receive(socket: zmq.Socket) -> list[zmq.Frame]:
    """The parts of the next message, where they lie. Raises `zmq.Again` where none has come.

    A part knows whether another one follows. `recv_multipart` asks the socket, which takes as long as the part itself.
    """
    part = socket.recv(zmq.NOBLOCK, copy=False)
    parts = [part]
    while part.more:
        part = socket.recv(zmq.NOBLOCK, copy=False)
        if len(parts) < _PARTS_KEPT:
            parts.append(part)
    return parts


def send(socket: zmq.Socket, parts: Sequence[bytes | memoryview | zmq.Frame]) -> None:
    """Send without copying what is large. Raises `zmq.Again` where the socket takes no more.

    `send_multipart` looks at each part twice, and puts the flags of each together anew.
    """
    *front, last = parts
    for part in front:
        socket.send(part, _AND_MORE, copy=False)
    socket.send(last, zmq.NOBLOCK, copy=False)


def _socket(context: zmq.Context, kind: int, channel: Channel, part_bytes: int, linger_s: float) -> zmq.Socket:
    socket = context.socket(kind)
    socket.set(zmq.AFFINITY, channel.io_thread)
    every, answered, forgotten = map(_ms, limits.HEARTBEAT_S)
    socket.set(zmq.LINGER, _ms(linger_s))
    socket.set(zmq.SNDHWM, channel.queue)
    socket.set(zmq.RCVHWM, channel.queue)
    socket.set(zmq.MAXMSGSIZE, part_bytes + ENCRYPTION_BYTES)
    socket.set(zmq.HEARTBEAT_IVL, every)
    socket.set(zmq.HEARTBEAT_TIMEOUT, answered)
    socket.set(zmq.HEARTBEAT_TTL, forgotten)
    socket.set(zmq.HANDSHAKE_IVL, _ms(limits.HANDSHAKE_S))
    socket.set(zmq.IPV6, 1)
    return socket


def _ms(seconds: float) -> int:
    return round(1000 * seconds)


def _check_keys(connection: Connection) -> None:
    if connection.server_key and not has_curve():
        raise WireError(
            "insecure",
            "The server wants an encrypted connection, and this pyzmq was built without CURVE. "
            "Install pyzmq's own wheel: python -m pip install --force-reinstall pyzmq.",
        )
    if not connection.server_key and not connection.loopback:
        raise WireError(
            "insecure",
            f"There are no keys for {connection.host}. Make some with `vivant keys new`, have them allowed there with "
            "`vivant keys allow`, and give the key file.",
        )
