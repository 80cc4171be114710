"""What is fetched from the backend by itself: pictures of fits and avatars, lists that a finished job has changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.app.handlers import persistent

from . import compat, mirror, pictures, session
from ._shared.errors import VivantError
from .late import messages

if TYPE_CHECKING:
    from ._shared.wire.client import Client

OVERLAY, REGISTRATION, PREVIEW = "overlay.png", "registration.npz", "preview.png"
THUMBNAILS = 32  # of the newest avatars


@dataclass(frozen=True)
class Fit:
    """A finished register job, as far as the Photo panel shows it."""

    overlay: Path
    confidence: dict[str, float]  # by part of the body, 0 to 1
    notes: tuple[str, ...]


_fits: dict[str, Fit] = {}
_asked: set[str] = set()


def fit(job: str) -> Fit | None:
    """The fit of this register job, once it is here."""
    return _fits.get(job)


def folder(owner: str) -> Path:
    """Where files of an avatar or a register job are kept here."""
    return compat.user_folder("cache", owner)


def download(client: Client, owner: str, name: str) -> Path:
    """Fetch a file into `folder(owner)`; blocks, for threads. What lies there already is taken as it is.

    Raises:
        WireError: the backend does not have it, or the connection is lost.
    """
    from ._shared.wire import calls

    path = folder(owner) / name
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.write_bytes(calls.download(client, owner, name))
        partial.replace(path)
    return path


def catch_up() -> None:
    """Fetch what the panels of all scenes would show and have not got: once connected, and once a file is loaded."""
    for scene in bpy.data.scenes:
        if scene.vivant.photo:
            pictures.load(scene.vivant.photo, Path(bpy.path.abspath(scene.vivant.photo)))
        info = mirror.job(scene.vivant.register_job)
        if info is not None and info.state == "finished":
            _fetch_fit(info.job)
    for row in list(bpy.data.window_managers[0].vivant.avatars)[:THUMBNAILS]:
        _fetch_thumbnail(row.avatar)


def _job_changed(info: messages.JobInfo) -> None:
    if info.state != "finished":
        return
    if info.task == "register":
        _fetch_fit(info.job)
    elif info.task == "build":
        session.list_avatars(catch_up)
        session.call(messages.StatusGet(), on_reply=mirror.take_status)


def _fetch_fit(job: str) -> None:
    def show(found: Fit) -> None:
        _fits[job] = found
        pictures.load(job, found.overlay)
        mirror.redraw()

    def fail(error: VivantError) -> None:
        _asked.discard(job)  # another try follows when the connection is back
        mirror.notice(error)

    if job not in _asked:
        _asked.add(job)
        session.run(lambda client: _read_fit(client, job), show, fail)


def _read_fit(client: Client, job: str) -> Fit:
    import numpy as np

    overlay = download(client, job, OVERLAY)
    with np.load(download(client, job, REGISTRATION), allow_pickle=False) as file:
        confidence = dict(zip(file["confidence_names"].tolist(), file["confidence"].tolist(), strict=True))
        return Fit(overlay, confidence, tuple(file["notes"].tolist()))


def _fetch_thumbnail(avatar: str) -> None:
    def show(path: Path) -> None:
        pictures.load(avatar, path)
        mirror.redraw()

    if avatar not in _asked:  # a list without a picture is good enough: nobody is told if there is none
        _asked.add(avatar)
        session.run(lambda client: download(client, avatar, PREVIEW), show, lambda _: _asked.discard(avatar))


@persistent
def _file_loaded(*_: object) -> None:
    catch_up()


def register() -> None:
    """Follow jobs, connections and file loads."""
    session.on_job(_job_changed)
    session.on_ready(catch_up)
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    """Follow nothing any more."""
    bpy.app.handlers.load_post.remove(_file_loaded)
    session.off_ready(catch_up)
    session.off_job(_job_changed)
    _fits.clear()
    _asked.clear()
