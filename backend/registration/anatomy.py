"""What bodies usually do and cannot do: means, spreads and limits of joints and expression units."""

from __future__ import annotations

Triple = tuple[float, float, float]

POSE_TABLE: dict[str, tuple[Triple, Triple]] = {
    "left_hip": ((-0.03, 0.0, 0.05), (0.2, 0.15, 0.12)),
    "left_knee": ((0.06, 0.0, 0.0), (0.12, 0.05, 0.05)),
    "left_ankle": ((0.0, 0.0, 0.0), (0.15, 0.1, 0.08)),
    "left_foot": ((0.0, 0.0, 0.0), (0.08, 0.03, 0.03)),
    "spine1": ((0.02, 0.0, 0.0), (0.1, 0.06, 0.06)),
    "spine2": ((0.02, 0.0, 0.0), (0.08, 0.06, 0.05)),
    "spine3": ((0.0, 0.0, 0.0), (0.06, 0.06, 0.05)),
    "neck": ((0.05, 0.0, 0.0), (0.12, 0.15, 0.1)),
    "head": ((0.0, 0.0, 0.0), (0.12, 0.15, 0.1)),
    "left_collar": ((0.0, -0.03, -0.05), (0.05, 0.07, 0.07)),
    "left_shoulder": ((0.0, -0.2, -1.05), (0.25, 0.25, 0.35)),
    "left_elbow": ((-0.2, -0.2, 0.0), (0.25, 0.3, 0.06)),
    "left_wrist": ((-0.1, 0.0, 0.0), (0.25, 0.12, 0.2)),
}
"""Joint -> mean and spread, radians about x, y, z of the T-pose; the left stands for both sides.

Of someone who stands and lets the arms hang, for that is most people in photos; the tails are heavy (`TAIL`), so that
a raised arm or a bent knee costs little more the further it goes.
"""

TAIL = 2.0
"""Degrees of freedom of the body joints' prior, a Student-like one: cost 1/2 TAIL log(1 + u^2 / TAIL)."""

LIMIT_TABLE: dict[str, tuple[Triple, Triple]] = {
    "left_hip": ((-2.2, -0.9, -0.6), (0.7, 0.9, 1.2)),
    "left_knee": ((0.0, -0.15, -0.15), (2.6, 0.15, 0.15)),
    "left_ankle": ((-0.7, -0.5, -0.4), (0.8, 0.5, 0.4)),
    "left_foot": ((-0.4, -0.05, -0.05), (0.6, 0.05, 0.05)),
    "spine1": ((-0.4, -0.4, -0.4), (0.7, 0.4, 0.4)),
    "spine2": ((-0.3, -0.4, -0.3), (0.5, 0.4, 0.3)),
    "spine3": ((-0.3, -0.4, -0.3), (0.4, 0.4, 0.3)),
    "neck": ((-0.5, -0.7, -0.4), (0.7, 0.7, 0.4)),
    "head": ((-0.5, -0.7, -0.4), (0.6, 0.7, 0.4)),
    "left_collar": ((-0.2, -0.4, -0.3), (0.2, 0.4, 0.4)),
    "left_shoulder": ((-1.6, -1.8, -1.6), (1.6, 1.0, 1.4)),
    "left_elbow": ((-1.4, -2.6, -0.4), (1.0, 0.05, 0.4)),
    "left_wrist": ((-1.4, -0.6, -1.2), (1.2, 0.6, 1.2)),
}

"""Joint -> lowest and highest, radians; the left stands for both sides."""

FINGER_STD = {1: (0.08, 0.12, 0.35), 2: (0.04, 0.03, 0.35), 3: (0.04, 0.03, 0.25)}
FINGER_RANGE = {1: (0.25, 0.35, 1.7), 2: (0.1, 0.1, 1.8), 3: (0.1, 0.1, 1.3)}
"""Per phalanx: twist, spread, curl in radians; curl is counted from 0.3 of stretch backwards."""
THUMB_STD = {1: (0.3, 0.3, 0.3), 2: (0.1, 0.3, 0.2), 3: (0.08, 0.35, 0.15)}
THUMB_RANGE = {1: (0.8, 0.8, 0.8), 2: (0.3, 0.9, 0.6), 3: (0.3, 1.2, 0.6)}

"""The same for the thumb, about its own means, both ways."""

UNIT_STD = 0.3
"""Of an expression unit in [0, 1], about 0."""
EYE_STD, EYE_RANGE = 0.2, 0.7
ROOT_STD, ROOT_RANGE = (0.35, 2.0, 0.35), 4.0

SYMMETRIC_SUMS = frozenset("smile frown pucker funnel stretch lipsApart browUp browDown blink".split())  # noqa: SIM905
UNSEEN_UNITS = frozenset({"mouthClose", "tongueOut"})
"""mouthClose undoes jawOpen, tongueOut has no landmark: a photo cannot tell them."""


def is_fitted(names: tuple[str, ...], column: int) -> bool:
    """Whether a photo may set the ARKit unit in `column`.

    Not the gaze (the eye joints have it), nor the open body's sums of left and right, which come first.
    """
    name = names[column]
    again = name in names[column + 1 :]
    return not (again or name in SYMMETRIC_SUMS or name in UNSEEN_UNITS or name.startswith("eyeLook"))
