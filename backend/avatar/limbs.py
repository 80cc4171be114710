"""Which limb a point of the surface belongs to: colours never travel from one limb to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.skeleton import JOINT_INDEX, JOINT_NAMES, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

LIMBS: dict[str, tuple[str, ...]] = {
    "trunk": ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"),
    "neck": ("neck",),
    "head": ("head", "jaw", "left_eye", "right_eye"),
    **{f"{side}_upper_arm": (f"{side}_shoulder",) for side in ("left", "right")},
    **{f"{side}_forearm": (f"{side}_elbow",) for side in ("left", "right")},
    "left_hand": ("left_wrist", *JOINT_NAMES[LEFT_HAND]),
    "right_hand": ("right_wrist", *JOINT_NAMES[RIGHT_HAND]),
    **{f"{side}_thigh": (f"{side}_hip",) for side in ("left", "right")},
    **{f"{side}_shin": (f"{side}_knee",) for side in ("left", "right")},
    **{f"{side}_foot": (f"{side}_ankle", f"{side}_foot") for side in ("left", "right")},
}
"""Limb -> the joints whose skin it is."""

BONES: dict[str, tuple[str, str]] = {
    "trunk": ("pelvis", "neck"),
    "neck": ("neck", "head"),
    "head": ("neck", "head"),
    **{f"{side}_upper_arm": (f"{side}_shoulder", f"{side}_elbow") for side in ("left", "right")},
    **{f"{side}_forearm": (f"{side}_elbow", f"{side}_wrist") for side in ("left", "right")},
    **{f"{side}_hand": (f"{side}_wrist", f"{side}_middle1") for side in ("left", "right")},
    **{f"{side}_thigh": (f"{side}_hip", f"{side}_knee") for side in ("left", "right")},
    **{f"{side}_shin": (f"{side}_knee", f"{side}_ankle") for side in ("left", "right")},
    **{f"{side}_foot": (f"{side}_ankle", f"{side}_foot") for side in ("left", "right")},
}
"""Limb -> the joints at the ends of its axis; the first one carries it."""

LIMB_NAMES = tuple(LIMBS)
_LIMB_OF_JOINT = np.zeros(NUM_JOINTS, dtype=np.int8)
for _index, _name in enumerate(LIMB_NAMES):
    _LIMB_OF_JOINT[[JOINT_INDEX[joint] for joint in LIMBS[_name]]] = _index


def limb_of(weights: np.ndarray) -> np.ndarray:
    """Limb index (into `LIMB_NAMES`) of points [N] with skinning `weights` [N, 55]: the limb with the largest share."""
    share = np.zeros((len(weights), len(LIMB_NAMES)), dtype=weights.dtype)
    for limb in range(len(LIMB_NAMES)):
        share[:, limb] = weights[:, limb == _LIMB_OF_JOINT].sum(1)
    return share.argmax(1).astype(np.int8)


def twin(limb: int) -> int:
    """The limb on the other side; itself for those in the middle."""
    name = LIMB_NAMES[limb]
    swapped = name.replace("left", "@").replace("right", "left").replace("@", "right")
    return LIMB_NAMES.index(swapped)


@dataclass(frozen=True)
class Bone:
    """A limb's axis in the rest pose."""

    origin: np.ndarray  # [3] metres
    direction: np.ndarray  # [3] unit

    @classmethod
    def between(cls, first: np.ndarray, last: np.ndarray) -> Bone:
        """The axis from joint `first` [3] to joint `last` [3], metres."""
        return cls(first, (last - first) / np.linalg.norm(last - first))

    def height(self, points: np.ndarray) -> np.ndarray:
        """Metres along the bone of points [N, 3], [N]."""
        return (points - self.origin) @ self.direction

    def across(self, points: np.ndarray) -> np.ndarray:
        """Of points [N, 3] what is square to the bone, [N, 3] metres."""
        return points - self.origin - self.height(points)[:, None] * self.direction

    def square(self) -> tuple[np.ndarray, np.ndarray]:
        """Two unit directions square to the bone and to each other, [3] and [3]."""
        sideways = np.cross(self.direction, [0.0, 0.0, 1.0])
        sideways = sideways / np.linalg.norm(sideways)
        return sideways, np.cross(sideways, self.direction)


def mirrored(points: np.ndarray, middle: float) -> np.ndarray:
    """Points [N, 3] on the other side of the body, whose middle plane is x = `middle` metres."""
    return points * [-1.0, 1.0, 1.0] + [2 * middle, 0.0, 0.0]
