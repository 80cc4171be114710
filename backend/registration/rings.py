"""Rings: the vertices of one limb at equal height along its bone, and which vertices may carry clothes or hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from shared.skeleton import JOINT_INDEX, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

RING_HEIGHT = 0.015
"""Metres along the bone that share one ring."""

TRUNK = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "neck")
LIMBS = {"shoulder": "elbow", "elbow": "wrist", "hip": "knee", "knee": "ankle"}
"""A limb's bone runs from the first joint to the second."""

MOVED_BY_EXPRESSION = 0.0008
"""Metres: head skin that any expression unit moves further than this is face, where neither cloth nor hair sits."""


@dataclass(frozen=True)
class Rings:
    """Ring membership. Ring ids are dense; neighbouring heights of one limb are consecutive in `chains`."""

    ring: np.ndarray  # [V] ring id, -1 where nothing is worn
    count: int
    chains: np.ndarray  # [C, 2] pairs of rings that follow each other along a bone


def body_rings(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, wearable: np.ndarray) -> Rings:
    """Group `wearable` [V] vertices (rest pose [V, 3], metres) by dominant limb and height along its bone.

    `joints` [55, 3] are the rest joints, `weights` [V, 55] the skinning weights.
    """
    dominant = weights.argmax(1)
    ring = np.full(len(vertices), -1)
    chains, count = [], 0
    for members, origin, axis in _segments(joints, dominant):
        members = members & wearable
        if not members.any():
            continue
        height = (vertices[members] - origin) @ axis
        levels = np.floor((height - height.min()) / RING_HEIGHT).astype(int)
        present, dense = np.unique(levels, return_inverse=True)
        ring[members] = count + dense
        chains.append(np.stack([np.arange(len(present) - 1), np.arange(1, len(present))], axis=1) + count)
        count += len(present)
    return Rings(ring, count, np.concatenate(chains))


def _segments(joints: np.ndarray, dominant: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    up = np.array([0.0, 1.0, 0.0])
    trunk = np.isin(dominant, [JOINT_INDEX[name] for name in TRUNK])
    head = dominant == JOINT_INDEX["head"]
    segments = [(trunk, joints[0], up), (head, joints[JOINT_INDEX["head"]], up)]
    for side in ("left", "right"):
        for start, end in LIMBS.items():
            first, last = JOINT_INDEX[f"{side}_{start}"], JOINT_INDEX[f"{side}_{end}"]
            bone = joints[last] - joints[first]
            segments.append((dominant == first, joints[first], bone / np.linalg.norm(bone)))
        feet = np.isin(dominant, [JOINT_INDEX[f"{side}_ankle"], JOINT_INDEX[f"{side}_foot"]])
        segments.append((feet, joints[JOINT_INDEX[f"{side}_ankle"]], up))
    return segments


def wearable_vertices(weights: np.ndarray, expression_deltas: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Which vertices [V] may stand off the body: skin (`skin` [V]) outside hands and face.

    `expression_deltas` [E, V, 3] tell the face: what moves when the face moves.
    """
    dominant = weights.argmax(1)
    joints = np.arange(NUM_JOINTS)
    hands = [*joints[LEFT_HAND], *joints[RIGHT_HAND], JOINT_INDEX["left_wrist"], JOINT_INDEX["right_wrist"]]
    face = np.linalg.norm(expression_deltas, axis=2).max(0) > MOVED_BY_EXPRESSION
    jaw = dominant == JOINT_INDEX["jaw"]
    return skin & ~np.isin(dominant, hands) & ~face & ~jaw


def mirror_vertices(template: np.ndarray) -> np.ndarray:
    """For each vertex [V] the index of the one nearest to its mirror image across the body's middle plane."""
    middle = 0.5 * (template[:, 0].min() + template[:, 0].max())
    mirrored = template * [-1.0, 1.0, 1.0] + [2 * middle, 0.0, 0.0]
    return cKDTree(template).query(mirrored)[1]
