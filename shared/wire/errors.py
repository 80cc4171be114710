"""The one exception of the protocol, and its closed list of codes."""

from __future__ import annotations

from ..errors import VivantError

CODES = {
    # a message that cannot be taken
    "malformed": "the message breaks the format",
    "version": "the two sides speak different major versions; the text says which to update",
    "unknown_kind": "this side knows no such message, or not in this direction",
    "too_large": "a part, a message, a file or a picture is over its limit",
    "out_of_range": "a field or a buffer holds a value that cannot be; `field` names it",
    # a message that cannot be answered
    "not_allowed": "the key, the token or the ticket is not one that the server knows",
    "unknown_session": "say hello first: the server does not know who speaks",
    "superseded": "another connection took this session over; this one must stop",
    "busy": "a limit of clients, jobs, avatars, bytes or workers is reached; the text says which, and what to do",
    "not_local": "only a client on the server's own computer may ask for this",
    "unknown_job": "this owner has no such job",
    "unknown_avatar": "this owner has no such avatar",
    "unknown_file": "there is no such file, or the photo was not uploaded",
    "conflict": "the id is taken by something else, or the state does not allow this",
    "wrong_hash": "the bytes that came do not have the SHA-256 that was announced",
    "stopping": "the server is going down",
    "internal": "a defect of the server; its log tells more",
    # why a job failed
    "bad_photo": "the picture cannot be used",
    "no_person": "nobody was found in the photo",
    "bad_avatar": "the avatar's folder cannot be read",
    "oom": "the memory did not suffice; the text names need and have",
    "disk_full": "no room, or no right, to write; the text names path and bytes",
    "diverged": "the optimisation left the numbers that make sense",
    "worker_died": "the worker process died twice in this job",
    "stalled": "the job made no step for longer than its stage may take",
    "cancelled": "somebody cancelled it",
    "failed": "it failed for the reason told in the text",
    # what the client finds out by itself
    "no_server": "nobody answers at this address",
    "lost": "the connection broke before the answer came",
    "timeout": "the answer did not come in time",
    "closed": "the client was closed",
    "insecure": "there are no keys for an address that needs them",
    "forked": "the client was made in another process",
}
"""Every code with its meaning; docs/protocol.md repeats them."""


class WireError(VivantError):
    """A message was refused, or answered with `Error`.

    `code` is for programs (one of `CODES`, or one that a newer side has), the text for people: the cause and what to
    do next.
    """

    def __init__(self, code: str, message: str, field: str = "", retryable: bool = False, re: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retryable = retryable
        self.re = re  # id of the message that this answers; of one that cannot be read: what it would have answered
        self.refused = ""  # id of the message that cannot be read, if that much of it can
