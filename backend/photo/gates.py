"""When a detection is believed, and how much. Lengths are measured in the person's own units."""

from __future__ import annotations

import numpy as np

from .crops import Box

LEFT, RIGHT = 0, 1
ELBOWS, WRISTS, KNEES, ANKLES = (13, 14), (15, 16), (25, 26), (27, 28)

MAX_FACE_YAW_DEG = 60.0
MIN_FACE_PX = 24.0
MIN_HAND_PX = 16.0
MIN_PERSON_PX = 160.0
MAX_CUT_FACE = 0.15
COLLAPSED = 0.12  # of the torso: two joints of a pair this close together are one joint seen twice
SPREAD = 0.08  # of the part's size: looks that differ by this much halve the confidence


def inside(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Which `points` [N, 2] pixels lie in an image of `shape` [H, W, ...]: [N] bool."""
    return ((points >= 0) & (points <= (shape[1], shape[0]))).all(axis=1)


def upright(body: np.ndarray) -> bool:
    """Whether the head of `body` [33, 2] is above the shoulders, give or take 60 degrees."""
    neck = body[[11, 12]].mean(axis=0) - body[0]
    return bool(neck[1] > 0.5 * np.linalg.norm(neck))


def agreement(looks: np.ndarray, size: float) -> np.ndarray:
    """How well several looks [L, N, 2] pixels at a part of `size` pixels agree, [N] in (0, 1]."""
    spread = np.median(np.linalg.norm(looks - np.median(looks, axis=0), axis=2), axis=0)
    return 1 / (1 + (spread / (SPREAD * size)) ** 2)


def body_confidence(
    points: np.ndarray,  # [33, 2] pixels
    visibility: np.ndarray,  # [33] in [0, 1]
    torso: float,  # pixels
    shape: tuple[int, ...],
) -> np.ndarray:
    """Confidence [33]: the visibility, 0 outside the image, a quarter for the worse of two collapsed joints."""
    confidence = np.where(inside(points, shape), np.clip(visibility, 0, 1), 0.0)
    for pair in (ELBOWS, WRISTS, KNEES, ANKLES):
        if np.linalg.norm(points[pair[LEFT]] - points[pair[RIGHT]]) < COLLAPSED * torso:
            confidence[min(pair, key=lambda joint: float(visibility[joint]))] *= 0.25
    return confidence


def face_yaw_deg(points: np.ndarray) -> float:
    """Degrees by which a face [478, 3] (x, y, z in one unit) is turned from the camera; positive to image right."""
    # Cheek to cheek and eye corner to eye corner: the directions that a yaw turns and an expression does not.
    across = (points[454] - points[234]) / 2 + (points[263] - points[33])
    return float(np.degrees(np.arctan2(across[2], across[0])))


def face_fault(
    points: np.ndarray | None,  # [478, 3] pixels; None if no face was detected
    nose: np.ndarray,  # [2] pixels, of the pose
    head: float,  # pixels, the head's size by the pose
    shape: tuple[int, ...],
) -> str | None:
    """What forbids using this face, as the end of a sentence; None if nothing does."""
    if points is None:
        return "is hidden"
    box = Box.around(points[:, :2])
    if np.linalg.norm(box.centre - nose) > 0.5 * max(head, box.longer):
        return "is hidden"
    if box.longer < MIN_FACE_PX:
        return f"is only {box.longer:.0f} pixels large"
    yaw = face_yaw_deg(points)
    if abs(yaw) > MAX_FACE_YAW_DEG:
        return f"is turned away by about {abs(yaw):.0f} degrees"
    if (~inside(points[:, :2], shape)).mean() > MAX_CUT_FACE:
        return "is cut off by the edge of the photo"
    return None


def forearm_length(points: np.ndarray, side: int, torso: float) -> float:
    """Pixels from elbow to wrist; an arm that points at the camera counts with a third of the torso."""
    return max(float(np.linalg.norm(points[ELBOWS[side]] - points[WRISTS[side]])), 0.35 * torso)


def hand_fits(hand: np.ndarray, left: bool, body: np.ndarray, torso: float, shape: tuple[int, ...]) -> bool:
    """Whether a detected hand [21, 2] belongs to the wrist of that side of `body` [33, 2], all in pixels."""
    side = LEFT if left else RIGHT
    own, other = body[WRISTS[side]], body[WRISTS[1 - side]]
    distance = np.linalg.norm(hand[0] - own)
    return bool(
        distance < 0.25 * forearm_length(body, side, torso)
        and distance <= np.linalg.norm(hand[0] - other)
        and Box.around(hand).longer >= MIN_HAND_PX
        and inside(hand, shape).mean() > 0.6
    )


def merged_hands(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether two hands [21, 2] are one hand found twice."""
    return Box.around(left).overlap(Box.around(right)) > 0.5
