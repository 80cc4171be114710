"""Which point of the body each MediaPipe landmark is: 33 of the body, 21 of each hand, 478 of the face."""

from __future__ import annotations

from dataclasses import dataclass

NUM_POSE, NUM_HAND, NUM_FACE = 33, 21, 478

LEFT_IRIS, RIGHT_IRIS = 473, 468
"""Face landmarks at the centre of each iris."""


@dataclass(frozen=True)
class Attachment:
    """A landmark that moves rigidly with one joint."""

    joint: str  # which it lies at
    frame: str  # the joint it moves with
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)  # metres from the joint, rest pose (T-pose, Y up, left = +X)


_LEFT_POSE: dict[int, Attachment] = {
    11: Attachment("left_shoulder", "left_collar"),
    13: Attachment("left_elbow", "left_shoulder"),
    15: Attachment("left_wrist", "left_elbow"),
    17: Attachment("left_pinky1", "left_wrist"),
    19: Attachment("left_index1", "left_wrist"),
    21: Attachment("left_thumb2", "left_wrist"),
    23: Attachment("left_hip", "pelvis"),
    25: Attachment("left_knee", "left_hip"),
    27: Attachment("left_ankle", "left_knee"),
}

POSE_ON_FACE: dict[int, int] = {
    0: 1,
    1: 362,
    2: LEFT_IRIS,
    3: 263,
    4: 133,
    5: RIGHT_IRIS,
    6: 33,
    9: 291,
    10: 61,
}
"""Pose landmark -> the face landmark it is."""

POSE_ON_VERTICES: dict[int, int] = {7: 6, 8: 616, 29: 8846, 30: 8635, 31: 5770, 32: 8463}
"""Ears, heels and big toes: the vertices that SMPL-X-format models keep at fixed indices."""

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
"""MediaPipe's order of fingers."""

HAND_TIPS = {"left": (5361, 4933, 5058, 5169, 5286), "right": (8079, 7669, 7794, 7905, 8022)}
"""Finger tips in MediaPipe's order: the vertices that SMPL-X-format models keep at fixed indices."""


def all_pose_attachments() -> dict[int, Attachment]:
    """Pose landmarks that move rigidly with a joint; MediaPipe's right is its left plus one."""
    return _LEFT_POSE | {row + 1: _mirrored(attachment) for row, attachment in _LEFT_POSE.items()}


def all_hand_attachments(side: str) -> dict[int, Attachment]:
    """Hand landmarks that are joints: the wrist and three per finger."""
    wrist = f"{side}_wrist"
    found = {0: Attachment(wrist, wrist)}
    for finger, name in enumerate(FINGERS):
        for k in (1, 2, 3):
            found[4 * finger + k] = Attachment(f"{side}_{name}{k}", f"{side}_{name}{k}")
    return found


def hand_tips(side: str) -> dict[int, int]:
    """Hand landmark -> vertex index, for the five tips."""
    return {4 * finger + 4: vertex for finger, vertex in enumerate(HAND_TIPS[side])}


def _mirrored(attachment: Attachment) -> Attachment:
    """The right-hand twin of a left attachment."""
    x, y, z = attachment.offset
    return Attachment(_right(attachment.joint), _right(attachment.frame), (-x, y, z))


def _right(name: str) -> str:
    return name.replace("left", "right")
