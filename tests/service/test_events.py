"""How long the story of one job may become: steps are told ever more rarely, how it ends always."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.service.jobs import JobDesk
from backend.service.journal import Job, Journal
from backend.service.ledger import Ledger, Step
from backend.service.session import Session
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import JobInfo, JobResume
from tests.service.clock import FakeClock


class Story:
    """One running job and the times of its events."""

    def __init__(self):
        self.clock, self.journal, self.told = FakeClock(), Journal(Path(":memory:")), []
        self.ledger = Ledger(
            self.journal, lambda owner, event: self.told.append((self.clock(), event.info)), self.clock
        )
        self.job, self.steps = new_id(), 0
        self.ledger.add(Job(JobInfo(self.job, "register", "", "queued", 1.0, last_event=1), "ada", "", b""))
        self.ledger.move(self.job, "running")

    def work(self, seconds):
        """A hundred steps a second; returns how many were told."""
        before = len(self.told)
        for _ in range(round(100 * seconds)):
            self.steps += 1
            self.ledger.progress(self.job, Step("training", self.steps, 10**6))
            self.clock.pass_(0.01)
        return len(self.told) - before

    def move(self, *states):
        for state in states:
            self.ledger.move(self.job, state, retryable=True)

    @property
    def last(self):
        return self.told[-1][1]

    def resume(self):
        kept = SimpleNamespace(check=lambda owner: None)
        desk = JobDesk(Path(), self.journal, self.ledger, *[None] * 7, kept)
        return desk.resume(Session("s", "ada", True, b"", 0.0), Envelope(JobResume(self.job))).info.state


@pytest.fixture
def story():
    return Story()


@pytest.mark.limits("EVENTS_AS_FAST")
def test_after_each_so_many_events_steps_are_told_half_as_often(story, monkeypatch):
    monkeypatch.setattr(limits, "EVENTS_AS_FAST", 20)
    story.work(20)
    pauses = {}
    for (before, _), (after, info) in zip(story.told[2:], story.told[3:], strict=False):
        pauses[info.last_event - 1] = after - before
    assert all(pauses[event] == pytest.approx(0.1, abs=0.011) for event in range(3, 20))
    assert all(pauses[event] == pytest.approx(0.2, abs=0.011) for event in range(20, 40))
    assert all(pauses[event] == pytest.approx(0.4, abs=0.011) for event in range(40, 60))


@pytest.mark.limits("EVENTS")
@pytest.mark.parametrize("stages", [1, 2])
def test_no_step_is_told_past_the_last_event_and_the_end_is(story, monkeypatch, stages):
    monkeypatch.setattr(limits, "EVENTS", 30)
    for _ in range(stages):
        story.work(10 / stages)
    assert story.last.last_event == 30
    story.move("cancelled")
    assert (story.last.last_event, story.last.state, story.last.step) == (31, "cancelled", story.steps)


@pytest.mark.limits("EVENTS")
def test_a_job_with_one_event_less_is_resumed_and_one_with_all_is_not(story, monkeypatch):
    story.move("cancelled")
    monkeypatch.setattr(limits, "EVENTS", story.last.last_event + 1)
    assert story.resume() == "queued"
    story.move("cancelled")
    monkeypatch.setattr(limits, "EVENTS", story.last.last_event)
    with pytest.raises(WireError, match="as many as one may have") as told:
        story.resume()
    assert told.value.code == "conflict" and story.last.state == "cancelled"


def test_a_job_that_was_resumed_with_all_its_events_tells_its_state_alone(story, monkeypatch):
    story.work(1)
    story.move("queued", "running")
    monkeypatch.setattr(limits, "EVENTS", story.last.last_event)
    assert story.work(1) == 0
    story.move("finished")
    assert story.last.state == "finished"
