"""The time in which the server served: what its deadlines count by."""

from __future__ import annotations

import time

from shared.wire import limits


class ServedTime:
    """Seconds. It stands still within a turn of the loop, and while a turn hangs, as on a drive that does not answer.

    Nobody could be heard meanwhile, so nobody was silent, and neither clients nor workers have missed a deadline.
    """

    def __init__(self) -> None:
        self._seconds, self._turned = 0.0, time.monotonic()

    def __call__(self) -> float:
        """As it was when the turn began."""
        return self._seconds

    def turn(self) -> None:
        """Another turn of the loop begins."""
        now = time.monotonic()
        self._seconds += min(now - self._turned, limits.TURN_S)
        self._turned = now
