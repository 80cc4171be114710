"""Frames from their slots into the socket, as far as credit and the socket go."""

from __future__ import annotations

import zmq

from backend.service.post import Post, Sent
from backend.service.streams import Outgoing, Stream


def deliver(stream: Stream, post: Post) -> None:
    """Send what waits. The slots lent to the socket come back when it is done with them."""
    while stream.can_send() and stream.session.frames is not None:
        outgoing = stream.outbox[0]
        sent, tracker = post.send_parts(stream.session.frames, outgoing.parts, track=True)
        if sent is Sent.GONE:
            stream.session.frames = None  # it will say hello again
        if sent is not Sent.YES or tracker is None:
            return
        _hand_over(stream, outgoing, tracker)


def _hand_over(stream: Stream, outgoing: Outgoing, tracker: zmq.MessageTracker) -> None:
    stream.outbox.popleft()
    stream.credit -= 1 if outgoing.strip else 0  # the first strip's was taken when it was drawn
    outgoing.shot.slot.lend(tracker)
    if stream.session.is_mapped:
        outgoing.shot.slot.lend(stream.loan(outgoing))
    if outgoing.last:
        outgoing.shot.slot.give_back()
    outgoing.parts = []
    stream.under_way.append(outgoing)
