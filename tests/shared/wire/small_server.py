"""The least server that a client can talk to: greets, answers, and sends what a test asks it to. For lifetime tests."""

import contextlib
import threading
import uuid
from dataclasses import replace

import zmq
from zmq.auth.thread import ThreadAuthenticator

from shared.wire import messages as m
from shared.wire.codec import Envelope, decode, encode
from shared.wire.connection import Connection
from shared.wire.errors import WireError
from shared.wire.sockets import CONTROL, FRAMES, ZAP_DOMAIN, bind, new_context, server_socket


class SmallServer:
    """One thread, one client at a time. `answer(message)` gives the reply, or None for silence."""

    def __init__(self, answer=None, port=0, keys=None):
        self.answer = answer or (lambda envelope: m.Ok())
        self.seen, self.boot = [], str(uuid.uuid4())
        self.keys = keys or (zmq.curve_keypair(), zmq.curve_keypair())
        self._ports, self._ready, self._stop = (port, 0), threading.Event(), threading.Event()
        self._peers, self._outgoing = {}, []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def connection(self, **changes):
        (server_public, _), (client_public, client_secret) = self.keys
        keys = [key.decode() for key in (server_public, client_public, client_secret)]
        return replace(Connection("127.0.0.1", *self._ports, *keys), **changes)

    def tell(self, message, buffers=None):
        """To the newest client, on the socket where such messages travel."""
        self._outgoing.append(Envelope(message, buffers or {}))

    def written(self, envelope):
        """The parts of an answer."""
        return encode(envelope)

    def _run(self):
        context = new_context()
        authenticator = ThreadAuthenticator(context)
        authenticator.start()
        allowed = self.keys[1][0]
        authenticator.configure_curve_callback(
            ZAP_DOMAIN, type("Keys", (), {"callback": lambda self, domain, key: key == allowed})()
        )
        sockets = [server_socket(context, channel, self.keys[0][1].decode(), 0) for channel in (CONTROL, FRAMES)]
        self._ports = tuple(bind(one, "127.0.0.1", port) for one, port in zip(sockets, self._ports, strict=True))
        self._ready.set()
        while not self._stop.is_set():
            for one in sockets:
                if one.poll(5):
                    self._serve(one)
            while self._outgoing:
                envelope = self._outgoing.pop(0)
                kind = "frames" if isinstance(envelope.message, m.Frame) else "control"
                one, peer = self._peers[kind]
                one.send_multipart([peer, *self.written(envelope)])
        authenticator.stop()
        context.destroy(linger=0)

    def _serve(self, one):
        peer, *parts = one.recv_multipart()
        try:
            envelope = decode(parts)
        except WireError as error:
            reply, re = m.Error(error.code, error.message), error.refused
        else:
            self.seen.append(envelope)
            reply, re = self._reply(one, peer, envelope), envelope.id
        if reply is not None:
            with contextlib.suppress(zmq.ZMQError):  # it is gone
                one.send_multipart([peer, *self.written(Envelope(reply, re=re))])

    def _reply(self, one, peer, envelope):
        message = envelope.message
        if isinstance(message, m.Hello):
            self._peers["control"] = (one, peer)
            return m.Welcome(self.boot, str(uuid.uuid4()))
        if isinstance(message, m.Join):
            self._peers["frames"] = (one, peer)
            return m.Ok()
        if isinstance(message, m.Bye):
            return m.Ok()
        return m.Pong() if isinstance(message, m.Ping) else self.answer(envelope)
