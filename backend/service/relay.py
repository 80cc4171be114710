"""Frames from render workers to clients: by credit, in turn, without a copy, and never waiting for anybody slow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.service.background import Background
from backend.service.budget import Budget
from backend.service.drawing import aimed, order
from backend.service.framing import is_packed, messages_of
from backend.service.journal import Job
from backend.service.library import Library
from backend.service.pool import Pool, Worker
from backend.service.post import Post
from backend.service.renders import Renders
from backend.service.sending import deliver
from backend.service.session import Session
from backend.service.sessions import Sessions
from backend.service.slots import Slots
from backend.service.streams import Outgoing, Shot, Stream, Take
from backend.service.turns import Turns
from backend.service.work import WorkFrame, WorkRefused
from shared.wire import limits
from shared.wire.codec import Buffers, Envelope
from shared.wire.errors import WireError
from shared.wire.messages import Error, FrameCopied, Ok, RenderCredit, RenderFrames, RenderLive, RenderStop
from shared.wire.schema import Message


class Relay:
    """All streams. What is said to it has its effect when it is pumped, once in each turn of the server's loop."""

    def __init__(
        self,
        post: Post,
        sessions: Sessions,
        pool: Pool,
        renders: Renders,
        library: Library,
        background: Background,
        data: Path,
    ) -> None:
        self._post, self._sessions, self._pool, self._renders = post, sessions, pool, renders
        self._library, self._background, self._data = library, background, data
        self._streams: dict[str, Stream] = {}
        self._turn: list[Stream] = []  # the one whose turn was last comes last
        self._turns = Turns()
        self._shots: dict[bytes, Shot] = {}  # by the identity of the worker that draws it
        self._leftover: list[Slots] = []
        self._budget = Budget()
        self._wants_slot = False
        sessions.greeted.append(self._greeted)
        sessions.freed.append(self._freed)

    # What clients ask for

    def live(self, session: Session, envelope: Envelope) -> None:
        """The newest request of a view; one that waits is replaced."""
        asked = envelope.message
        assert isinstance(asked, RenderLive)
        stream = self._stream(session)
        stream.grant(asked.consumed)  # also where the request is refused
        self._library.owned(session.owner, asked.avatar)
        live = stream.live
        if asked.view not in live and len(live) >= limits.VIEWS:
            raise WireError("busy", f"{limits.VIEWS} views of yours wait for a frame already.", "view", retryable=True)
        live[asked.view] = envelope

    def stop(self, session: Session, envelope: Envelope) -> Message:
        """A view was closed."""
        asked = envelope.message
        assert isinstance(asked, RenderStop)
        stream = self._stream(session)
        stream.live.pop(asked.view, None)
        _drop(stream, lambda shot: isinstance(shot.asked, RenderLive) and shot.asked.view == asked.view)
        return Ok()

    def credit(self, session: Session, envelope: Envelope) -> None:
        """The client consumed frames, or opens its stream."""
        given = envelope.message
        assert isinstance(given, RenderCredit)
        self._stream(session).grant(given.frames)

    def copied(self, session: Session, envelope: Envelope) -> None:
        """The client has taken a frame out of mapped memory."""
        taken = envelope.message
        assert isinstance(taken, FrameCopied)
        self._stream(session).copied(taken.frame)

    def check(self, session: Session, asked: RenderFrames, buffers: Buffers) -> None:
        """Raise `WireError` if this render cannot be taken: no such avatar, too many renders, too many poses."""
        self._library.owned(session.owner, asked.avatar)
        self._budget.share(session.owner).check(nbytes(buffers))
        if len(self._stream(session).takes) >= limits.WAITING_RENDERS:
            raise WireError("busy", f"{limits.WAITING_RENDERS} renders of yours are waiting already.", retryable=True)

    def take(self, session: Session, asked: RenderFrames, buffers: Buffers, done: int = 0) -> None:
        """A render job begins to wait for its turn, behind its first `done` frames.

        Its poses are copied, for they lie in the message that came.
        """
        self._budget.share(session.owner).take(nbytes(buffers))
        owned = {name: np.array(array) for name, array in buffers.items()}
        self._stream(session).takes.append(Take(asked.job, asked, owned, next=done, acknowledged=done, told=done))

    def cancel(self, job: Job) -> None:
        """End a render job."""
        for stream in self._streams.values():
            for take in [take for take in stream.takes if take.job == job.id]:
                self._remove(stream, take)
        for worker in self._pool.workers("render"):
            shot = self._shots.get(worker.identity)
            if shot is not None and shot.take is not None and shot.take.job == job.id:
                self._pool.hurry(worker)
        self._renders.cancel(job.id)

    # What workers say

    def frame(self, worker: Worker, drawn: WorkFrame) -> None:
        """A frame is in its slot."""
        shot = self._shot(worker, drawn.request)
        if shot is None:
            return
        self._put_down(worker, shot)
        if shot.take is not None:
            shot.take.deaths = 0
        if is_packed(shot):
            self._pack(shot, drawn)
        else:
            self._hand_on(shot, lambda: messages_of(shot, drawn))

    def _pack(self, shot: Shot, drawn: WorkFrame) -> None:
        """In a thread, one frame after the other, while the next one is drawn."""

        def packed(messages: list[Outgoing]) -> None:
            shot.stream.packing.remove(shot)
            self._hand_on(shot, lambda: messages)

        def failed(error: Exception) -> None:
            shot.stream.packing.remove(shot)
            self._discard(shot)
            self._fail(shot, WireError("oom", f"Not packed: {error}. Ask for a smaller picture."))

        shot.stream.packing.append(shot)
        self._background.run(lambda: messages_of(shot, drawn), packed, failed, "frames")

    def _hand_on(self, shot: Shot, messages: Callable[[], list[Outgoing]]) -> None:
        """To be sent, if the frame is still wanted."""
        if shot.dropped or shot.epoch != shot.stream.epoch:
            self._discard(shot)
        else:
            shot.stream.outbox.extend(messages())

    def refused(self, worker: Worker, said: WorkRefused) -> None:
        """A frame cannot be drawn."""
        shot = self._shot(worker, said.request)
        if shot is not None:
            self._put_down(worker, shot)
            self._discard(shot)
            self._fail(shot, WireError(said.code, said.message))

    def lost(self, worker: Worker, reason: str) -> None:
        """A worker is gone: the frame of a take is tried once more, that of a view was the view's last word."""
        shot = self._shots.get(worker.identity)
        if shot is None:
            return
        self._put_down(worker, shot)
        self._discard(shot)
        if shot.take is not None and shot.take.deaths == 0:
            shot.take.deaths, shot.take.next = 1, min(shot.row, shot.take.next)  # a reconnect went further back
        else:
            words = f"The render worker was lost ({reason}). Another one starts; try again."
            self._fail(shot, WireError("worker_died", words, retryable=True))

    # The loop

    def tick(self) -> None:
        """Keep the deadlines, and go on where a peer or a slot was not ready."""
        for stream in list(self._streams.values()):
            if self._sessions.silence(stream.session) > limits.VANISHED_LIVE_S:
                stream.live.clear()
                _drop(stream, lambda shot: shot.take is None)
            stream.rested = 0 if stream.busy() else stream.rested + 1
            if stream.rested > limits.STREAM_RESTS:
                stream.slots.release()
            stream.slots.tidy()
        self._leftover = [slots for slots in self._leftover if not slots.release()]
        self._give_up_without_workers()
        self.pump()

    def held(self) -> int:
        """Bytes of pixels and poses that are accounted for."""
        return self._budget.used

    def pending(self) -> bool:
        """Whether something waits for a socket or a slot, which nobody announces. To be asked after `pump`."""
        return self._wants_slot or any(stream.can_send() for stream in self._streams.values())

    def pump(self) -> None:
        """Send what can be sent, let draw what can be drawn."""
        self._wants_slot = False
        for stream in self._streams.values():
            deliver(stream, self._post)
            self._settle(stream)
        idle = self._pool.idle("render")
        while idle and (shot := self._next_shot()) is not None:
            worker = min(idle, key=lambda one: shot.asked.avatar not in one.memory.avatars)
            idle.remove(worker)
            self._begin(worker, shot)

    def _next_shot(self) -> Shot | None:
        """Of the owner whose turn it is, and of its streams; who has nothing to draw, or may not, is passed over.

        So the clients of one key, however many they are, have one turn where those of another have one.
        """
        for stream in sorted(self._turn, key=lambda stream: self._turns.last(stream.session.owner)):
            if (source := stream.ready_source()) is None:
                continue
            self._turn.remove(stream)
            self._turn.append(stream)
            try:
                shot = aimed(stream, source)
            except WireError as error:  # no room on the disk for slots so large
                self._give_up(stream, source, error)
                continue
            if shot is not None:
                self._turns.take(stream.session.owner)
                return shot
            self._wants_slot = True
        return None

    def _begin(self, worker: Worker, shot: Shot) -> None:
        stream = shot.stream
        if shot.take is None:
            assert isinstance(shot.asked, RenderLive)
            del stream.live[shot.asked.view]
        else:
            if not shot.take.started:
                self._renders.begin(shot.take)
            shot.take.drawing, shot.take.next = True, shot.row + 1
        stream.live_next = shot.take is not None
        stream.credit -= 1
        stream.drawing.append(shot)
        self._pool.engage(worker, shot.request)
        self._shots[worker.identity] = shot
        self._pool.send(worker, *order(shot, self._library.folder(shot.asked.avatar)))

    def _settle(self, stream: Stream) -> None:
        """Tell how far takes are, finish those whose frames were all consumed."""
        for take in list(stream.takes):
            if not take.started and take.acknowledged == len(take):
                self._renders.begin(take)  # resumed behind its last frame
            if take.started and self._renders.tell(take):
                self._remove(stream, take)

    def _give_up_without_workers(self) -> None:
        trouble = self._pool.trouble("render")
        if not trouble:
            return
        error = WireError("worker_died", trouble, retryable=True)
        for stream in self._streams.values():
            waiting: list[Envelope | Take] = [*stream.live.values(), *stream.takes]
            for source in waiting:
                self._give_up(stream, source, error)

    def _shot(self, worker: Worker, request: str) -> Shot | None:
        shot = self._shots.get(worker.identity)
        return shot if shot is not None and shot.request == request else None

    def _put_down(self, worker: Worker, shot: Shot) -> None:
        """The worker has no more to do with this frame."""
        del self._shots[worker.identity]
        self._pool.release(worker)
        shot.stream.drawing.remove(shot)
        if shot.take is not None:
            shot.take.drawing = False

    def _discard(self, shot: Shot) -> None:
        shot.slot.give_back()
        if shot.epoch == shot.stream.epoch:
            shot.stream.credit += 1

    def _fail(self, shot: Shot, error: WireError) -> None:
        source = shot.take or shot.live
        if source is not None and not shot.dropped and shot.epoch == shot.stream.epoch:
            self._give_up(shot.stream, source, error)

    def _give_up(self, stream: Stream, source: Envelope | Take, error: WireError) -> None:
        if isinstance(source, Take):
            self._fail_take(stream, source, error)
        else:
            assert isinstance(source.message, RenderLive)
            if stream.live.get(source.message.view) is source:
                del stream.live[source.message.view]
            self._refuse(stream, source, error)

    def _fail_take(self, stream: Stream, take: Take, error: WireError) -> None:
        self._renders.fail(take.job, error)
        self._remove(stream, take)

    def _refuse(self, stream: Stream, envelope: Envelope, error: WireError) -> None:
        told = Error(error.code, error.message, error.field, error.retryable)
        self._sessions.send(stream.session, told, re=envelope.id)

    def _remove(self, stream: Stream, take: Take) -> None:
        stream.takes.remove(take)
        self._budget.share(stream.session.owner).give_back(nbytes(take.buffers))
        stream.clear_outbox(take)
        _drop(stream, lambda shot: shot.take is take)

    def _stream(self, session: Session) -> Stream:
        if session.id not in self._streams:
            stream = Stream(session, Slots(self._data, self._budget.share(session.owner)))
            self._streams[session.id] = stream
            self._turn.append(stream)
        return self._streams[session.id]

    def _greeted(self, session: Session) -> None:
        self._stream(session).rewind()

    def _freed(self, session: Session) -> None:
        stream = self._streams.pop(session.id)
        self._turn.remove(stream)
        for take in list(stream.takes):
            self._renders.vanished(take)
            self._remove(stream, take)
        stream.lose_touch()
        self._leftover.append(stream.slots)


def nbytes(buffers: Buffers) -> int:
    """Of all together."""
    return sum(array.nbytes for array in buffers.values())


def _drop(stream: Stream, which: Callable[[Shot], bool]) -> None:
    for shot in (*stream.drawing, *stream.packing):
        if which(shot):
            shot.dropped = True
