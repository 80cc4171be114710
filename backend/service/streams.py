"""What one client wants to see, and what is on its way to it: credit, waiting requests, frames sent."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from backend.service.session import Session
from backend.service.slots import Loan, Slot, Slots
from shared.wire import limits
from shared.wire.codec import Buffers, Envelope, Part
from shared.wire.messages import RenderFrames, RenderLive


@dataclass
class Take:
    """A `RenderFrames` job: its frames are drawn one after the other, and drawn again if they got lost."""

    job: str
    asked: RenderFrames
    buffers: Buffers
    next: int = 0  # row to draw
    acknowledged: int = 0  # rows that the client consumed
    drawing: bool = False
    deaths: int = 0  # of workers over the frame that is next
    started: bool = False
    told: int = 0  # acknowledged rows that its owner knows of

    def __len__(self) -> int:
        return len(self.buffers["full_pose"])


@dataclass
class Shot:
    """One frame that a worker draws: for a live view, or of a take."""

    stream: Stream
    epoch: int  # of the stream: what was asked for before a reconnect goes nowhere
    request: str
    asked: RenderLive | RenderFrames
    slot: Slot
    live: Envelope | None = None
    take: Take | None = None
    row: int = 0
    dropped: bool = False  # nobody wants it any more


@dataclass
class Outgoing:
    """A frame, or a strip of one, ready to be sent."""

    shot: Shot
    id: str
    parts: list[Part]
    strip: int
    last: bool


@dataclass
class Stream:
    """The frames of one session. Memory is bounded: three slots of pixels, one request for each view."""

    session: Session
    slots: Slots
    credit: int = 0
    epoch: int = 0
    live: OrderedDict[str, Envelope] = field(default_factory=OrderedDict)  # view -> newest request
    takes: deque[Take] = field(default_factory=deque)
    outbox: deque[Outgoing] = field(default_factory=deque)
    under_way: deque[Outgoing] = field(default_factory=deque)  # sent, not acknowledged
    loans: dict[str, Loan] = field(default_factory=dict)  # by the id of a frame whose mapped pixels are being copied
    drawing: list[Shot] = field(default_factory=list)
    packing: list[Shot] = field(default_factory=list)
    live_next: bool = True
    rested: int = 0  # ticks for which there was nothing to do

    def busy(self) -> bool:
        """Whether anything is asked for, drawn or waiting to be sent."""
        return bool(self.live or self.takes or self.drawing or self.packing or self.outbox)

    def grant(self, frames: int) -> None:
        """Credit came: it acknowledges the oldest frames under way, and lets as many more go out."""
        for _ in range(min(frames, len(self.under_way))):
            sent = self.under_way.popleft()
            if sent.shot.take is not None and sent.last:
                sent.shot.take.acknowledged += 1
        open_ends = len(self.under_way) + len(self.drawing) + len(self.packing) + len(self.outbox)
        self.credit = max(0, min(self.credit + frames, limits.CREDIT - open_ends))

    def loan(self, outgoing: Outgoing) -> Loan:
        """The client reads a frame in its slot until it says otherwise."""
        return self.loans.setdefault(outgoing.id, Loan())

    def copied(self, frame: str) -> None:
        """It says so."""
        if loan := self.loans.pop(frame, None):
            loan.done = True

    def lose_touch(self) -> None:
        """What is on its way will not be acknowledged, nor told to be copied: those slots are never used again."""
        self.epoch += 1
        self.under_way.clear()
        self.clear_outbox()
        if self.loans:
            self.slots.retire()
        for frame in list(self.loans):
            self.copied(frame)

    def rewind(self) -> None:
        """The client came back: what it did not acknowledge is drawn again, and credit starts from nothing."""
        self.lose_touch()
        self.credit = 0
        for take in self.takes:
            take.next = take.acknowledged

    def clear_outbox(self, take: Take | None = None) -> None:
        """Drop what is not sent yet, of one take or all."""
        for outgoing in [one for one in self.outbox if take is None or one.shot.take is take]:
            self.outbox.remove(outgoing)
            if outgoing.strip == 0 and outgoing.shot.epoch == self.epoch:
                self.credit += 1
            if outgoing.last:
                outgoing.shot.slot.give_back()

    def can_send(self) -> bool:
        """Whether the next message waits for nothing but the socket."""
        return bool(self.outbox) and self.session.frames is not None and (not self.outbox[0].strip or self.credit > 0)

    def ready_source(self) -> Envelope | Take | None:
        """What is to be drawn next, live views and takes in turn; None while the client can take nothing more."""
        if self.session.frames is None or self.credit <= 0 or self.outbox:
            return None
        take = next((take for take in self.takes if not take.drawing and take.next < len(take)), None)
        if self.live and (self.live_next or take is None):
            return next(iter(self.live.values()))
        return take
