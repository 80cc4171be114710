"""Whose turn it is: owners take turns, whatever each had before, and however many clients or jobs of theirs wait."""

from __future__ import annotations

from itertools import count


class Turns:
    """When each owner had its last turn."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._last: dict[str, int] = {}

    def last(self, owner: str) -> int:
        """The number of that turn, to sort by; 0 for who had none."""
        return self._last.get(owner, 0)

    def take(self, owner: str) -> None:
        """It has one now."""
        self._last[owner] = next(self._numbers)
