"""The single-photo fit: camera, pose, shape, hands and face of an SMPL-X-format body, in stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from backend.body.model import BodyModel
from backend.progress import Event, Progress, silent
from backend.stages import Observations, Registration

from .confidence import judge
from .ground import grounded
from .overlay import overlay
from .stages import fit_body_pose, fit_face, fit_hands, fit_limbs, fit_outline, prepare
from .surface import clothe

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
            progress(Event("registration", step + 1, len(STAGES) + 1, name))
    confidence, notes = judge(observations, fit.errors(x))
    found = replace(fit.registration(x), confidence=confidence, notes=notes)
    return grounded(found, model, upright=confidence["legs"] > 0.5)


def register(observations: Observations, model: BodyModel, *, progress: Progress = silent) -> Registration:
    """Explain the photo by a body and its clothed surface.

    Raises:
        VivantError: too little of the person is seen to place a body.
    """
    return dress(observations, fit_body(observations, model, progress=progress), model, progress=progress)


def dress(
    observations: Observations, body: Registration, model: BodyModel, *, progress: Progress = silent
) -> Registration:
    """Find the clothed surface of a body that stands already: fitted above, or corrected by hand."""
    clothed = clothe(observations, body, model)
    total = len(STAGES) + 1
    progress(Event("registration", total, total, "clothes", lambda: overlay(observations, clothed, model)))
    return clothed


@contextmanager
def _one_thread() -> Iterator[None]:
    """The fit's matrices are small: threads cost more to wake than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
