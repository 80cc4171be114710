"""Render jobs in the journal: where each stands, and how long its poses are kept."""

from __future__ import annotations

from backend.service.journal import Job, Journal
from backend.service.ledger import Ledger, Step
from backend.service.poses import Poses
from backend.service.streams import Take
from shared.wire import limits
from shared.wire.codec import Envelope
from shared.wire.errors import WireError

UNFINISHED = ("running", "queued")


class Renders:
    """What happens to renders besides drawing."""

    def __init__(self, journal: Journal, ledger: Ledger, poses: Poses) -> None:
        self._journal, self._ledger, self._poses = journal, ledger, poses

    def recover(self) -> None:
        """After a restart: whatever was to be drawn waits for its owner."""
        self.interrupt_all("The server was restarted. Resume to have the frames that are missing.")
        self._poses.sweep({job.id for job in self._journal.jobs_in("interrupted")})

    def keep(self, job: str, request: bytes) -> None:
        """Poses of a new render. Raises `WireError` (disk_full)."""
        self._poses.keep(job, request)

    def load(self, job: Job) -> Envelope:
        """What was asked for. Raises `WireError` (unknown_file), and the job has failed."""
        try:
            return self._poses.load(job)
        except WireError as error:
            self.fail(job.id, error)
            raise

    def resume(self, job: Job) -> None:
        """Back into the queue."""
        self._ledger.move(job.id, "queued", message="", retryable=False)

    def begin(self, take: Take) -> None:
        """Its first frame is being drawn."""
        self._ledger.move(take.job, "running")
        take.started = True

    def tell(self, take: Take) -> bool:
        """Tell how many frames were consumed; returns whether those were all."""
        if take.acknowledged == len(take):
            self._ledger.move(take.job, "finished", stage="render", total=len(take))
            self._poses.drop(take.job)
            return True
        if take.acknowledged != take.told:
            take.told = take.acknowledged
            self._ledger.progress(take.job, Step("render", take.acknowledged, len(take)))
        return False

    def cancel(self, job: str) -> None:
        """Its owner does not want it any more."""
        self._ledger.move(job, "cancelled", message="")
        self._poses.drop(job)

    def fail(self, job: str, error: WireError) -> None:
        """It cannot be drawn."""
        self._ledger.move(job, "failed", error_code=error.code, error=error.message, retryable=False)
        self._poses.drop(job)

    def interrupt(self, job: Job, why: str) -> None:
        """Nobody is there to take its frames; the oldest of too many such renders of one owner is given up."""
        self._ledger.move(job.id, "interrupted", message=why, retryable=True)
        waiting = [other for other in self._journal.jobs_in("interrupted") if _is_sibling(other, job)]
        for oldest in waiting[: -limits.INTERRUPTED_RENDERS]:
            self.fail(oldest.id, WireError("lost", "Newer renders took its place. Ask for its frames with a new job."))

    def interrupt_all(self, why: str) -> None:
        """The server ends, or has ended."""
        for state in UNFINISHED:
            for job in self._journal.jobs_in(state):
                if job.info.task == "render":
                    self.interrupt(job, why)

    def vanished(self, take: Take) -> None:
        """Its client did not come back in time."""
        job = self._journal.job(take.job)
        assert job is not None
        self.interrupt(job, "The client was away for too long. Resume to have the frames that are missing.")


def _is_sibling(other: Job, job: Job) -> bool:
    return other.info.task == "render" and other.owner == job.owner
