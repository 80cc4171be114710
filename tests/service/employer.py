"""A stand-in for the server: starts real worker processes, and talks to them as the server does."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field

import zmq

from backend.service.bundle import bundled, unbundled
from backend.service.work import WorkReady
from shared.wire.codec import Envelope, decode, encode

PATIENCE_S = 120.0
"""Longer than anything here takes on a slow computer."""


@dataclass
class Employer:
    """One worker process and the socket to it."""

    role: str
    program: tuple[str, ...] = ("-m", "backend.service.worker")
    environment: dict = field(default_factory=dict)

    def __post_init__(self):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        public, secret = zmq.curve_keypair()
        self.socket.curve_server, self.socket.curve_secretkey = True, secret
        self.server_key = public.decode()
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.start(f"tcp://127.0.0.1:{port}")

    def start(self, endpoint):
        self.endpoint, self.identity = endpoint, str(uuid.uuid4())
        self.process = subprocess.Popen(
            [sys.executable, *self.program, "--role", self.role, "--connect", endpoint],
            stdin=subprocess.PIPE,
            env={**os.environ, **self.environment},
        )
        public, secret = (key.decode() for key in zmq.curve_keypair())
        keys = {"server_key": self.server_key, "public_key": public, "secret_key": secret}
        self.process.stdin.write(json.dumps({"identity": self.identity, **keys}).encode() + b"\n")
        self.process.stdin.flush()
        self.ready = self.expect(WorkReady).message

    def send(self, message, buffers=None):
        self.socket.send_multipart([self.identity.encode(), bundled(encode(Envelope(message, buffers or {})))])

    def receive(self, timeout_s=PATIENCE_S):
        deadline = time.monotonic() + timeout_s
        while not self.socket.poll(200):
            assert self.process.poll() is None, "the worker is dead"
            assert time.monotonic() < deadline, "the worker said nothing"
        return decode(unbundled(self.socket.recv_multipart()[1]))

    def expect(self, *kinds, until=lambda message: True, timeout_s=PATIENCE_S):
        """The next message of one of these kinds; others are left out."""
        deadline = time.monotonic() + timeout_s
        while True:
            envelope = self.receive(max(deadline - time.monotonic(), 0.001))
            if isinstance(envelope.message, kinds) and until(envelope.message):
                return envelope

    def kill(self, number=signal.SIGKILL):
        os.kill(self.process.pid, number)

    def restart(self):
        """The worker is dead: another takes its place."""
        self.process.wait(PATIENCE_S)
        self.process.stdin.close()
        self.start(self.endpoint)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.context.destroy(linger=0)
