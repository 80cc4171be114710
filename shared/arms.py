"""Where a hand shall be -> how an arm bends: two-bone inverse kinematics with joint limits, for the left arm.

The right arm is the left one in a mirror (`mirrored`). Lengths and rest directions are those of the mean body; on
other bodies the angles carry over, so hands end up in proportion rather than in the same place.

Frame: the chest's (SMPL-X axes, rest pose: x to the left, y up, z forward), metres.
"""

from __future__ import annotations

import numpy as np

from .curves import minimum_jerk
from .rotations import axis_angles_from_matrices, matrices_from_axis_angles, quats_from_matrices

COLLAR = np.array([0.026, 0.067, 0.050])
SHOULDER = np.array([0.176, 0.070, 0.042])
ELBOW = np.array([0.402, 0.008, 0.005])
WRIST = np.array([0.636, 0.028, 0.003])
UPPER_LENGTH = float(np.linalg.norm(ELBOW - SHOULDER))
FORE_LENGTH = float(np.linalg.norm(WRIST - ELBOW))

MIN_BEND, MAX_BEND = 0.2, 2.35
"""Elbow flexion, radians: a relaxed arm is never quite straight, and the forearm stops at the upper arm."""
MAX_TWIST = 1.35
"""Forearm pronation and supination away from thumbs-forward, radians."""
MAX_SWING = 0.95
"""Wrist flexion and deviation, radians."""

_HINGE = np.array([0.0, -1.0, 0.0])
"""The elbow's axis in the T-pose: bending brings the forearm forward."""
_TORSO_CENTRE = np.array([0.0, 0.03])  # x, z
_TORSO_RADII = np.array([0.25, 0.215])  # x, z; chest and belly plus half a wrist and some cloth


def clear_of_torso(
    wrists: np.ndarray,  # [F, 3] metres, chest frame
) -> np.ndarray:  # [F, 3]
    """Push wrists out of the elliptic cylinder that stands for chest and belly, smoothly and level.

    Both arms together need this only on their way: a straight line from hip to heart runs through the ribs.
    """
    offset = (wrists[:, [0, 2]] - _TORSO_CENTRE) / _TORSO_RADII
    distance = np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-6)
    sharpness = 14.0
    pushed = 1.0 + np.logaddexp(0.0, sharpness * (distance - 1.0)) / sharpness
    torso = 1 - minimum_jerk((wrists[:, 1:2] - 0.02) / 0.12)  # above is only the neck: a hand may come near the chin
    offset = offset * (1 + torso * (pushed / distance - 1))
    result = wrists.copy()
    result[:, [0, 2]] = offset * _TORSO_RADII + _TORSO_CENTRE
    return result


def collar_turns(wrists: np.ndarray) -> np.ndarray:
    """How the shoulder girdle follows the wrist [F, 3] -> [F, 3] axis-angle: up when it is high, forward when far."""
    height = np.clip(wrists[:, 1] - SHOULDER[1] + 0.3, 0.0, 0.7)
    reach = np.clip(wrists[:, 2] - 0.2, 0.0, 0.4)
    return np.stack([np.zeros(len(wrists)), -0.35 * reach, 0.38 * height], axis=1)


def reach_of_bend(bend: np.ndarray) -> np.ndarray:
    """How far the wrist is from the shoulder, metres, with the elbow bent by so many radians."""
    return np.sqrt(UPPER_LENGTH**2 + FORE_LENGTH**2 + 2 * UPPER_LENGTH * FORE_LENGTH * np.cos(bend))


def bend_of_reach(reach: np.ndarray) -> np.ndarray:
    """How far the elbow bends, radians, for a wrist so many metres from the shoulder, within what an arm can do."""
    cosine = (reach**2 - UPPER_LENGTH**2 - FORE_LENGTH**2) / (2 * UPPER_LENGTH * FORE_LENGTH)
    return np.clip(np.arccos(np.clip(cosine, -1.0, 1.0)), MIN_BEND, MAX_BEND)


def solve_arm(
    wrists: np.ndarray,  # [F, 3] metres, chest frame
    elbow_hints: np.ndarray,  # [F, 3] direction in which the elbow points
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # [F, 3, 3] local rotations of shoulder and elbow, forearm in the chest
    """Bend shoulder and elbow so that the wrist reaches its place, or comes as near as the arm is long."""
    collar = matrices_from_axis_angles(collar_turns(wrists))
    shoulder = COLLAR + collar @ (SHOULDER - COLLAR)
    towards = wrists - shoulder
    distance = np.linalg.norm(towards, axis=1, keepdims=True)
    direction = towards / distance
    distance = reach_of_bend(bend_of_reach(distance))
    along = (distance**2 + UPPER_LENGTH**2 - FORE_LENGTH**2) / (2 * distance)
    aside = np.sqrt(np.maximum(UPPER_LENGTH**2 - along**2, 0.0))
    pole = elbow_hints - np.sum(elbow_hints * direction, axis=1, keepdims=True) * direction
    pole /= np.linalg.norm(pole, axis=1, keepdims=True)
    elbow = along * direction + aside * pole  # from the shoulder
    hinge = np.cross(pole, direction)
    upper = _carried(ELBOW - SHOULDER, _HINGE, elbow, hinge)
    fore = _carried(WRIST - ELBOW, _HINGE, distance * direction - elbow, hinge)
    return np.swapaxes(collar, -1, -2) @ upper, np.swapaxes(upper, -1, -2) @ fore, fore


def hand_on_forearm(
    fore: np.ndarray,  # [F, 3, 3] forearm in the chest frame
    fingers: np.ndarray,  # [F, 3] where the fingers point
    palm: np.ndarray,  # [F, 3] where the palm looks
) -> tuple[np.ndarray, np.ndarray]:  # [F] twist radians, [F, 3] swing axis-angle
    """Split the wanted hand into forearm twist and wrist swing, each held within what a person can do."""
    hand = _carried(np.array([1.0, 0.0, 0.0]), np.array([0.0, -1.0, 0.0]), fingers, palm)
    quats = quats_from_matrices(np.swapaxes(fore, -1, -2) @ hand)
    axis = (WRIST - ELBOW) / FORE_LENGTH
    twist = 2 * np.arctan2(quats[:, 1:] @ axis, quats[:, 0])
    twist = np.clip((twist + np.pi) % (2 * np.pi) - np.pi, -MAX_TWIST, MAX_TWIST)
    untwist = matrices_from_axis_angles(twist[:, None] * axis)
    swing = axis_angles_from_matrices(np.swapaxes(untwist, -1, -2) @ np.swapaxes(fore, -1, -2) @ hand)
    swing -= (swing @ axis)[:, None] * axis
    angle = np.linalg.norm(swing, axis=1, keepdims=True)
    return twist, swing * np.minimum(1.0, MAX_SWING / np.maximum(angle, 1e-9))


def arm_pose(
    wrists: np.ndarray,  # [F, 3] metres, chest frame
    elbow_hints: np.ndarray,  # [F, 3]
    twist: np.ndarray,  # [F] radians
    swing: np.ndarray,  # [F, 3] axis-angle
) -> np.ndarray:  # [F, 4, 3] axis-angle of collar, shoulder, elbow, wrist
    """The left arm's joints. Half the twist goes to the elbow joint: all of it at the wrist would wring the skin."""
    shoulder, elbow, _ = solve_arm(wrists, elbow_hints)
    axis = (WRIST - ELBOW) / FORE_LENGTH
    half = matrices_from_axis_angles(0.5 * twist[:, None] * axis)
    wrist = half @ matrices_from_axis_angles(swing)
    joints = [axis_angles_from_matrices(m) for m in (shoulder, elbow @ half, wrist)]
    return np.stack([collar_turns(wrists), *joints], axis=1)


def mirrored(axis_angles: np.ndarray) -> np.ndarray:
    """The same pose [..., 3] on the other side of the body's middle plane."""
    return axis_angles * np.array([1.0, -1.0, -1.0])


def _carried(first: np.ndarray, second: np.ndarray, to_first: np.ndarray, to_second: np.ndarray) -> np.ndarray:
    """Rotations [F, 3, 3] that carry `first` [3] to `to_first` [F, 3] and, as far as that allows, `second` likewise."""
    return _basis(to_first, to_second) @ np.swapaxes(_basis(first[None], second[None]), -1, -2)


def _basis(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    x = first / np.linalg.norm(first, axis=-1, keepdims=True)
    z = np.cross(x, second)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=-1)
