"""Gives queued jobs to build workers, listens to them, and sees to it that each job comes to an end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.service.crash_points import crash_point
from backend.service.journal import Job, Journal
from backend.service.kept import Kept
from backend.service.ledger import Ledger, Step
from backend.service.library import Library
from backend.service.orders import work_order
from backend.service.pool import Pool, Worker
from backend.service.turns import Turns
from backend.service.work import WorkCancel, WorkDone, WorkFailed, WorkProgress
from shared.wire import limits
from shared.wire.errors import WireError

BY_FOREMAN = ("register", "build")
GOING_ON = "It goes on from the last finished stage when it is resumed."


@dataclass
class _Running:
    """A job that a worker has."""

    worker: Worker
    began: float
    heard: float  # when its last step came
    cancelled: float | None = None  # when its owner cancelled it
    terminated: bool = False
    stalled: bool = False
    overdue: bool = False  # it was stopped because it ran for too long


class Foreman:
    """Owner of the running register and build jobs."""

    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        pool: Pool,
        library: Library,
        kept: Kept,
        data: Path,
        now: Callable[[], float],
    ) -> None:
        self._journal, self._ledger, self._pool, self._library = journal, ledger, pool, library
        self._kept, self._data, self._now = kept, data, now
        self._running: dict[str, _Running] = {}
        self._turns = Turns()

    def recover(self) -> None:
        """After a restart: whatever ran is interrupted, or finished if its avatar had reached its place."""
        for job in self._journal.jobs_in("running"):
            if job.info.task in BY_FOREMAN:
                self._recover(job)

    def _recover(self, job: Job) -> None:
        if self._journal.avatar(job.id) is not None:
            self._ledger.move(job.id, "finished", message="")
        else:
            self._ledger.move(job.id, "interrupted", message=f"The server was restarted. {GOING_ON}", retryable=True)

    def tick(self) -> None:
        """Hand out work, keep the deadlines."""
        for job_id, running in list(self._running.items()):
            self._watch(job_id, running)
        idle, trouble = self._pool.idle("build"), self._pool.trouble("build")
        if not idle and not trouble:
            return  # without a look at all that waits
        waiting = [job for job in self._journal.jobs_in("queued") if job.info.task in BY_FOREMAN]
        if trouble:
            for job in waiting:
                self._ledger.move(job.id, "failed", error_code="worker_died", error=trouble, retryable=True)
            return
        for worker in idle:
            if waiting:
                waiting.sort(key=lambda job: (self._turns.last(job.owner), job.place))
                self._begin(waiting.pop(0), worker)

    def _begin(self, job: Job, worker: Worker) -> None:
        self._ledger.move(job.id, "running", error_code="", error="", retryable=False, message="")
        crash_point("foreman:begun")
        self._turns.take(job.owner)
        worker.busy = job.id
        self._running[job.id] = _Running(worker, self._now(), self._now())
        folder = self._data / "jobs" / job.id
        try:
            self._kept.check(job.owner)  # once more: many may have waited since it was accepted
            folder.mkdir(parents=True, exist_ok=True)
        except WireError as error:
            self._end(job.id, "failed", error.code, error.message, True)
            return
        except OSError as error:
            self._end(job.id, "failed", "disk_full", f"Cannot make {folder}: {error.strerror}. Free some space.", True)
            return
        order, buffers = work_order(job, folder, self._data)
        self._pool.send(worker, order, buffers)

    def _watch(self, job_id: str, running: _Running) -> None:
        process = running.worker.process
        if running.worker not in self._pool.workers("build"):
            self.lost(running.worker, "it ended while the journal could not be written")
        elif running.cancelled is not None:
            waited = self._now() - running.cancelled
            if waited > limits.CANCEL_KILL_S:
                process.kill()
            elif waited > limits.CANCEL_COOPERATIVE_S and not running.terminated:
                running.terminated = True
                process.terminate()
        elif self._now() - running.began > limits.RUN_S:
            running.overdue = True
            self.cancel(self._job(job_id))
        elif self._now() - running.heard > limits.STAGE_SILENCE_S:
            running.stalled = True
            process.kill()

    def cancel(self, job: Job) -> None:
        """Stop a queued, interrupted or running job; a running one stays so until its worker has stopped."""
        running = self._running.get(job.id)
        if running is None:
            self._ledger.move(job.id, "cancelled", message="", retryable=True)
        elif running.cancelled is None:
            running.cancelled = self._now()
            self._pool.send(running.worker, WorkCancel(job.id))

    def progress(self, worker: Worker, said: WorkProgress, preview: Step) -> None:
        """A worker made a step."""
        running = self._of(worker, said.job)
        if running is not None:
            running.heard = self._now()
            self._ledger.progress(said.job, preview)

    def done(self, worker: Worker, said: WorkDone) -> None:
        """A worker finished: its result goes to its place first, then the job is called finished."""
        if self._of(worker, said.job) is None:
            return
        job = self._job(said.job)
        crash_point("foreman:done")
        if job.info.task == "build":
            try:
                self._library.adopt(job, said)
            except OSError as error:
                words = f"The avatar is whole, but cannot be brought to its place: {error}. Resume to try again."
                self._end(job.id, "failed", "failed", words, retryable=True)
                return
        crash_point("foreman:adopted")
        self._end(said.job, "finished")

    def failed(self, worker: Worker, said: WorkFailed) -> None:
        """A worker gave up, or stopped because it was told to."""
        if self._of(worker, said.job) is None:
            return
        if said.code == "cancelled":
            self._end(said.job, "cancelled", retryable=True)
        else:
            self._end(said.job, "failed", said.code, said.message, said.retryable)

    def lost(self, worker: Worker, reason: str) -> None:
        """A worker is gone: its job gets one more try."""
        running = self._of(worker, worker.busy)
        if running is None:
            return
        job = self._job(worker.busy)
        if running.cancelled is not None:
            self._end(job.id, "cancelled", retryable=True)
        elif job.deaths == 0:
            words = f"The worker was lost ({self._why(running, reason)}). Trying again from the last finished stage."
            self._ledger.move(job.id, "queued", deaths=1, message=words)
            del self._running[job.id]
        else:
            why = self._why(running, reason)
            words = f"The worker was lost twice in this job ({why}). Its log tells more; resume to try again."
            self._end(job.id, "failed", "stalled" if running.stalled else "worker_died", words, True)

    def stop(self) -> None:
        """The server ends: what runs is interrupted."""
        for job_id in list(self._running):
            self._end(job_id, "interrupted", retryable=True, message=f"The server was stopped. {GOING_ON}")

    def _end(
        self, job_id: str, state: str, code: str = "", error: str = "", retryable: bool = False, message: str = ""
    ) -> None:
        if state == "cancelled" and self._running[job_id].overdue:
            hours = f"{limits.RUN_S / 3600:.0f} hours"
            error = f"It ran for {hours}, as long as a job may. Ask for fewer steps, or for a smaller size or texture."
            state, code, retryable = "failed", "failed", False
        deaths = 0 if state == "finished" else None
        self._ledger.move(
            job_id, state, deaths=deaths, error_code=code, error=error, retryable=retryable, message=message
        )
        self._running.pop(job_id).worker.busy = ""
        self._kept.measure(job_id)

    def _of(self, worker: Worker, job_id: str) -> _Running | None:
        """The running job, if it is this worker's: what a worker says of a job that it lost is not heard."""
        running = self._running.get(job_id)
        return running if running is not None and running.worker is worker else None

    def _job(self, job_id: str) -> Job:
        job = self._journal.job(job_id)
        if job is None:
            raise WireError("internal", f"The running job {job_id} is not in the journal.")
        return job

    def _why(self, running: _Running, reason: str) -> str:
        return f"no step for {limits.STAGE_SILENCE_S:.0f} s" if running.stalled else reason
