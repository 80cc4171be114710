"""What the photo says, in the form the fit consumes: where points should be seen, and which way limbs point."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.stages import Landmarks, Observations

from .correspondence import NUM_POSE
from .rig import Rig

POSE_SIGMA, HAND_SIGMA, FACE_SIGMA = 0.02, 0.006, 0.003
"""Metres by which a right landmark misses its point of the body."""
POSE_ROW_SIGMA = dict.fromkeys((*range(17, 25), *range(29, 33)), 0.035)
"""Knuckles, hips, heels and toes of the 33 pose landmarks are less sharp than the limb joints."""
WRONG_AFTER = 4.0
"""Sigmas past which a landmark counts as wrong."""
FACE_SHARE = 0.15
"""The 478 face points err together; this makes them count as about 70."""

LIMBS = ((11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28), (12, 11), (24, 23))
"""Pairs of pose landmarks whose direction in MediaPipe's world frame is used."""
LIMB_LEAN = np.array([-0.09, 0.17, -0.09, 0.17, 0.085, -0.16, 0.085, -0.16, 0.0, 0.0])
"""Depth that MediaPipe adds to the unit direction of each limb of a person who faces it: it bends elbows and knees."""
LIMB_SIGMA = np.array([0.24, 0.34, 0.24, 0.34, 0.17, 0.17, 0.17, 0.17, 0.13, 0.11])
"""What is left of its error in depth. Both measured by `calibrate.py`."""
FOREARMS = {"left": 1, "right": 3}
"""Their rows of `LIMBS`."""
HAND_ROWS = {"left": [15, 17, 19, 21], "right": [16, 18, 20, 22]}
"""Pose landmarks of each hand: wrist and knuckles."""
AT_THE_HEAD = 1.5
"""Radii of a face, from its middle, within which a hand lies at the head or in its hair."""


@dataclass(frozen=True)
class Evidence:
    """Rows for the points of one rig group after the other."""

    pixels: np.ndarray  # [M, 2]
    weight: np.ndarray  # [M], 0 where there is nothing to see
    sigma: np.ndarray  # [M] metres
    limb: np.ndarray  # [L, 2] rows of the pose group
    limb_direction: np.ndarray  # [L, 3] unit, world axes (x right, y up, z to the camera)
    limb_weight: np.ndarray  # [L] of a squared difference

    def with_limbs(self, direction: np.ndarray, weight: np.ndarray) -> Evidence:
        """The same with other limb directions [L, 3] and weights [L]."""
        return replace(self, limb_direction=direction, limb_weight=weight)


def gather(observations: Observations, rig: Rig, groups: tuple[str, ...]) -> Evidence:
    """Line up the observed landmarks with the points of `groups` (of pose, face, left_hand, right_hand)."""
    sets = {
        "pose": _pose(observations),
        "face": _rows(observations.face, FACE_SIGMA, FACE_SHARE, rig.face_rows),
        "left_hand": _rows(observations.left_hand, HAND_SIGMA, 1.0),
        "right_hand": _rows(observations.right_hand, HAND_SIGMA, 1.0),
    }
    pixels, weight, sigma = (np.concatenate(columns) for columns in zip(*(sets[name] for name in groups), strict=True))
    limb = np.array(LIMBS)
    confidence = observations.body.confidence[limb].min(axis=1)
    direction = _straightened(limb_directions(observations.body_world))
    if observations.face.found:
        direction = _behind_the_head(direction, observations, observations.face.points[rig.face_rows])
    return Evidence(pixels, weight, sigma, limb, direction, confidence / LIMB_SIGMA**2)


def _rows(
    landmarks: Landmarks, sigma: float, share: float, rows: np.ndarray | slice = slice(None)
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points = landmarks.points[rows].astype(np.float64)
    return points, share * landmarks.confidence[rows].astype(np.float64), np.full(len(points), sigma)


def _pose(observations: Observations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The 33; the face mesh and the hand landmarks, where found, say better what the same rows say."""
    points, weight, sigma = _rows(observations.body, POSE_SIGMA, 1.0)
    for row, value in POSE_ROW_SIGMA.items():
        sigma[row] = value
    if observations.face.found:
        weight[[*range(7), 9, 10]] = 0.0
    for side, (_, *knuckles) in HAND_ROWS.items():
        if getattr(observations, f"{side}_hand").found:
            weight[knuckles] = 0.0
    assert len(points) == NUM_POSE
    return points, weight, sigma


def limb_directions(body_world: np.ndarray) -> np.ndarray:
    """Unit vectors [L, 3] along `LIMBS` in world axes, from `body_world` [33, 3], whose y is down and z away."""
    world = body_world * [1.0, -1.0, -1.0]
    vectors = np.array([world[end] - world[start] for start, end in LIMBS])
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _straightened(direction: np.ndarray) -> np.ndarray:
    """Limb directions [L, 3] without `LIMB_LEAN`, which turns with the person: 0 in profile, reversed from behind."""
    facing = (direction[8] + direction[9])[0] / 2  # the left shoulder and hip are at +x of one who faces the camera
    upright = direction - LIMB_LEAN[:, None] * [0.0, 0.0, facing]
    return upright / np.linalg.norm(upright, axis=1, keepdims=True)


def _behind_the_head(direction: np.ndarray, observations: Observations, face: np.ndarray) -> np.ndarray:
    """Limb directions [L, 3] with forearms turned away from the camera whose hand is lost at the `face` [N, 2] pixels.

    Were the hand before it, or before the hair round it, it would have been found.
    """
    middle = face.mean(0)
    reach = AT_THE_HEAD * np.linalg.norm(face - middle, axis=1).max()
    direction = direction.copy()
    for side, row in FOREARMS.items():
        hand = observations.body.points[HAND_ROWS[side]].mean(0)
        if not getattr(observations, f"{side}_hand").found and np.linalg.norm(hand - middle) < reach:
            direction[row] = leaning(direction[row], -1.0)
    return direction


def leaning(direction: np.ndarray, depth: float) -> np.ndarray:
    """A limb's `direction` [3] as the picture shows it, but 45 degrees to (`depth` 1) or from (-1) the camera, [3]."""
    flat = direction[:2] / max(float(np.linalg.norm(direction[:2])), 1e-6)
    return np.array([*flat, depth]) / np.sqrt(2.0)
