"""ZeroMQ's authentication (RFC 27), answered within the server's own loop: nobody without a listed key gets in."""

from __future__ import annotations

from collections.abc import Container

import zmq
from zmq.utils import z85

ENDPOINT = "inproc://zeromq.zap.01"


class Gate:
    """Says of each connection whether its key is on the list of its domain. Must exist before sockets are bound."""

    def __init__(self, context: zmq.Context, lists: dict[bytes, Container[str]]) -> None:
        """`lists`: public keys (Z85) by ZAP domain."""
        self.socket = context.socket(zmq.REP)
        self.socket.set(zmq.LINGER, 0)
        self.socket.bind(ENDPOINT)
        self._lists = lists

    def answer(self) -> None:
        """Answer one request that is waiting."""
        version, request, domain, _, _, mechanism, *credentials = self.socket.recv_multipart()
        user = z85.encode(credentials[0]) if mechanism == b"CURVE" else b""
        known = bool(user) and domain in self._lists and user.decode() in self._lists[domain]
        verdict = [b"200", b"OK", user] if known else [b"400", b"not allowed", b""]
        self.socket.send_multipart([version, request, *verdict, b""])
