"""The one callback through which stages report progress and honour cancellation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line's help is printed without numpy
    import numpy as np


@dataclass(frozen=True)
class Event:
    """A step of a stage is done; `total` steps make the stage."""

    stage: str
    step: int
    total: int
    message: str = ""
    picture: Callable[[], np.ndarray] | None = None  # draws how it looks now, [H, W, 3] uint8 sRGB; takes a while


class Cancelled(Exception):  # noqa: N818 (to be cancelled is no error)
    """Raised by a progress callback to stop the work; stages let it pass."""


Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Report to nobody."""
