"""One client window, over reconnects: its addresses, what it understands, what it was answered."""

from __future__ import annotations

import uuid
from collections import deque
from dataclasses import dataclass, field

import zmq

from shared.wire.codec import Envelope
from shared.wire.mapped import FEATURE as MAPPED


@dataclass
class Session:
    """One client window. `routing` and `frames` are its addresses on the two sockets."""

    id: str
    owner: str
    local: bool  # the client runs on this computer
    routing: bytes
    heard: float  # when anything came last
    features: tuple[str, ...] = ()
    ticket: str = field(default_factory=lambda: str(uuid.uuid4()))
    frames: bytes | None = None
    asked: int = 0  # requests whose answers are being made
    unsent: deque[Envelope] = field(default_factory=deque)  # answers that it did not take yet
    leaving: zmq.MessageTracker | None = None  # of the last buffers in an answer

    @property
    def takes(self) -> bool:
        """Whether all that it was answered has left this process."""
        return not self.unsent and (self.leaving is None or self.leaving.done)

    @property
    def is_mapped(self) -> bool:
        """Whether its frames come in mapped memory."""
        return MAPPED in self.features
