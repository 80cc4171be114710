"""One client's share of the memory for pixels: a ring of three slots, so that a slow client holds nobody else's."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Protocol

from backend.service.budget import Share
from backend.service.disk import telling_disk_full
from backend.service.ring import Ring
from shared.wire.errors import WireError
from shared.wire.limits import SLOTS
from shared.wire.mapped import Place

_numbers = count(1)


class Tracker(Protocol):
    """Who reads a slot: `zmq.MessageTracker`, or a `Loan`."""

    @property
    def done(self) -> bool:
        """Whether no more will be read."""


@dataclass
class Loan:
    """A client copies from its slot."""

    done: bool = False


@dataclass
class Slot:
    """Room for one frame."""

    ring: Ring
    index: int
    taken: bool = False  # being drawn, or not yet handed to the socket as a whole
    trackers: list[Tracker] = field(default_factory=list)

    def bytes(self) -> memoryview:
        """Its memory."""
        return self.ring.slot(self.index)

    def place(self, offset: int) -> Place:
        """For a client that has the ring mapped."""
        return Place(self.ring.path.name, self.ring.offset(self.index) + offset)

    def lend(self, tracker: Tracker) -> None:
        """A part of it is read until `tracker` is done."""
        self.trackers.append(tracker)

    def give_back(self) -> None:
        """Nothing more will be sent from it."""
        self.taken = False

    def free(self) -> bool:
        """Whether it may be drawn into."""
        self.trackers = [tracker for tracker in self.trackers if not tracker.done]
        return not self.taken and not self.trackers


class Slots:
    """The ring of one client, made when it first needs one, made anew when it needs a larger one."""

    def __init__(self, folder: Path, budget: Share) -> None:
        self._folder, self._budget = folder, budget
        self._slots: list[Slot] = []
        self._retired: list[list[Slot]] = []

    def take(self, size: int) -> Slot | None:
        """A free slot of at least `size` bytes; None while all are in use, or while an older ring still is.

        Raises:
            WireError: disk_full, or busy where its key or all clients together would have too much.
        """
        if not self._slots or self._slots[0].ring.slot_bytes < size:
            self.release()
            if self._slots or self._retired:
                return None
            self._slots = self._made(size)
        free = next((slot for slot in self._slots if slot.free()), None)
        if free is not None:
            free.taken = True
        return free

    def retire(self) -> None:
        """Use the ring no more, for who reads it has lost touch; it goes when nothing of it is in use."""
        if self._slots:
            self._retired.append(self._slots)
        self._slots = []

    def tidy(self) -> None:
        """Remove retired rings that nobody uses."""
        gone = [slots for slots in self._retired if _removed(slots)]
        for slots in gone:
            self._retired.remove(slots)
            self._budget.give_back(SLOTS * slots[0].ring.slot_bytes)

    def release(self) -> bool:
        """Give the memory back if nothing is in use; returns whether all of it is back."""
        if all(slot.free() for slot in self._slots):
            self.retire()
        self.tidy()
        return not self._slots and not self._retired

    def _made(self, size: int) -> list[Slot]:
        path = self._folder / f"ring-{next(_numbers)}"
        self._budget.take(SLOTS * size)
        try:
            with telling_disk_full(path, SLOTS * size):
                ring = Ring.create(path, SLOTS, size)
        except WireError:
            self._budget.give_back(SLOTS * size)
            raise
        return [Slot(ring, index) for index in range(SLOTS)]


def _removed(slots: list[Slot]) -> bool:
    """Whether the ring could be closed: the socket lets go of its memory a moment after it is done with it."""
    ring = slots[0].ring
    if not all(slot.free() for slot in slots):
        return False
    try:
        ring.close()
    except BufferError:
        return False
    with contextlib.suppress(PermissionError):  # on Windows others still have it mapped: swept at the next start
        ring.path.unlink(missing_ok=True)
    return True


def sweep(folder: Path) -> None:
    """Remove the rings of a server that died, and the key to them."""
    for path in folder.glob("ring-*"):
        with contextlib.suppress(PermissionError):  # on Windows, a process that is about to end
            path.unlink()
