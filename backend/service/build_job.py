"""One register or build job, from the uploaded photo to the files of its result. What is done already is kept.

Everything happens in the job's folder. Stages leave their checkpoints beside the result, which appears under its name
when all that the pipeline writes is there.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path

from backend.album import write_overlay, write_picture
from backend.atomic import ensure_writable, keep_names
from backend.avatar.files import load_avatar
from backend.body.model import BodyModel
from backend.pipeline import BuildSettings, Posture, build, observed, registered
from backend.progress import Event, Progress
from backend.raster.warm_up import warm_up
from backend.registration.files import save_registration
from backend.service.client_files import RIG, add_client_files
from backend.service.failures import out_of_memory
from backend.service.machine import release
from backend.service.rig_export import rig_of
from backend.service.work import WorkDone, WorkJob
from backend.training.settings import TrainingSettings
from shared.rig import save_rig
from shared.wire.codec import Buffers

RESULT, CHECKPOINTS = "result", "checkpoints"


def run(work: WorkJob, buffers: Buffers, progress: Progress) -> WorkDone:
    """Do the job; tried once more, with less, where memory does not suffice.

    Raises:
        VivantError: the photo, the fit or the folder cannot be used, or the training diverged.
        Cancelled: by `progress`.
    """
    settings = settings_of(work, buffers)
    try:
        return _run(work, settings, progress)
    except Exception as error:
        if not out_of_memory(error):
            raise
    less = replace(settings, training=smaller(settings.training))
    release()
    progress(Event("memory", 1, 1, f"Out of memory: trying again with a texture of {less.training.texture} texels."))
    return _run(work, less, progress)


def settings_of(work: WorkJob, buffers: Buffers) -> BuildSettings:
    """The pipeline's settings for what the client asked."""
    posture = None
    if buffers:
        full_pose, transl, expression = (buffers[name][0] for name in ("full_pose", "transl", "expression"))
        posture = Posture(full_pose, transl, expression, work.expression_names)
    return BuildSettings(
        training=TrainingSettings(**asdict(work.options)),
        registration=Path(work.registration) if work.registration else None,
        posture=posture,
        person=work.person or None,
        matte=work.matte,
        resume=True,
    )


def smaller(training: TrainingSettings) -> TrainingSettings:
    """About a quarter of the Gaussians and of the pixels."""
    return replace(training, texture=training.texture // 2, size=training.size // 2)


def _run(work: WorkJob, settings: BuildSettings, progress: Progress) -> WorkDone:
    result = Path(work.folder) / RESULT
    step = _register if work.task == "register" else _build
    return step(work, result, settings, progress)


def _register(work: WorkJob, result: Path, settings: BuildSettings, progress: Progress) -> WorkDone:
    model = BodyModel.load(settings.body)
    if not result.exists():
        ensure_writable(result.parent)
        warm_up(progress)
        checkpoints = result.with_name(CHECKPOINTS)
        observations = observed(Path(work.photo), checkpoints, settings, progress)
        registration = registered(observations, model, checkpoints, settings, progress)
        unfinished = result.with_name(f"{RESULT}.partial")
        save_registration(unfinished / "registration.npz", registration)
        write_overlay(unfinished / "overlay.png", observations, registration, model)
        write_picture(unfinished / "photo.png", observations.rgb)
        save_rig(unfinished / RIG, rig_of(registration, model))
        unfinished.rename(result)
        keep_names(result.parent)
    shutil.rmtree(result.with_name(CHECKPOINTS), ignore_errors=True)  # larger than the photo, and of no more use
    return WorkDone(work.job, body_sha256=model.sha256)


def _build(work: WorkJob, result: Path, settings: BuildSettings, progress: Progress) -> WorkDone:
    if not result.exists():
        build(Path(work.photo), result, settings, progress=progress)
    model = BodyModel.load(settings.body)
    avatar = load_avatar(result, model)
    progress(Event("rig", 0, 1, "rig and texture"))
    add_client_files(result, avatar, model)
    return WorkDone(work.job, len(avatar.face), avatar.info["photo_psnr_db"], model.sha256)
