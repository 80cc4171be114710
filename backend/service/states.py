"""The life of a job, as a table. Whatever changes a job's state asks here first."""

from __future__ import annotations

from shared.wire.messages import FINAL_STATES

START = "queued"
MOVES: dict[str, dict[str, str]] = {
    "queued": {
        "running": "a worker took it",
        "cancelled": "its owner cancelled it before it began",
        "failed": "no worker starts",
        "interrupted": "a render's server ended, or its client went away",
    },
    "running": {
        "finished": "its result is whole on the disk, or all its frames were taken",
        "failed": "the worker said why, or died twice, or it ran for too long",
        "cancelled": "its owner cancelled it",
        "queued": "its worker died for the first time",
        "interrupted": "the server ended, or a render's client went away",
    },
    "interrupted": {
        "queued": "its owner resumed it",
        "cancelled": "its owner cancelled it",
        "failed": "a render made room for newer ones, or its poses are lost",
    },
    "failed": {"queued": "its owner resumed it"},
    "cancelled": {"queued": "its owner resumed it"},
    "finished": {},
}
"""From state to state, and when."""

RESUMABLE = tuple(state for state, moves in MOVES.items() if state != "running" and "queued" in moves)


class ForbiddenMoveError(Exception):
    """A defect: the code tried a move that the table does not have."""


def check_move(before: str, after: str) -> None:
    """Raise `ForbiddenMoveError` unless the table has this move, or nothing moves."""
    if after != before and after not in MOVES[before]:
        raise ForbiddenMoveError(f"{before} -> {after}")


def is_final(state: str) -> bool:
    """Whether only its owner's wish to resume can move a job out of this state."""
    return state in FINAL_STATES
