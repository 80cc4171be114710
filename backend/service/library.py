"""Avatars on the disk: adopted from builds, imported, renamed, deleted; a crash at any moment leaves old or new."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

from backend.atomic import keep_names
from backend.service.crash_points import crash_point
from backend.service.disk import telling_disk_full
from backend.service.journal import Job, Journal, OwnedAvatar
from backend.service.states import MOVES, is_final
from backend.service.work import WorkDone
from shared.wire import limits
from shared.wire.errors import WireError
from shared.wire.messages import AvatarInfo

UNFINISHED = [state for state in MOVES if not is_final(state)]


class Library:
    """The folder `avatars`. The journal says whose an avatar is, and names it before its folder moves to its place."""

    def __init__(self, data: Path, journal: Journal) -> None:
        self._folder, self._jobs, self._journal = data / "avatars", data / "jobs", journal
        self.coming: dict[str, str] = {}  # avatars that are being imported -> whose they will be
        self._folder.mkdir(exist_ok=True)
        self._jobs.mkdir(exist_ok=True)

    def recover(self) -> None:
        """After a crash: finish what was on its way, sweep what was left over."""
        for avatar in self._journal.all_avatars(whole=False):
            self._recover(avatar)
        for avatar in self._journal.all_avatars(whole=True):
            if not self.folder(avatar.info.avatar).exists():
                self._journal.drop_avatar(avatar.info.avatar)  # its deletion had begun
        for leftover in (*self._folder.glob(".*"), *self._jobs.glob(".*")):
            if leftover.is_dir():  # not what a file manager left when somebody looked in
                shutil.rmtree(leftover)

    def _recover(self, avatar: OwnedAvatar) -> None:
        id_ = avatar.info.avatar
        result = self._jobs / id_ / "result"
        if not self.folder(id_).exists() and (result / "avatar.json").exists():
            os.rename(result, self.folder(id_))
        if self.folder(id_).exists():
            self._journal.put_avatar(avatar, whole=True)
        else:
            self._journal.drop_avatar(id_)

    def folder(self, avatar: str) -> Path:
        """Where an avatar lies, or will."""
        return self._folder / avatar

    def owned(self, owner: str, avatar: str) -> OwnedAvatar:
        """An avatar of this owner.

        Raises:
            WireError: unknown_avatar.
        """
        found = self._journal.avatar(avatar)
        if found is None or found.owner != owner:
            raise WireError("unknown_avatar", "You have no such avatar. List the avatars again.", "avatar")
        return found

    def list(self, owner: str) -> list[AvatarInfo]:
        """All of one owner, newest first."""
        return [avatar.info for avatar in self._journal.avatars_of(owner)]

    def check_room(self, owner: str) -> None:
        """For one more avatar of this owner, beside those that are being built or imported. Nothing makes room for it.

        Raises:
            WireError: busy, naming what may be deleted.
        """
        kept = self.list(owner)
        unfinished = (job for state in UNFINISHED for job in self._journal.jobs_in(state))
        building = sum((job.owner, job.info.task) == (owner, "build") for job in unfinished)
        importing = sum(of == owner for of in self.coming.values())
        if len(kept) + building + importing < limits.KEPT_AVATARS:
            return
        oldest = ", ".join(f"{info.name!r} ({info.avatar[:8]})" for info in kept[:-4:-1])
        raise WireError(
            "busy",
            f"You have {limits.KEPT_AVATARS} avatars, with those that are being made: as many as one key may keep. "
            f"Delete one that you no longer need, then try again. The oldest are {oldest}.",
            retryable=True,
        )

    def adopt(self, job: Job, done: WorkDone) -> None:
        """Bring a finished build's result to its place."""
        result = self._jobs / job.id / "result"
        source = result if result.exists() else self.folder(job.id)  # an earlier try may have come this far
        info = AvatarInfo(
            avatar=job.id,
            name=job.info.name or "Avatar",
            created=time.time(),
            gaussians=done.gaussians,
            photo_psnr_db=done.photo_psnr_db,
            body_sha256=done.body_sha256,
            size=folder_size(source),
        )
        self.place(OwnedAvatar(info, job.owner), source)

    def place(self, avatar: OwnedAvatar, source: Path) -> None:
        """Move the whole folder `source` of this data folder to the avatar's place."""
        self._journal.put_avatar(avatar, whole=False)
        crash_point("library:announced")
        if source != self.folder(avatar.info.avatar):
            with telling_disk_full(self._folder):
                os.rename(source, self.folder(avatar.info.avatar))
                keep_names(self._folder)
        crash_point("library:renamed")
        self._journal.put_avatar(avatar, whole=True)

    def rename(self, owner: str, avatar: str, name: str) -> AvatarInfo:
        """Give it another label."""
        found = self.owned(owner, avatar)
        renamed = replace(found, info=replace(found.info, name=name))
        self._journal.put_avatar(renamed, whole=True)
        return renamed.info

    def delete(self, owner: str, avatar: str) -> Path:
        """Take it out of the list; the folder returned is still to be removed from the disk."""
        self.owned(owner, avatar)
        aside = self._folder / f".{avatar}.deleted"
        with telling_disk_full(aside):
            os.rename(self.folder(avatar), aside)
        crash_point("library:aside")
        self._journal.drop_avatar(avatar)
        return aside


def folder_size(folder: Path) -> int:
    """Bytes of its files."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
