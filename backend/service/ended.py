"""Jobs that have ended: how many stay on the list, and what goes from the disk with those that do not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from backend.service.assets import Assets
from backend.service.background import Background, swept_at_next_start
from backend.service.journal import Job, Journal
from backend.service.kept import Kept
from backend.service.orders import fit_of, photo_of
from backend.service.states import is_final
from shared.wire import limits


class Ended:
    """The folder `jobs`, as far as nobody works in it any more. What the journal does not name is not kept."""

    def __init__(self, data: Path, journal: Journal, assets: Assets, kept: Kept, background: Background) -> None:
        self._folder, self._journal, self._assets = data / "jobs", journal, assets
        self._kept, self._background = kept, background

    def make_room(self, coming: Job) -> None:
        """For one more job: of too many of its kind that have ended the oldest go, whichever ended last.

        A fit stays that a job which has not ended starts from, and a build whose avatar did not reach its place.
        """
        jobs = [coming, *self._journal.jobs_of(coming.owner)]
        is_render = coming.info.task == "render"
        most = limits.ENDED_RENDERS if is_render else limits.ENDED_JOBS
        ended = [job for job in jobs if is_final(job.info.state) and (job.info.task == "render") == is_render]
        if len(ended) <= most:
            return
        needed = {fit_of(job) for job in jobs if not is_final(job.info.state)}
        self.forget([job for job in ended[most:] if job.id not in needed and not self._holds_avatar(job.id)], jobs)

    def forget(self, gone: Sequence[Job], jobs: Sequence[Job]) -> None:
        """Off the list, and off the disk with what nobody can ask for any more. `jobs` are all of the same owner.

        That are logs, checkpoints, fits, and photos that no other job of that owner uses.
        """
        ids = {job.id for job in gone}
        self._journal.forget(ids)
        photos = {photo_of(job) for job in gone if job.request}
        if photos:  # renders have none, and it takes a while to look at all jobs
            photos -= {photo_of(job) for job in jobs if job.id not in ids}
        for photo in photos:
            self._assets.drop(jobs[0].owner, photo)
        for job in gone:
            self._remove(job.id)

    def sweep(self) -> None:
        """After a crash in the middle of that."""
        for folder in self._folder.iterdir():
            if folder.is_dir() and self._journal.job(folder.name) is None and not self._holds_avatar(folder.name):
                shutil.rmtree(folder)

    def _remove(self, job: str) -> None:
        self._kept.forget(job)
        folder, aside = self._folder / job, self._folder / f".{job}.forgotten"
        if folder.exists():
            os.rename(folder, aside)
            self._background.run(lambda: shutil.rmtree(aside), lambda _: None, swept_at_next_start)

    def _holds_avatar(self, job: str) -> bool:
        """Whether a build was done and its avatar could not be brought to its place."""
        return (self._folder / job / "result" / "avatar.json").exists()
