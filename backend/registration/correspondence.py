"""Which point of the body each MediaPipe landmark is: 33 of the body, 21 of each hand, 478 of the face."""

from __future__ import annotations

from dataclasses import dataclass

NUM_POSE = 33

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
    7: Attachment("head", "head", (0.0531, 0.0273, 0.0331)),
    11: Attachment("left_shoulder", "left_collar", (-0.0065, 0.0133, 0.0047)),
    13: Attachment("left_elbow", "left_shoulder", (0.0064, 0.0076, 0.0108)),
    15: Attachment("left_wrist", "left_elbow", (0.0143, 0.0011, 0.0057)),
    17: Attachment("left_pinky1", "left_wrist", (0.0036, -0.0012, 0.0313)),
    19: Attachment("left_index1", "left_wrist", (-0.0058, -0.0096, -0.0180)),
    21: Attachment("left_thumb2", "left_wrist", (0.0239, 0.0080, -0.0283)),
    23: Attachment("left_hip", "pelvis", (-0.0119, 0.0064, 0.0369)),
    25: Attachment("left_knee", "left_hip", (-0.0090, 0.0020, 0.0015)),
    27: Attachment("left_ankle", "left_knee", (0.0002, 0.0229, 0.0043)),
    29: Attachment("left_ankle", "left_ankle", (-0.0119, -0.0374, -0.0368)),
    31: Attachment("left_foot", "left_foot", (-0.0096, -0.0066, 0.0419)),
}
"""Measured by `calibrate.py`, like the next table: 3-13 mm of median error remain."""

_LEFT_HAND: dict[str, tuple[Offset, Offset, Offset]] = {
    "thumb": ((-0.0062, -0.0114, -0.0005), (0.0047, -0.0029, 0.0018), (0.0001, 0.0005, -0.0047)),
    "index": ((-0.0082, -0.0054, -0.0059), (0.0022, -0.0046, -0.0017), (0.0012, -0.0034, -0.0004)),
    "middle": ((-0.0051, -0.0073, -0.0019), (0.0002, -0.0025, 0.0012), (-0.0029, -0.0014, 0.0005)),
    "ring": ((-0.0036, -0.0077, 0.0024), (0.0014, -0.0040, 0.0036), (-0.0021, -0.0043, 0.0027)),
    "pinky": ((-0.0023, -0.0067, 0.0068), (0.0022, -0.0061, 0.0058), (0.0008, -0.0031, 0.0034)),
}
_LEFT_HAND_WRIST: Offset = (0.0127, 0.0017, -0.0020)

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
