"""What the hands of a talking person do: a small vocabulary of gestures and the way from one to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arms import (
    SHOULDER,
    arm_pose,
    bend_of_reach,
    clear_of_torso,
    hand_on_forearm,
    reach_of_bend,
    solve_arm,
)
from .curves import pulses, through_keys

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Reach:
    """One arm of a gesture, told for the left arm; the right one is its mirror image."""

    wrist: Vector  # metres, chest frame at rest: x outward, y up, z forward
    fingers: Vector  # where they point
    palm: Vector  # where it looks
    shape: str = "relaxed"
    elbow: Vector = (0.6, -1.0, -0.5)  # where it points
    beat: float = 1.0  # how strongly the hand marks the stressed syllables
    wave: float = 0.0  # how strongly it waves


HAND_SHAPES: dict[str, tuple[float, float, float, float, float, float]] = {
    # curl of thumb, index, middle, ring, pinky (radians per knuckle), spread (radians)
    "relaxed": (0.20, 0.28, 0.38, 0.44, 0.50, -0.12),
    "open": (0.00, 0.04, 0.05, 0.07, 0.08, 0.14),
    "flat": (0.10, 0.08, 0.09, 0.11, 0.14, -0.10),
    "cupped": (0.10, 0.32, 0.36, 0.38, 0.38, 0.08),
    "pinch": (0.45, 0.62, 0.50, 0.34, 0.26, 0.05),
    "point": (0.55, 0.03, 1.25, 1.30, 1.30, 0.00),
    "two": (0.60, 0.03, 0.03, 1.30, 1.30, 0.16),
    "three": (0.00, 0.03, 0.03, 1.25, 1.30, 0.14),
    "loose_fist": (0.45, 0.95, 1.05, 1.10, 1.10, 0.00),
}

_HANG = Reach((0.26, -0.38, 0.08), (0.05, -1.0, 0.12), (-1.0, 0.0, -0.15), elbow=(0.35, 0.0, -1.0), beat=0.0)
_PRESENT = Reach((0.24, -0.17, 0.32), (0.05, 0.25, 1.0), (-0.45, 0.9, -0.1), "cupped")
_OFFER = Reach((0.33, -0.18, 0.30), (0.5, 0.1, 1.0), (-0.2, 1.0, 0.0), "open")
_WIDE = Reach((0.37, -0.17, 0.29), (0.6, 0.3, 0.8), (-0.2, 0.9, 0.3), "open", elbow=(0.25, -1.0, -0.6))
_FRAME = Reach((0.17, -0.11, 0.36), (-0.05, 0.3, 1.0), (-1.0, 0.05, 0.0), "flat", elbow=(1.0, -0.9, -0.4))
_STEEPLE = Reach(
    (0.128, -0.13, 0.315), (-0.58, 0.78, 0.45), (-0.85, -0.5, -0.1), "flat", elbow=(1.2, -0.8, -0.3), beat=0.3
)
_FOLDED = Reach(
    (0.13, -0.29, 0.27), (-1.0, -0.1, 0.25), (-0.1, 0.3, -1.0), "relaxed", elbow=(1.0, -0.8, -0.5), beat=0.2
)
_HEART = Reach(
    (0.165, -0.055, 0.265), (-1.0, 0.15, -0.05), (-0.05, 0.0, -1.0), "flat", elbow=(1.0, -0.9, 0.1), beat=0.15
)
_STOP = Reach((0.22, 0.06, 0.38), (0.05, 1.0, 0.1), (-0.1, 0.0, 1.0), "open", elbow=(0.7, -1.0, -0.3), beat=0.6)
_WAVE = Reach(
    (0.36, 0.21, 0.20), (0.1, 1.0, 0.1), (-0.1, 0.0, 1.0), "open", elbow=(0.9, -1.0, -0.2), beat=0.0, wave=1.0
)
_PINCH = Reach((0.20, 0.00, 0.34), (-0.25, 0.8, 0.65), (-0.75, -0.1, 0.6), "pinch", elbow=(0.9, -1.0, -0.3))
_POINT_UP = Reach((0.25, 0.09, 0.29), (0.0, 1.0, 0.15), (-0.35, 0.0, 1.0), "point", elbow=(0.6, -1.0, -0.3), beat=0.7)
_POINT_OUT = Reach((0.34, -0.05, 0.35), (0.6, 0.2, 0.8), (-0.6, -0.4, 0.5), "point", elbow=(0.6, -1.0, -0.5))
_THINK = Reach(
    (0.12, 0.075, 0.245), (-0.35, 0.85, 0.0), (-0.35, -0.2, -1.0), "loose_fist", elbow=(0.6, -1.0, 0.3), beat=0.0
)


def _counting(shape: str) -> Reach:
    return Reach((0.27, 0.10, 0.28), (0.05, 1.0, 0.1), (-0.25, 0.0, 1.0), shape, elbow=(0.6, -1.0, -0.3), beat=0.5)


_COUNT = tuple(_counting(shape) for shape in ("point", "two", "three"))

Phase = tuple[Reach, Reach]
"""What the leading and the other arm do at the same time."""

REST: Phase = (_HANG, _HANG)

GESTURES: dict[str, tuple[Phase, ...]] = {
    "present": ((_PRESENT, _PRESENT),),
    "offer": ((_OFFER, _HANG),),
    "wide": ((_WIDE, _WIDE),),
    "frame": ((_FRAME, _FRAME),),
    "steeple": ((_STEEPLE, _STEEPLE),),
    "heart": ((_HEART, _HANG),),
    "stop": ((_STOP, _FOLDED),),
    "wave": ((_WAVE, _HANG),),
    "pinch": ((_PINCH, _PRESENT),),
    "remark": ((_POINT_UP, _FOLDED),),
    "direct": ((_POINT_OUT, _PRESENT),),
    "think": ((_THINK, _FOLDED),),
    "count": ((_COUNT[0], _HANG), (_COUNT[1], _HANG), (_COUNT[2], _HANG)),
}
"""Each gesture's phases in order. Which hand leads is drawn by lot."""


def hand_pose(
    curls: np.ndarray,  # [F, 6] rows of HAND_SHAPES
) -> np.ndarray:  # [F, 15, 3] axis-angle, left hand: index, middle, pinky, ring, thumb, three knuckles each
    """Bend the left fingers. Their curl turns about -z, their spread about y; the thumb also comes under the palm."""
    thumb, index, middle, ring, pinky, spread = curls.T
    pose = np.zeros((len(curls), 15, 3))
    for first, curl, fan in ((0, index, -1.0), (3, middle, -0.2), (6, pinky, 1.2), (9, ring, 0.45)):
        pose[:, first, 1] = fan * spread
        pose[:, first : first + 3, 2] = -curl[:, None] * np.array([0.9, 1.1, 0.8])
    pose[:, 12, 0], pose[:, 12, 1] = 0.9 * thumb, 0.3 * thumb - 0.5 * spread
    pose[:, 13:15, 1] = thumb[:, None] * np.array([0.6, 0.9])
    return pose


def perform(
    times: np.ndarray,  # [F] seconds
    key_times: np.ndarray,  # [K] seconds, ascending
    reaches: list[Reach],  # [K]
    stresses: np.ndarray,  # [S] seconds, stressed syllables
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # [F, 4, 3] arm, [F, 15, 3] hand, [F, 3] wrist in the chest frame
    """Move the left arm from reach to reach, beating on the stressed syllables on the way."""
    way, bend, elbow, twist, swing, curls, beat, wave = (
        through_keys(times, key_times, channel) for channel in _channels(reaches)
    )
    wrist = SHOULDER + way * (reach_of_bend(bend) / np.linalg.norm(way, axis=1, keepdims=True))  # an arc
    accent = pulses(times, stresses, 0.07) - 0.7 * pulses(times, stresses - 0.17, 0.09)  # lift, then strike
    sway = wave * np.sin(2 * np.pi * 1.9 * times)[:, None]
    wrist = wrist - beat * accent[:, None] * np.array([0.005, 0.032, -0.012]) + sway * np.array([0.045, 0.0, 0.0])
    wrist = clear_of_torso(wrist)
    swing = swing - beat * accent[:, None] * np.array([0.0, 0.0, 0.16]) - sway * np.array([0.0, 0.22, 0.0])
    return arm_pose(wrist, elbow, twist[:, 0], swing), hand_pose(curls), wrist


def _channels(reaches: list[Reach]) -> tuple[np.ndarray, ...]:
    """What is interpolated, [K, D] each: wrist's direction, elbow's bend and hint, twist, swing, curls, beat, wave.

    Bend, not distance: near full stretch a small distance is a large angle, and elbows would snap.
    """
    wrist = clear_of_torso(np.array([r.wrist for r in reaches]))
    elbow = np.array([r.elbow for r in reaches])
    _, _, fore = solve_arm(wrist, elbow)
    fingers, palm = np.array([r.fingers for r in reaches]), np.array([r.palm for r in reaches])
    twist, swing = hand_on_forearm(fore, fingers, palm)
    curls = np.array([HAND_SHAPES[r.shape] for r in reaches])
    beat, wave = np.array([[r.beat] for r in reaches]), np.array([[r.wave] for r in reaches])
    way = wrist - SHOULDER
    return (
        way,
        bend_of_reach(np.linalg.norm(way, axis=1, keepdims=True)),
        elbow,
        twist[:, None],
        swing,
        curls,
        beat,
        wave,
    )
