"""What the methods start from: the truth's own parameters for the photo, or a fit of ours to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.body.model import BodyModel
from backend.evaluation.actor import carry_over
from backend.evaluation.truth import TruthFrame, TruthSubject, check_body
from backend.photo.observe import observe
from backend.progress import Progress, silent
from backend.registration.fit import register
from backend.registration.surface import clothe
from backend.stages import Landmarks, Observations, Registration


@dataclass(frozen=True)
class Source:
    """The photo, the body it is explained by, and the frames to reproduce with that body."""

    observations: Observations
    registration: Registration
    frames: list[TruthFrame]  # poses and cameras of the registration's world
    depth_scale: float  # depths in the registration's world over true ones


def true_source(subject: TruthSubject, model: BodyModel) -> Source:
    """Take parameters and matte from the truth, and fit the clothed surface alone: this isolates the avatar.

    Raises:
        VivantError: `model` is not the body that the truth set was made with.
    """
    check_body(subject, model.sha256)
    observations = true_observations(subject)
    registration = clothe(observations, true_registration(subject, model), model)
    return Source(observations, registration, list(subject.frames), depth_scale=1.0)


def fitted_source(subject: TruthSubject, model: BodyModel, progress: Progress = silent) -> Source:
    """Start from the photo over its background, as a user would: landmarks, matte and body are ours.

    Raises:
        VivantError: `model` is not the truth set's body, or the photo cannot be used.
    """
    check_body(subject, model.sha256)
    observations = observe(subject.photo, progress=progress)
    registration = register(observations, model, progress=progress)
    frames, scale = carry_over(subject, registration, model)
    return Source(observations, registration, frames, scale)


def true_observations(subject: TruthSubject) -> Observations:
    """The photo with its true matte and colours; no landmarks, since nothing is fitted to them."""
    rgba = subject.source.rgba()
    alpha = rgba[..., 3].astype(np.float32) / 255.0
    rows, columns = np.flatnonzero((alpha > 0.5).any(1)), np.flatnonzero((alpha > 0.5).any(0))
    return Observations(
        rgb=np.round(rgba[..., :3] * alpha[..., None]).astype(np.uint8),
        foreground=rgba[..., :3],
        alpha=alpha,
        box=(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1),
        focal=float(subject.source.camera.K[0, 0]),
        body=_unseen(33),
        body_world=np.zeros((33, 3)),
        face=_unseen(478),
        left_hand=_unseen(21),
        right_hand=_unseen(21),
        providers={"matte": "truth", "landmarks": "none (true parameters)"},
    )


def true_registration(subject: TruthSubject, model: BodyModel) -> Registration:
    """The photo's true parameters, unclothed."""
    source = subject.source
    return Registration(
        body_sha256=model.sha256,
        betas=subject.betas,
        expression=source.expression,
        expression_names=model.expression_names,
        full_pose=source.full_pose,
        transl=source.transl,
        camera=source.camera,
        offsets=np.zeros((len(model.template), 3), dtype=np.float32),
        confidence={},
    )


def _unseen(count: int) -> Landmarks:
    return Landmarks(np.zeros((count, 2)), np.zeros(count))
