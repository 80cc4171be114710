"""The single-photo fit: camera, pose, shape, hands and face of an SMPL-X-format body, in stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from backend.body.model import BodyModel
from backend.progress import Event, Progress, silent
from backend.stages import Observations, Registration
from shared.camera import Camera

from .confidence import judge
from .ground import grounded
from .parameters import Layout
from .stages import Fit, fit_body_pose, fit_face, fit_hands, fit_limbs, fit_outline, prepare
from .surface import clothe

LEVEL = np.diag([1.0, -1.0, -1.0, 1.0])
"""World to camera of the fitting frame: at the origin, looking along -Z."""

STAGES = (
    ("body", fit_body_pose),
    ("limbs", fit_limbs),
    ("hands", fit_hands),
    ("face", fit_face),
    ("outline", fit_outline),
)


def fit_body(observations: Observations, model: BodyModel, *, progress: Progress = silent) -> Registration:
    """Explain the photo by an unclothed body: `offsets` are 0, `hair` is None.

    In the world of the result Y is up, the person is over x = z = 0 with the lowest point at y = 0.

    Raises:
        VivantError: too little of the person is seen to place a body.
    """
    with _one_thread():
        fit = prepare(observations, model)
        x = fit.prior.mean
        for step, (name, stage) in enumerate(STAGES):
            x = stage(fit, x)
            progress(Event("registration", step + 1, len(STAGES), name))
    confidence, notes = judge(observations, fit.errors(x))
    return grounded(_registration(fit, x, model, confidence, notes), model, upright=confidence["legs"] > 0.5)


def register(observations: Observations, model: BodyModel, *, progress: Progress = silent) -> Registration:
    """Explain the photo by a body and its clothed surface.

    Raises:
        VivantError: too little of the person is seen to place a body.
    """
    return clothe(observations, fit_body(observations, model, progress=progress), model)


def _registration(
    fit: Fit, x: Tensor, model: BodyModel, confidence: dict[str, float], notes: tuple[str, ...]
) -> Registration:
    layout, values = fit.prior.layout, x.numpy()
    focal = float(np.exp(values[Layout.LOG_FOCAL][0]))
    width, height = fit.view.width, fit.view.height
    K = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Registration(
        body_sha256=model.sha256,
        betas=values[layout.betas].copy(),
        expression=values[layout.expression].copy(),
        expression_names=model.expression_names,
        full_pose=values[Layout.POSE].copy(),
        transl=values[Layout.TRANSL].copy(),
        camera=Camera(width, height, K, LEVEL.copy()),
        offsets=np.zeros(model.template.shape),
        confidence=confidence,
        notes=notes,
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """The fit's matrices are small: threads cost more to wake than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
