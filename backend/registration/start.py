"""Where the fit starts: a standing body turned and placed as MediaPipe's world landmarks suggest."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from backend.stages import Observations
from shared.errors import VivantError

from .parameters import Layout, Prior

FILM_DIAGONAL = 43.27
"""Millimetres of a 36 x 24 mm frame: focal lengths below are given for it, as photographers do."""
USUAL_FOCAL = 48.0
FOCAL_GUESSES = (28.0, 48.0, 80.0)
LEAST_POINTS = 4.0


def pixels(millimetres: float, observations: Observations) -> float:
    """A 35-mm-equivalent focal length in pixels of the working image."""
    height, width = observations.rgb.shape[:2]
    return millimetres / FILM_DIAGONAL * float(np.hypot(width, height))


def focal_guesses(observations: Observations) -> list[float]:
    """Focal lengths to start from, in pixels: the file's own, or several."""
    if observations.focal is not None:
        return [observations.focal]
    return [pixels(guess, observations) for guess in FOCAL_GUESSES]


def first_guess(observations: Observations, prior: Prior, focal: float) -> Tensor:
    """The prior's mean, turned and placed, [P].

    Raises:
        VivantError: too few body landmarks are in the picture.
    """
    weight = observations.body.confidence
    if weight.sum() < LEAST_POINTS:
        raise VivantError(
            "Too little of the person is in the picture to place a body. Use a photo that shows at least head and "
            "shoulders, facing the camera."
        )
    world = observations.body_world * [1.0, -1.0, -1.0]
    x = prior.mean.clone()
    x[:3] = torch.from_numpy(_facing(world, weight).as_rotvec())
    x[Layout.TRANSL] = torch.from_numpy(_place(observations, world, weight, focal))
    x[Layout.LOG_FOCAL] = float(np.log(focal))
    return x


def _facing(world: np.ndarray, weight: np.ndarray) -> Rotation:
    """The trunk's rotation from shoulders and hips; a trunk whose hips are not seen stands upright."""
    shoulders, hips = world[[11, 12]], world[[23, 24]]
    left = shoulders[0] - shoulders[1]
    up = np.array([0.0, 1.0, 0.0])
    if weight[[23, 24]].min() > 0.5:
        left = left + hips[0] - hips[1]
        up = shoulders.mean(0) - hips.mean(0)
    up = up / np.linalg.norm(up)
    left = left - up * (left @ up)
    left = left / max(float(np.linalg.norm(left)), 1e-6)
    return Rotation.from_matrix(np.stack([left, up, np.cross(left, up)], axis=1))


def _place(observations: Observations, world: np.ndarray, weight: np.ndarray, focal: float) -> np.ndarray:
    """Translation [3] that brings the world landmarks over the seen ones, by their spread."""
    height, width = observations.rgb.shape[:2]
    seen, share = observations.body.points, weight / weight.sum()
    centre_seen, centre_world = share @ seen, share @ world
    spread_seen = np.sqrt(share @ ((seen - centre_seen) ** 2).sum(1))
    spread_world = np.sqrt(share @ ((world[:, :2] - centre_world[:2]) ** 2).sum(1))
    depth = focal * spread_world / max(float(spread_seen), 1.0)
    x, y = (centre_seen - [width / 2, height / 2]) * depth / focal
    hips_to_origin = 0.35  # SMPL-X-format bodies have their pelvis this far below their own origin, metres
    return np.array([x, -y + hips_to_origin, -depth]) - centre_world
