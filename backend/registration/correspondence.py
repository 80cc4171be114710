"""Which point of the body each MediaPipe landmark is: 33 of the body, 21 of each hand, 478 of the face."""

from __future__ import annotations

from dataclasses import dataclass

NUM_POSE, NUM_HAND, NUM_FACE = 33, 21, 478

LEFT_IRIS, RIGHT_IRIS = 473, 468
"""Face landmarks at the centre of each iris."""


Offset = tuple[float, float, float]


@dataclass(frozen=True)
class Attachment:
    """A landmark that moves rigidly with one joint."""

    joint: str  # which it lies at
    frame: str  # the joint it moves with
    offset: Offset  # metres from the joint, rest pose (T-pose, Y up, left = +X)


_LEFT_POSE: dict[int, Attachment] = {
    7: Attachment("head", "head", (0.0532, 0.0274, 0.0315)),
    11: Attachment("left_shoulder", "left_collar", (-0.0068, 0.0142, 0.0036)),
    13: Attachment("left_elbow", "left_shoulder", (0.0047, 0.0061, 0.0113)),
    15: Attachment("left_wrist", "left_elbow", (0.0124, 0.0002, 0.0049)),
    17: Attachment("left_pinky1", "left_wrist", (0.0025, -0.0024, 0.0300)),
    19: Attachment("left_index1", "left_wrist", (-0.0069, -0.0100, -0.0174)),
    21: Attachment("left_thumb2", "left_wrist", (0.0223, 0.0080, -0.0269)),
    23: Attachment("left_hip", "pelvis", (-0.0124, 0.0076, 0.0371)),
    25: Attachment("left_knee", "left_hip", (-0.0082, 0.0032, 0.0003)),
    27: Attachment("left_ankle", "left_knee", (0.0008, 0.0236, 0.0085)),
    29: Attachment("left_ankle", "left_ankle", (-0.0106, -0.0377, -0.0309)),
    31: Attachment("left_foot", "left_foot", (-0.0097, -0.0063, 0.0408)),
}
"""Measured by `calibrate.py`, like the next table: 2-11 mm of median error remain (heels 17)."""

_LEFT_HAND: dict[str, tuple[Offset, Offset, Offset]] = {
    "thumb": ((-0.0076, -0.0105, -0.0002), (0.0041, -0.0022, 0.0023), (-0.0003, 0.0013, -0.0037)),
    "index": ((-0.0089, -0.0052, -0.0059), (0.0015, -0.0044, -0.0009), (0.0009, -0.0025, 0.0006)),
    "middle": ((-0.0058, -0.0082, -0.0010), (-0.0003, -0.0030, 0.0015), (-0.0028, -0.0020, 0.0011)),
    "ring": ((-0.0044, -0.0083, 0.0012), (0.0011, -0.0045, 0.0038), (-0.0015, -0.0045, 0.0039)),
    "pinky": ((-0.0030, -0.0075, 0.0052), (0.0018, -0.0054, 0.0036), (0.0014, -0.0021, 0.0022)),
}
_LEFT_HAND_WRIST: Offset = (0.0116, 0.0005, -0.0022)

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

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
"""MediaPipe's order of fingers."""

HAND_TIPS = {"left": (5361, 4933, 5058, 5169, 5286), "right": (8079, 7669, 7794, 7905, 8022)}
"""Finger tips in MediaPipe's order: the vertices that SMPL-X-format models keep at fixed indices."""


def all_pose_attachments() -> dict[int, Attachment]:
    """Pose landmarks that move rigidly with a joint; MediaPipe's right is its left plus one."""
    return _LEFT_POSE | {row + 1: _mirrored(attachment) for row, attachment in _LEFT_POSE.items()}


def all_hand_attachments(side: str) -> dict[int, Attachment]:
    """Hand landmarks that are joints: the wrist and three per finger."""
    left = {0: Attachment("left_wrist", "left_wrist", _LEFT_HAND_WRIST)}
    for finger, name in enumerate(FINGERS):
        for k, offset in enumerate(_LEFT_HAND[name], start=1):
            left[4 * finger + k] = Attachment(f"left_{name}{k}", f"left_{name}{k}", offset)
    return left if side == "left" else {row: _mirrored(attachment) for row, attachment in left.items()}


def hand_tips(side: str) -> dict[int, int]:
    """Hand landmark -> vertex index, for the five tips."""
    return {4 * finger + 4: vertex for finger, vertex in enumerate(HAND_TIPS[side])}


def _mirrored(attachment: Attachment) -> Attachment:
    """The right-hand twin of a left attachment."""
    x, y, z = attachment.offset
    return Attachment(_right(attachment.joint), _right(attachment.frame), (-x, y, z))


def _right(name: str) -> str:
    return name.replace("left", "right")
