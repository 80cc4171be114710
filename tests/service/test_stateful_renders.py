"""Renders in any order of events: submitted, drawn, consumed, cut, left behind, resumed, cancelled, a worker lost.

The relay, its streams and the journal are real; the sockets, the worker and the clock are the test's, so that hundreds
of such stories take a second. Numbers are rows of the fault table.
"""

import shutil
import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from backend.service.states import MOVES
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.codec import Envelope
from shared.wire.messages import FINAL_STATES, RenderCredit
from tests.service.serving import motion, render_live
from tests.service.test_relay import Stage

WINDOWS = st.sampled_from(["one", "other"])
GRANTED = 3


class Rendering(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self.data = Path(tempfile.mkdtemp())
        self.stage = Stage(self.data)
        self.sessions = {}  # by the name of a client's window; it may have gone
        self.inboxes = {}  # frames that came and are not consumed yet
        self.frames, self.asked, self.seen = {}, {}, {}  # by job: how many, the request, how many were consumed

    def session(self, window):
        """This window's, which comes (back) if it has gone."""
        if window not in self.sessions:
            self.sessions[window] = self.stage.client(f"{window}-{new_id()}", credit=GRANTED)
            self.inboxes[window] = []
        return self.sessions[window]

    def receive(self):
        """Frames that were sent go into the inbox of their window."""
        for routing, frame in self.stage.sockets.taken:
            window = next(name for name, session in self.sessions.items() if session.frames == routing)
            self.inboxes[window].append(frame)
        self.stage.sockets.taken.clear()

    @rule(target=jobs, window=WINDOWS, frames=st.integers(3, 6))
    def submit(self, window, frames):
        session = self.session(window)
        if len(self.stage.relay._stream(session).takes) >= limits.WAITING_RENDERS:
            return multiple()
        job = self.stage.render(session, frames)
        self.asked[job] = next(take.asked for take in self.stage.relay._stream(session).takes if take.job == job)
        self.frames[job], self.seen[job] = frames, 0
        return job

    @rule(window=WINDOWS)
    def look(self, window):
        self.stage.relay.live(self.session(window), Envelope(render_live(new_id()), motion()))

    @rule()
    def turn(self):
        self.stage.relay.pump()

    @rule(frames=st.integers(1, 4))
    def draw(self, frames):
        for _ in range(frames):
            self.stage.draw()

    @rule(window=WINDOWS)
    def look_again(self, window):
        """The credit of a frame comes with the next request."""
        if self.take_out(window):
            request = replace(render_live(new_id()), consumed=1)
            self.stage.relay.live(self.sessions[window], Envelope(request, motion()))

    @rule(window=WINDOWS)
    def consume(self, window):
        if self.take_out(window):
            self.stage.relay.credit(self.sessions[window], Envelope(RenderCredit(1)))

    def take_out(self, window):
        """The oldest frame, if any: none was left out before it, and what comes again was not acknowledged."""
        if not self.inboxes.get(window):
            return False
        frame = self.inboxes[window].pop(0)
        if frame.job:
            assert frame.number <= self.seen[frame.job], "a frame was left out"
            self.seen[frame.job] = max(self.seen[frame.job], frame.number + 1)
        return True

    @rule(window=WINDOWS)
    def reconnect(self, window):
        session = self.session(window)
        self.inboxes[window].clear()
        for call in self.stage.sessions.greeted:
            call(session)
        self.stage.relay.credit(session, Envelope(RenderCredit(GRANTED)))

    @rule(window=WINDOWS)
    def vanish(self, window):
        if session := self.sessions.pop(window, None):
            self.stage.sessions.free(session)
            del self.inboxes[window]

    @rule(job=jobs)
    def cancel(self, job):
        if self.stage.state(job) not in FINAL_STATES:
            self.stage.relay.cancel(self.stage.journal.job(job))

    @rule(job=jobs, window=WINDOWS)
    def resume(self, job, window):
        """As `JobDesk` does it."""
        session = self.session(window)
        full = len(self.stage.relay._stream(session).takes) >= limits.WAITING_RENDERS
        if self.stage.state(job) == "interrupted" and not full:
            self.stage.relay._renders.resume(self.stage.journal.job(job))
            done = max(self.seen[job], self.stage.journal.job(job).info.step)
            self.stage.relay.take(session, self.asked[job], motion(self.frames[job]), done)

    @rule()
    def lose_worker(self):
        self.stage.pool.order = None
        self.stage.relay.lost(self.stage.pool.worker, "it was ended by signal 9")

    @invariant()
    def credit_and_memory_are_bounded(self):
        self.receive()
        for stream in self.stage.relay._streams.values():
            under_way = len(stream.under_way) + len(stream.drawing) + len(stream.packing) + len(stream.outbox)
            assert 0 <= stream.credit <= limits.CREDIT and stream.credit + under_way <= limits.CREDIT
            assert len(stream.drawing) + len(stream.packing) + len(stream.outbox) <= limits.SLOTS
        assert 0 <= self.stage.relay.held() <= limits.SERVER_BYTES

    def teardown(self):
        try:
            self.all_that_can_end_ends()
            self.each_job_had_one_story()
            for window in list(self.sessions):
                self.vanish(window)
            self.stage.pool.order = None
            self.stage.relay.lost(self.stage.pool.worker, "the end")
            self.stage.relay.tick()
            assert self.stage.relay.held() == 0 and not list(self.data.glob("ring-*"))
        finally:
            self.stage.background.close(1.0)
            shutil.rmtree(self.data)

    def all_that_can_end_ends(self):
        """What somebody is there to take is drawn and consumed to its end."""
        for _ in range(20 * (1 + sum(self.frames.values()))):
            self.stage.relay.tick()
            self.stage.draw()
            self.receive()
            for window in self.sessions:
                self.consume(window)
        for job, frames in self.frames.items():
            state = self.stage.state(job)
            assert state in (*FINAL_STATES, "interrupted")
            if state == "finished":
                assert self.seen[job] == frames

    def each_job_had_one_story(self):
        for job in self.frames:
            states = ["queued", *(event.info.state for event in self.stage.told if event.info.job == job)]
            assert all(after == before or after in MOVES[before] for before, after in pairwise(states))
            numbers = [event.info.last_event for event in self.stage.told if event.info.job == job]
            assert numbers == list(range(1, len(numbers) + 1))


COMMON = {"suppress_health_check": list(HealthCheck), "print_blob": False, "deadline": None}


@pytest.mark.parametrize("examples", [25, pytest.param(100, marks=pytest.mark.slow)])
def test_20_22_23_24_whatever_happens_to_renders_no_frame_is_left_out(examples):
    run_state_machine_as_test(Rendering, settings=settings(max_examples=examples, stateful_step_count=25, **COMMON))
