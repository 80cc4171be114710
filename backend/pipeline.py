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
from typing import Any

import numpy as np
import torch

from backend.album import write_album
from backend.atomic import ensure_writable, keep_names
from backend.avatar.files import save_avatar
from backend.body.model import OPEN_BODY_SHA256, BodyModel
from backend.checkpoint import load_observations, save_observations
from backend.memory import forget_peak, peak_mb
from backend.photo.observe import observe
from backend.progress import Event, Progress, silent
from backend.raster.splats import choose_device, provider_name
from backend.raster.warm_up import warm_up
from backend.registration.files import load_registration, save_registration
from backend.registration.fit import dress, register
from backend.stages import Observations, Registration
from backend.training.settings import TrainingSettings
from backend.training.train import train
from shared.errors import VivantError

VERSION = 3
"""Of what a stage writes: checkpoints of another version are not continued."""


@dataclass(frozen=True)
class Posture:
    """How the person stands in the photo, as somebody corrected it."""

    full_pose: np.ndarray  # [165] axis-angle, radians
    transl: np.ndarray  # [3] metres, world
    expression: np.ndarray  # [E'] columns are `expression_names`
    expression_names: tuple[str, ...]  # [E'] those that the body lacks are left out, and progress says so


@dataclass(frozen=True)
class BuildSettings:
    """Everything that decides what is built from a photo."""

    training: TrainingSettings = field(default_factory=TrainingSettings)
    body: Path | None = None  # an SMPL-X-format npz; None: the packaged open body
    registration: Path | None = None  # a fit made or edited earlier; None: fit now
    posture: Posture | None = None  # set by hand over the photo, kept in place of the fit's; clothes are found anew
    person: int | None = None  # counted from the left, 1 is the first; None: the largest and most central
    matte: str = "auto"  # auto, photo, rembg or mediapipe
    resume: bool = False  # continue an interrupted build of the same inputs


def build(photo: Path, out: Path, settings: BuildSettings, *, progress: Progress = silent) -> Path:
    """Make the avatar folder `out` from the photo. An interrupted build leaves `<out>.<hash>.partial`.

    Raises:
        VivantError: the photo, the body, the registration or the folder cannot be used.
    """
    work, photo_sha256 = _workplace(photo, out, settings), sha256(photo)
    device = choose_device(settings.training.device, progress)
    clock = Clock()
    forget_peak()
    with clock.stage("kernels"):
        warm_up(progress)
    model = BodyModel.load(settings.body)
    with clock.stage("photo"):
        observations = observed(photo, work, settings, progress)
    with clock.stage("registration"):
        registration = registered(observations, model, work, settings, progress)
    with clock.stage("training"):
        training = replace(settings.training, device=device.type)
        trained = train(observations, registration, model, training, progress=progress)
    told = {"photo_sha256": photo_sha256, "photo_psnr_db": round(trained.photo_psnr, 2)}
    avatar = replace(trained.avatar, info=told | _provenance(observations, model, settings, device))
    with clock.stage("pictures"):
        write_album(work, observations, avatar, model, trained.losses, clock.seconds, progress)
    spent = {"seconds": dict(clock.seconds), "peak_mb": peak_mb()}
    save_avatar(work, replace(avatar, info=avatar.info | spent))
    (work / OBSERVATIONS).unlink()
    work.rename(out)
    keep_names(out.parent)
    for note in (*observations.notes, *registration.notes):
        progress(Event("build", 1, 1, note))
    return out


def register_photo(photo: Path, out: Path, settings: BuildSettings, *, progress: Progress = silent) -> Registration:
    """Fit the body alone and write it to `out` (npz), with an overlay picture (`.png`) beside it.

    Raises:
        VivantError: the photo or the body cannot be used, or the files cannot be written where they should.
    """
    from backend.album import write_overlay

    overlay = out.with_suffix(".png")
    if out.suffix != ".npz" or overlay.resolve() == photo.resolve():
        raise VivantError(
            f"The fit is a .npz file, and {overlay.name} is drawn beside it. Choose another --out for both."
        )
    ensure_writable(out.parent)
    warm_up(progress)
    model = BodyModel.load(settings.body)
    observations = observe(photo, person=settings.person, matte=settings.matte, progress=progress)
    registration = register(observations, model, progress=progress)
    save_registration(out, registration)
    write_overlay(overlay, observations, registration, model)
    return replace(registration, notes=(*observations.notes, *registration.notes))


OBSERVATIONS = "observations.npz"


def observed(photo: Path, work: Path, settings: BuildSettings, progress: Progress) -> Observations:
    """What the photo shows, from the checkpoint in `work` if there is one."""
    checkpoint = work / OBSERVATIONS
    if not checkpoint.exists():
        save_observations(checkpoint, observe(photo, person=settings.person, matte=settings.matte, progress=progress))
    return load_observations(checkpoint)


def registered(
    observations: Observations, model: BodyModel, work: Path, settings: BuildSettings, progress: Progress
) -> Registration:
    """The fit: given, from the checkpoint in `work`, or made now.

    Raises:
        VivantError: too little of the person is seen, or the registration given belongs to another photo or body.
    """
    checkpoint = work / "registration.npz"
    if not checkpoint.exists():
        save_registration(checkpoint, _fitted(observations, model, settings, progress))
    return load_registration(checkpoint, model)


def _fitted(observations: Observations, model: BodyModel, settings: BuildSettings, progress: Progress) -> Registration:
    if settings.registration is None:
        found = register(observations, model, progress=progress)
    else:
        found = load_registration(settings.registration, model)
        _check_size(settings.registration, found, observations)
    if settings.posture is None:
        return found
    return dress(observations, _postured(found, settings.posture, model, progress), model, progress=progress)


def _check_size(path: Path, registration: Registration, observations: Observations) -> None:
    height, width = observations.rgb.shape[:2]
    if (registration.camera.width, registration.camera.height) != (width, height):
        raise VivantError(f"The registration {path} belongs to another photo. Register this photo, and give that fit.")


def _postured(found: Registration, posture: Posture, model: BodyModel, progress: Progress) -> Registration:
    expression, dropped = model.map_expression(posture.expression_names, posture.expression[None])
    if dropped:
        progress(Event("registration", 0, 1, f"This body has no expression {', '.join(dropped)}: left out."))
    return replace(found, full_pose=posture.full_pose, transl=posture.transl, expression=expression[0])


def _workplace(photo: Path, out: Path, settings: BuildSettings) -> Path:
    """The folder that work in progress lives in; what an earlier try left there stays only to be resumed."""
    if out.exists():
        raise VivantError(f"{out} exists already. Choose another --out, or remove it first.")
    ensure_writable(out.parent)
    work = out.with_name(f"{out.name}.{_fingerprint(photo, settings)}.partial")
    if work.exists() and not settings.resume:
        shutil.rmtree(work)
    return work


def sha256(path: Path) -> str:
    """A file's name for its content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fingerprint(photo: Path, settings: BuildSettings) -> str:
    """Of the inputs that the checkpoints depend on: photo, person, matte, body, and the fit or posture given."""
    digest = hashlib.sha256(json.dumps([VERSION, settings.person, settings.matte]).encode())
    if settings.posture is not None:
        for values in (settings.posture.full_pose, settings.posture.transl, settings.posture.expression):
            digest.update(values.tobytes())
    for path in (photo, settings.body, settings.registration):
        if path is not None:
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                raise VivantError(f"Cannot read {path}: {error.strerror}. Give the path of a file.") from error
    return digest.hexdigest()[:12]


def _provenance(
    observations: Observations, model: BodyModel, settings: BuildSettings, device: torch.device
) -> dict[str, Any]:
    """How the avatar came to be: what was asked for, who did what, and the licence of every model that touched it."""
    body = "open body" if model.sha256 == OPEN_BODY_SHA256 else "brought by the user"
    return {
        "settings": {
            **asdict(settings.training),
            "device": device.type,
            "labels": "none",
            "person": settings.person,
            "matte": settings.matte,
        },
        "providers": {
            **observations.providers,
            "body": f"{body}, {model.sha256[:12]}",
            "drawing": provider_name(device),
        },
        "licences": {**observations.licences, "body": model.licence},
        "notes": list(observations.notes),
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
