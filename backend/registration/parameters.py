"""The numbers that are fitted, as one flat vector, with what is known about each before looking at the photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.body.model import BodyModel
from shared.skeleton import BODY, FINGER_NAMES, JOINT_INDEX, NUM_JOINTS

from .anatomy import (
    EYE_RANGE,
    EYE_STD,
    FINGER_RANGE,
    FINGER_STD,
    LIMIT_TABLE,
    POSE_TABLE,
    ROOT_RANGE,
    ROOT_STD,
    TAIL,
    THUMB_RANGE,
    THUMB_STD,
    UNIT_STD,
    is_fitted,
)

MAX_BETAS = 30
"""Official models offer 300; past the first tens a photo says nothing about them."""

LOG_FOCAL_STD = 0.35
"""About the spread of focal lengths that people are photographed with."""


@dataclass(frozen=True)
class Layout:
    """Where each kind of number lies in the flat vector."""

    num_betas: int
    num_expressions: int

    POSE = slice(0, 3 * NUM_JOINTS)
    TRANSL = slice(165, 168)
    LOG_FOCAL = slice(168, 169)

    @property
    def betas(self) -> slice:
        """Shape coefficients."""
        return slice(169, 169 + self.num_betas)

    @property
    def expression(self) -> slice:
        """Expression coefficients."""
        return slice(169 + self.num_betas, self.size)

    @property
    def size(self) -> int:
        """Length of the vector."""
        return 169 + self.num_betas + self.num_expressions

    def joints(self, *names: str) -> list[int]:
        """Entries of the named joints' rotations."""
        return [3 * JOINT_INDEX[name] + axis for name in names for axis in range(3)]

    def hand(self, side: str) -> list[int]:
        """Entries of a hand's fingers."""
        return self.joints(*(f"{side}_{finger}{k}" for finger in FINGER_NAMES for k in (1, 2, 3)))

    def indices(self, part: slice) -> list[int]:
        """A slice as a list."""
        return list(range(*part.indices(self.size)))


@dataclass(frozen=True)
class Prior:
    """An independent distribution per number, cut off at `low` and `high`."""

    layout: Layout
    mean: Tensor  # [P]
    std: Tensor  # [P]
    low: Tensor  # [P]
    high: Tensor  # [P]

    def deviation(self, x: Tensor) -> Tensor:
        """What `x` [B, P] costs, as the roots of squares: sigmas, but for the body's joints, whose tails are heavy."""
        sigmas = (x - self.mean) / self.std
        body = slice(3 * BODY.start, 3 * BODY.stop)
        heavy = sigmas[:, body].sign() * (TAIL * torch.log1p(sigmas[:, body].square() / TAIL)).sqrt()
        return torch.cat([sigmas[:, : body.start], heavy, sigmas[:, body.stop :]], dim=1)


def build_prior(model: BodyModel, log_focal: float) -> Prior:
    """What is known of a person who stands relaxed in front of a camera of about that focal length (log pixels)."""
    layout = Layout(min(model.num_betas, MAX_BETAS), len(model.expression_names))
    prior = Prior(
        layout, *(torch.full((layout.size,), value, dtype=torch.float64) for value in (0.0, 1.0, -50.0, 50.0))
    )
    _fill_body(prior)
    _fill_hand(prior, "left", model.hand_mean_left)
    _fill_hand(prior, "right", model.hand_mean_right)
    _fill_face(prior, model.expression_names)
    prior.low[layout.betas], prior.high[layout.betas] = -4.0, 4.0
    prior.std[Layout.TRANSL] = 100.0
    prior.mean[Layout.LOG_FOCAL], prior.std[Layout.LOG_FOCAL] = log_focal, LOG_FOCAL_STD
    return prior


def _put(prior: Prior, name: str, mean: np.ndarray, std: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    where = prior.layout.joints(name)
    for target, values in ((prior.mean, mean), (prior.std, std), (prior.low, low), (prior.high, high)):
        target[where] = torch.as_tensor(values, dtype=torch.float64)


def _fill_body(prior: Prior) -> None:
    flip = np.array([1.0, -1.0, -1.0])  # mirroring a rotation at x = 0 keeps x and turns y and z round
    for name, (mean, std) in POSE_TABLE.items():
        low, high = np.array(LIMIT_TABLE[name][0]), np.array(LIMIT_TABLE[name][1])
        _put(prior, name, np.array(mean), np.array(std), low, high)
        if name.startswith("left"):
            mirrored = np.sort([low * flip, high * flip], axis=0)
            _put(prior, name.replace("left", "right"), np.array(mean) * flip, np.array(std), *mirrored)
    _put(prior, "pelvis", np.zeros(3), np.array(ROOT_STD), np.full(3, -ROOT_RANGE), np.full(3, ROOT_RANGE))


def _fill_hand(prior: Prior, side: str, relaxed: np.ndarray) -> None:
    curl = -1.0 if side == "left" else 1.0  # the sign of z that closes the hand
    for row, (finger, k) in enumerate((finger, k) for finger in FINGER_NAMES for k in (1, 2, 3)):
        mean = relaxed[row].astype(np.float64)
        if finger == "thumb":
            std, reach = np.array(THUMB_STD[k]), np.array(THUMB_RANGE[k])
            low, high = -reach, reach
        else:
            std, reach = np.array(FINGER_STD[k]), np.array(FINGER_RANGE[k])
            low, high = -reach, reach.copy()
            bent = np.sort([curl * reach[2], -curl * 0.3])
            low[2], high[2] = bent
        _put(prior, f"{side}_{finger}{k}", np.clip(mean, low, high), std, low, high)


def _fill_face(prior: Prior, names: tuple[str, ...]) -> None:
    """ARKit units lie in [0, 1] and open the jaw themselves; a PCA basis is free and leaves the jaw to its joint."""
    arkit = "jawOpen" in names
    zero, eye = np.zeros(3), np.array([EYE_RANGE, EYE_RANGE, 0.0])
    jaw = zero if arkit else np.array([0.5, 0.1, 0.1])
    _put(prior, "jaw", zero, np.array([0.15, 0.05, 0.05]), np.minimum(zero, -jaw * [0, 1, 1]), jaw)
    for name in ("left_eye", "right_eye"):
        _put(prior, name, zero, np.full(3, EYE_STD), -eye, eye)
    start = prior.layout.expression.start
    entries = slice(start, start + len(names))
    if not arkit:
        prior.low[entries], prior.high[entries] = -3.0, 3.0
        return
    prior.low[entries], prior.std[entries] = 0.0, UNIT_STD
    prior.high[entries] = torch.tensor([float(is_fitted(names, column)) for column in range(len(names))])
