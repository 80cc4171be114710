"""Lists in pages: as many entries as one message holds, and behind which one the next page begins. Since 1.2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from . import limits
from .codec import Envelope, encode
from .errors import WireError
from .messages import AvatarInfo, Avatars, JobInfo, Jobs

SINCE = 2
"""The minor version that brought them; before, a list ended where a page does."""

Info = TypeVar("Info", JobInfo, AvatarInfo)
Listing = TypeVar("Listing", Jobs, Avatars)


def page_of_jobs(infos: Sequence[JobInfo], after: str) -> Jobs:
    """Those behind the job `after`; the first ones if that is empty, or has been forgotten meanwhile."""
    return _page(infos, [info.job for info in infos], after, limits.WAITING_JOBS, Jobs)


def page_of_avatars(infos: Sequence[AvatarInfo], after: str) -> Avatars:
    """Those behind the avatar `after`; the first ones if that is empty, or has been deleted meanwhile."""
    return _page(infos, [info.avatar for info in infos], after, limits.AVATARS, Avatars)


def _page(
    infos: Sequence[Info], ids: list[str], after: str, most: int, listing: Callable[[tuple[Info, ...], str], Listing]
) -> Listing:
    start = ids.index(after) + 1 if after in ids else 0
    while True:
        end = start + most
        page = listing(tuple(infos[start:end]), ids[end - 1] if end < len(ids) else "")
        try:
            encode(Envelope(page))
            return page
        except WireError:  # the header is full
            most = most * 3 // 4
