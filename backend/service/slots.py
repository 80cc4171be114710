"""One client's share of the memory for pixels: a ring of three slots, so that a slow client holds nobody else's."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import zmq

from backend.service.disk import telling_disk_full
from backend.service.ring import Ring

SLOTS = 3  # one being drawn, one being encrypted, one on its way
_numbers = count(1)


@dataclass
class _Slot:
    taken: bool = False  # being drawn, or not yet handed to the socket as a whole
    trackers: list[zmq.MessageTracker] = field(default_factory=list)

    def free(self) -> bool:
        self.trackers = [tracker for tracker in self.trackers if not tracker.done]
        return not self.taken and not self.trackers


class Slots:
    """The ring of one client, made when it first needs one, made anew when it needs a larger one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ring: Ring | None = None
        self._slots: list[_Slot] = []
        self._retired: list[Ring] = []

    def take(self, size: int) -> int | None:
        """A free slot of at least `size` bytes; None while all are in use.

        Raises:
            WireError: disk_full.
        """
        free = [index for index, slot in enumerate(self._slots) if slot.free()]
        if self._ring is None or self._ring.slot_bytes < size:
            if len(free) < len(self._slots):
                return None
            self._renew(size)
            free = [0]
        if not free:
            return None
        self._slots[free[0]].taken = True
        return free[0]

    @property
    def path(self) -> Path:
        """Of the ring that the slots taken now are in."""
        assert self._ring is not None
        return self._ring.path

    def bytes(self, index: int) -> memoryview:
        """A slot's memory."""
        assert self._ring is not None
        return self._ring.slot(index)

    def lend(self, index: int, tracker: zmq.MessageTracker) -> None:
        """A part of the slot is with the socket until `tracker` is done."""
        self._slots[index].trackers.append(tracker)

    def give_back(self, index: int) -> None:
        """Nothing more will be taken from the slot."""
        self._slots[index].taken = False

    def release(self) -> bool:
        """Give the memory back if nothing is in use; returns whether all of it is back."""
        if all(slot.free() for slot in self._slots):
            self._retire()
        self._retired = [ring for ring in self._retired if not _closed(ring)]
        return self._ring is None and not self._retired

    def _renew(self, size: int) -> None:
        self._retire()
        path = self._folder / f"ring-{next(_numbers)}"
        with telling_disk_full(path, SLOTS * size):
            self._ring = Ring.create(path, SLOTS, size)
        self._slots = [_Slot() for _ in range(SLOTS)]

    def _retire(self) -> None:
        if self._ring is not None and not _closed(self._ring):
            self._retired.append(self._ring)
        self._ring, self._slots = None, []


def _closed(ring: Ring) -> bool:
    """Whether the ring could be closed: the socket lets go of its memory a moment after it is done with it."""
    try:
        ring.close()
    except BufferError:
        return False
    with contextlib.suppress(PermissionError):  # on Windows the worker still has it mapped: swept at the next start
        ring.path.unlink(missing_ok=True)
    return True


def sweep(folder: Path) -> None:
    """Remove the rings of a server that died."""
    for path in folder.glob("ring-*"):
        with contextlib.suppress(PermissionError):  # on Windows, a worker that is about to end
            path.unlink()
