"""The ceiling of what clients make the I/O process hold, of each key and of all: pixels in rings, poses of renders."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from shared.wire import limits
from shared.wire.errors import WireError


class Budget:
    """Bytes in use, by owner."""

    def __init__(self) -> None:
        self.by_owner: Counter[str] = Counter()

    @property
    def used(self) -> int:
        """By all together."""
        return self.by_owner.total()

    def share(self, owner: str) -> Share:
        """What counts for one owner."""
        return Share(self, owner)


@dataclass(frozen=True)
class Share:
    """One owner's part of the budget. Who would go beyond a limit is told to come again."""

    budget: Budget
    owner: str

    def check(self, size: int) -> None:
        """Raise `WireError` (busy) if `size` more bytes are too many."""
        own, others = self.budget.by_owner[self.owner], self.budget.used - self.budget.by_owner[self.owner]
        if own + size <= limits.KEY_BYTES and own + others + size <= limits.SERVER_BYTES:
            return
        raise WireError(
            "busy",
            f"{size:,} bytes of memory are needed. Your clients have {own:,} of at most {limits.KEY_BYTES:,}, all "
            f"others {others:,}, of at most {limits.SERVER_BYTES:,} together. Ask for smaller pictures, end other "
            "renders, or try again later.",
            retryable=True,
        )

    def take(self, size: int) -> None:
        """Count `size` bytes in. Raises `WireError` (busy), and nothing is counted."""
        self.check(size)
        self.budget.by_owner[self.owner] += size

    def give_back(self, size: int) -> None:
        """Count them out."""
        self.budget.by_owner[self.owner] -= size
