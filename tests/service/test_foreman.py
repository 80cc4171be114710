"""The deadlines of a running build, under a clock of our own. Numbers are rows of the fault table."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from backend.service.foreman import Foreman
from backend.service.journal import Job, Journal
from backend.service.kept import Kept
from backend.service.ledger import Ledger, Step
from backend.service.orders import packed
from backend.service.work import WorkDone, WorkFailed, WorkProgress
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.messages import JobInfo, JobSubmit
from tests.service.at_once import AtOnce
from tests.service.clock import FakeClock

MOMENT_S = 0.01


class Process:
    def __init__(self):
        self.told = []

    def terminate(self):
        self.told.append("terminate")

    def kill(self):
        self.told.append("kill")


class Site:
    """A foreman with one worker that does nothing."""

    def __init__(self, data):
        self.clock, self.journal, self.sent = FakeClock(), Journal(Path(":memory:")), []
        self.ledger = Ledger(self.journal, lambda owner, event: None, self.clock)
        self.kept = Kept(data, self.journal, AtOnce(), lambda owner: False)
        self.hire()
        pool = SimpleNamespace(
            idle=lambda role: [] if self.worker.busy else [self.worker],
            workers=lambda role: [self.worker],
            trouble=lambda role: "",
            send=lambda worker, message, buffers=None: self.sent.append(message.kind),
        )
        self.foreman = Foreman(self.journal, self.ledger, pool, None, self.kept, data, self.clock)
        asked = JobSubmit(new_id(), "build", "0" * 64)
        self.job = asked.job
        self.ledger.add(Job(JobInfo(self.job, "build", "", "queued", 1.0), "ada", "", packed(asked, {})))
        self.foreman.tick()

    def hire(self):
        self.worker = SimpleNamespace(busy="", process=Process())

    def lose(self):
        """Its process is gone."""
        lost = self.worker
        self.foreman.lost(lost, "it was ended by signal 9")
        self.hire()
        self.foreman.tick()

    def step(self):
        said = WorkProgress(self.job, "training", 1, 2)
        self.foreman.progress(self.worker, said, Step("training", 1, 2, preview=np.zeros((1, 1, 3), "u1")))

    def wait(self, seconds):
        self.clock.pass_(seconds)
        self.foreman.tick()
        return self.worker.process.told

    @property
    def info(self):
        return self.journal.job(self.job).info


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.mark.limits("STAGE_SILENCE_S")
def test_19_a_stage_without_a_step_is_stalled_at_its_limit_and_fails_the_second_time(site):
    site.step()
    assert site.wait(limits.STAGE_SILENCE_S) == []
    assert site.wait(MOMENT_S) == ["kill"]
    site.lose()
    assert site.info.state == "running"  # by another worker
    site.wait(limits.STAGE_SILENCE_S - MOMENT_S)
    site.step()  # which starts the time anew
    assert site.wait(limits.STAGE_SILENCE_S) == []
    assert site.wait(MOMENT_S) == ["kill"]
    site.lose()
    assert (site.info.state, site.info.error_code, site.info.retryable) == ("failed", "stalled", True)
    assert f"no step for {limits.STAGE_SILENCE_S:.0f} s" in site.info.error


@pytest.mark.limits("CANCEL_COOPERATIVE_S", "CANCEL_KILL_S")
def test_20_a_cancelled_job_is_asked_then_told_then_killed(site):
    site.foreman.cancel(site.journal.job(site.job))
    assert site.sent == ["work.job", "work.cancel"]
    assert site.wait(limits.CANCEL_COOPERATIVE_S) == []
    assert site.wait(MOMENT_S) == ["terminate"]
    assert site.wait(limits.CANCEL_KILL_S - limits.CANCEL_COOPERATIVE_S - MOMENT_S) == ["terminate"]
    assert site.wait(MOMENT_S) == ["terminate", "kill"]
    assert site.info.state == "running"  # until its process is really gone
    site.lose()
    assert site.info.state == "cancelled"


@pytest.mark.limits("RUN_S")
@pytest.mark.parametrize("hears", [True, False])
def test_a_job_that_runs_for_too_long_is_stopped_and_has_failed(site, hears):
    while site.clock() - 1000.0 < limits.RUN_S - limits.STAGE_SILENCE_S:
        site.step()
        site.wait(limits.STAGE_SILENCE_S)
    site.step()
    site.wait(1000.0 + limits.RUN_S - site.clock())
    assert site.sent == ["work.job"] and site.info.state == "running"
    site.wait(MOMENT_S)
    assert site.sent == ["work.job", "work.cancel"] and site.info.state == "running"
    if hears:
        site.foreman.failed(site.worker, WorkFailed(site.job, "cancelled", "", True))
    else:
        assert site.wait(limits.CANCEL_KILL_S + MOMENT_S) == ["kill"]
        site.lose()
    assert (site.info.state, site.info.error_code, site.info.retryable) == ("failed", "failed", False)
    assert "24 hours" in site.info.error and "fewer steps" in site.info.error


def test_owners_take_turns_however_many_jobs_one_of_them_had_before(site):
    """By the number of jobs that each had had, a new owner kept the others waiting until it had had as many."""

    def submit(owner):
        asked = JobSubmit(new_id(), "build", "0" * 64)
        site.ledger.add(Job(JobInfo(asked.job, "build", "", "queued", 1.0), owner, "", packed(asked, {})))

    def finish():
        site.foreman.done(site.worker, WorkDone(site.worker.busy))
        site.foreman.tick()
        return site.journal.job(site.worker.busy).owner

    site.foreman._library = SimpleNamespace(adopt=lambda job, done: None)
    for _ in range(6):
        submit("ada")
    assert [finish() for _ in range(4)] == ["ada"] * 4
    for _ in range(3):
        submit("bob")
    assert [finish() for _ in range(4)] == ["bob", "ada", "bob", "ada"]
