"""Put a MakeHuman body, which stands in an A-pose, into the T-pose that SMPL-X poses are relative to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from .rig import SIDES, Rig

UPPER_ARM, FOREARM = np.array([0.945, -0.27, -0.155]), np.array([0.995, 0.09, -0.01])
THIGH, SHIN = np.array([0.05, -0.998, -0.024]), np.array([-0.035, -0.996, -0.079])
"""Directions of the left limbs in the rest pose, so that equal axis-angles mean nearly equal poses."""
COLLAR_LIFT = np.deg2rad(10)
METACARPAL_RISE, FINGER_FALL = 0.05, 0.06  # fractions of the length
FOREARM_TWIST = {"lowerarm01": 0.33, "lowerarm02": 0.67}


@dataclass(frozen=True)
class Reposed:
    """A body in T-pose."""

    vertices: np.ndarray  # [19158, 3] metres
    joints: np.ndarray  # [55, 3] metres
    turned: dict[str, np.ndarray]  # bone -> [3, 3] world rotation given to it


def repose(rig: Rig, vertices: np.ndarray) -> Reposed:
    """Turn the bones of a body with `vertices` [19158, 3] (metres) and skin it with all 163 of them."""
    heads, tails = rig.heads @ vertices, rig.tails @ vertices
    turned = _limb_rotations(rig, heads, tails, "left") | _limb_rotations(rig, heads, tails, "right")
    own = {rig.index[bone]: rotation for bone, rotation in turned.items()}
    rotations, positions = np.empty((len(heads), 3, 3)), np.empty_like(heads)
    for bone, parent in enumerate(rig.parent):
        if parent < 0:
            rotations[bone], positions[bone] = np.eye(3), heads[bone]
            continue
        rotations[bone] = own.get(bone, rotations[parent])
        positions[bone] = positions[parent] + rotations[parent] @ (heads[bone] - heads[parent])
    shifts = positions - np.einsum("bij,bj->bi", rotations, heads)
    transforms = np.concatenate([rotations, shifts[:, :, None]], axis=2)  # [163, 3, 4]
    blended = (rig.weights @ transforms.reshape(-1, 12)).reshape(-1, 3, 4)
    return Reposed(_apply(blended, vertices), _apply(transforms[rig.carrier], rig.joints @ vertices), turned)


def _limb_rotations(rig: Rig, heads: np.ndarray, tails: np.ndarray, side: str) -> dict[str, np.ndarray]:
    """World rotations of the bones of one side that turn; the others keep their parent's."""
    ending = SIDES[side]
    mirror = np.array([1 if side == "left" else -1, 1, 1])

    def head(bone: str) -> np.ndarray:
        return heads[rig.index[bone + ending]]

    upper_arm = _align(head("lowerarm01") - head("upperarm01"), mirror * UPPER_ARM)
    forearm = _align(upper_arm @ (head("wrist") - head("lowerarm01")), mirror * FOREARM) @ upper_arm
    axis = mirror * FOREARM / np.linalg.norm(FOREARM)
    twist = _palm_down_twist(axis, forearm @ (head("finger2-1") - head("finger5-1")))
    wrist = Rotation.from_rotvec(axis * twist).as_matrix() @ forearm
    wrist = _level(wrist @ (head("finger3-1") - head("wrist")), METACARPAL_RISE) @ wrist
    turned = {
        "clavicle": Rotation.from_rotvec([0, 0, mirror[0] * COLLAR_LIFT]).as_matrix(),
        "upperarm01": upper_arm,
        **{b: Rotation.from_rotvec(axis * twist * part).as_matrix() @ forearm for b, part in FOREARM_TWIST.items()},
        "wrist": wrist,
        "upperleg01": _align(head("lowerleg01") - head("upperleg01"), mirror * THIGH),
        "lowerleg01": _align(head("foot") - head("lowerleg01"), mirror * SHIN),
        "foot": np.eye(3),
    }
    for finger in (2, 3, 4, 5):  # the thumb stays relaxed
        ends = {q: tails[rig.index[f"finger{finger}-{q}{ending}"]] for q in (1, 2, 3)}
        whole = wrist @ (ends[3] - head(f"finger{finger}-1"))
        straight = _with_height(whole, -FINGER_FALL)
        for q, end in ends.items():
            turned[f"finger{finger}-{q}"] = _align(wrist @ (end - head(f"finger{finger}-{q}")), straight) @ wrist
    return {bone + ending: rotation for bone, rotation in turned.items()}


def _palm_down_twist(axis: np.ndarray, across: np.ndarray) -> float:
    """The angle about the forearm's `axis` that turns the line `across` the knuckles, pinky to index, towards +z."""
    across = across - axis * (across @ axis)
    forward = np.array([0, 0, 1.0]) - axis * axis[2]
    return float(np.arctan2(np.cross(across, forward) @ axis, across @ forward))


def _level(direction: np.ndarray, rise: float) -> np.ndarray:
    return _align(direction, _with_height(direction, rise))


def _with_height(direction: np.ndarray, rise: float) -> np.ndarray:
    return np.array([direction[0], rise * np.linalg.norm(direction), direction[2]])


def _align(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The smallest rotation [3, 3] that turns one direction into another."""
    source, target = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(source, target)
    sine = np.linalg.norm(axis)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, source @ target)).as_matrix()


def _apply(transforms: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.einsum("nij,nj->ni", transforms[:, :, :3], points) + transforms[:, :, 3]
