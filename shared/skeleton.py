"""The SMPL-X skeleton: 55 joints, their parents, and the layout of a 165-number full pose (axis-angle, radians)."""

FINGER_NAMES = ("index", "middle", "pinky", "ring", "thumb")

JOINT_NAMES: tuple[str, ...] = (
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "jaw",
    "left_eye",
    "right_eye",
    *(f"left_{finger}{k}" for finger in FINGER_NAMES for k in (1, 2, 3)),
    *(f"right_{finger}{k}" for finger in FINGER_NAMES for k in (1, 2, 3)),
)

JOINT_INDEX: dict[str, int] = {name: index for index, name in enumerate(JOINT_NAMES)}

PARENTS: tuple[int, ...] = (
    *(-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15),
    *(parent for finger in range(5) for parent in (20, 25 + 3 * finger, 26 + 3 * finger)),
    *(parent for finger in range(5) for parent in (21, 40 + 3 * finger, 41 + 3 * finger)),
)

NUM_JOINTS = 55
NUM_BODY_JOINTS = 22
"""Pelvis to wrists: the joints that fit errors are measured on."""

ROOT = slice(0, 1)
BODY = slice(1, 22)
JAW = slice(22, 23)
LEFT_EYE = slice(23, 24)
RIGHT_EYE = slice(24, 25)
LEFT_HAND = slice(25, 40)
RIGHT_HAND = slice(40, 55)
"""Joint ranges of a full pose `[..., 55, 3]`, in SMPL-X order."""
