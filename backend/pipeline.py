"""The main job, told once: a photo is observed, explained by a body, and becomes Gaussians that move with it."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from backend.album import write_album
from backend.atomic import ensure_writable
from backend.avatar.files import save_avatar
from backend.body.model import BodyModel
from backend.checkpoint import load_observations, save_observations
from backend.photo.observe import observe
from backend.progress import Progress, silent
from backend.raster.warm_up import warm_up
from backend.registration.files import load_registration, save_registration
from backend.registration.fit import register
from backend.stages import Observations, Registration
from backend.training.settings import TrainingSettings
from backend.training.train import train
from shared.errors import VivantError

VERSION = 1
"""Of what a stage writes: checkpoints of another version are not continued."""


@dataclass(frozen=True)
class BuildSettings:
    """Everything that decides what is built from a photo."""

    training: TrainingSettings = field(default_factory=TrainingSettings)
    body: Path | None = None  # an SMPL-X-format npz; None: the packaged open body
    registration: Path | None = None  # a fit made or edited earlier; None: fit now
    person: int | None = None  # counted from the left, 1 is the first; None: the largest and most central
    matte: str = "auto"  # auto, photo, rembg or mediapipe
    resume: bool = False  # continue an interrupted build of the same inputs


def build(photo: Path, out: Path, settings: BuildSettings, *, progress: Progress = silent) -> Path:
    """Make the avatar folder `out` from the photo. An interrupted build leaves `<out>.<hash>.partial`.

    Raises:
        VivantError: the photo, the body, the registration or the folder cannot be used.
    """
    work = _workplace(photo, out, settings)
    clock = Clock()
    with clock.stage("kernels"):
        warm_up(progress)
    model = BodyModel.load(settings.body)
    with clock.stage("photo"):
        observations = _observed(photo, work, settings, progress)
    with clock.stage("registration"):
        registration = _registered(observations, model, work, settings, progress)
    with clock.stage("training"):
        trained = train(observations, registration, model, settings.training, progress=progress)
    avatar = replace(trained.avatar, info=_provenance(observations, model, settings, trained.photo_psnr, clock))
    with clock.stage("pictures"):
        write_album(work, observations, avatar, model, trained.losses, clock.seconds, progress)
    save_avatar(work, replace(avatar, info={**avatar.info, "seconds": dict(clock.seconds)}))
    (work / OBSERVATIONS).unlink()
    work.rename(out)
    return out


def register_photo(photo: Path, out: Path, settings: BuildSettings, *, progress: Progress = silent) -> Registration:
    """Fit the body alone and write it to `out` (npz), with an overlay picture (`.png`) beside it.

    Raises:
        VivantError: the photo or the body cannot be used, or the file cannot be written.
    """
    from backend.album import write_overlay

    ensure_writable(out.parent)
    warm_up(progress)
    model = BodyModel.load(settings.body)
    observations = observe(photo, person=settings.person, matte=settings.matte, progress=progress)
    registration = register(observations, model, progress=progress)
    save_registration(out, registration)
    write_overlay(out.with_suffix(".png"), observations, registration, model)
    return registration


OBSERVATIONS = "observations.npz"


def _observed(photo: Path, work: Path, settings: BuildSettings, progress: Progress) -> Observations:
    checkpoint = work / OBSERVATIONS
    if not checkpoint.exists():
        save_observations(checkpoint, observe(photo, person=settings.person, matte=settings.matte, progress=progress))
    return load_observations(checkpoint)


def _registered(
    observations: Observations, model: BodyModel, work: Path, settings: BuildSettings, progress: Progress
) -> Registration:
    if settings.registration is not None:
        return load_registration(settings.registration, model)
    checkpoint = work / "registration.npz"
    if not checkpoint.exists():
        save_registration(checkpoint, register(observations, model, progress=progress))
    return load_registration(checkpoint, model)


def _workplace(photo: Path, out: Path, settings: BuildSettings) -> Path:
    """The folder that work in progress lives in; what an earlier try left there stays only to be resumed."""
    if out.exists():
        raise VivantError(f"{out} exists already. Choose another --out, or remove it first.")
    ensure_writable(out.parent)
    work = out.with_name(f"{out.name}.{_fingerprint(photo, settings)}.partial")
    if work.exists() and not settings.resume:
        shutil.rmtree(work)
    return work


def _fingerprint(photo: Path, settings: BuildSettings) -> str:
    """Of the inputs that the checkpoints depend on: photo, person, matte and body."""
    digest = hashlib.sha256(json.dumps([VERSION, settings.person, settings.matte]).encode())
    for path in (photo, settings.body):
        if path is not None:
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                raise VivantError(f"Cannot read {path}: {error.strerror}. Give the path of a file.") from error
    return digest.hexdigest()[:12]


def _provenance(
    observations: Observations, model: BodyModel, settings: BuildSettings, photo_psnr: float, clock: Clock
) -> dict:
    """What `avatar.json` says of how the avatar came to be."""
    choices = {**asdict(settings.training), "labels": "none", "person": settings.person, "matte": settings.matte}
    return {
        "settings": choices,
        "providers": dict(observations.providers),
        "licences": {"body": model.licence, "mediapipe": "Apache-2.0"},
        "notes": list(observations.notes),
        "photo_psnr_db": round(photo_psnr, 2),
        "seconds": dict(clock.seconds),
    }


class Clock:
    """Wall-clock seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as the stage `name`."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)
