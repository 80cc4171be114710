"""The capsule person: a mannequin with the 55 joints of SMPL-X, posed by forward kinematics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..rotations import matrices_from_axis_angles
from ..skeleton import FINGER_NAMES, JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, PARENTS

Place = tuple[float, ...]
"""x, y, z in metres."""
Color = tuple[float, ...]
"""Red, green, blue in sRGB."""

EXPRESSIONS = ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp")

SKIN, SHIRT, TROUSERS, SHOES = (0.87, 0.67, 0.55), (0.20, 0.50, 0.53), (0.19, 0.22, 0.33), (0.13, 0.12, 0.13)
HAIR, LIPS, INSIDE = (0.23, 0.15, 0.10), (0.70, 0.37, 0.34), (0.22, 0.07, 0.07)
WHITE, IRIS = (0.93, 0.93, 0.92), (0.16, 0.22, 0.28)

_MIDDLE = {  # metres: the open body's joints at rest (T-pose)
    "pelvis": (0.0, -0.352, 0.013),
    "spine1": (0.0, -0.277, 0.010),
    "spine2": (0.0, -0.250, 0.008),
    "spine3": (0.0, -0.175, 0.010),
    "neck": (0.0, 0.142, 0.020),
    "head": (0.0, 0.235, 0.066),
    "jaw": (0.0, 0.245, 0.078),
}
_LEFT = {
    "hip": (0.111, -0.412, 0.025),
    "knee": (0.131, -0.804, 0.014),
    "ankle": (0.115, -1.218, -0.019),
    "foot": (0.116, -1.263, 0.114),
    "collar": (0.026, 0.067, 0.050),
    "shoulder": (0.176, 0.070, 0.042),
    "elbow": (0.402, 0.008, 0.005),
    "wrist": (0.636, 0.028, 0.003),
    "eye": (0.032, 0.276, 0.143),
}
_FINGERS = {  # first knuckle from the wrist, length of a segment
    "index": ((0.088, 0.0, 0.028), 0.031),
    "middle": ((0.092, 0.002, 0.006), 0.034),
    "ring": ((0.086, 0.0, -0.015), 0.031),
    "pinky": ((0.076, -0.004, -0.034), 0.024),
    "thumb": ((0.022, -0.010, 0.036), 0.034),
}
_THUMB = np.array([0.76, -0.22, 0.61])


def _rest_joints() -> np.ndarray:
    places = {name: np.array(place) for name, place in _MIDDLE.items()}
    left = {name: np.array(place) for name, place in _LEFT.items()}
    for finger in FINGER_NAMES:
        base, length = _FINGERS[finger]
        along = _THUMB if finger == "thumb" else np.array([1.0, 0.0, 0.0])
        for k in range(3):
            left[f"{finger}{k + 1}"] = left["wrist"] + base + k * length * along
    for name, place in left.items():
        places[f"left_{name}"], places[f"right_{name}"] = place, place * (-1, 1, 1)
    return np.array([places[name] for name in JOINT_NAMES])


REST = _rest_joints()  # [55, 3] metres, SMPL-X axes


@dataclass(frozen=True)
class Capsule:
    """All points within `radius` of a segment, moved by one joint."""

    joint: int
    start: np.ndarray  # [3] metres, at rest
    end: np.ndarray  # [3]
    radius: float
    color: Color  # sRGB
    part: str = ""  # what an expression moves


def _capsules() -> tuple[Capsule, ...]:
    found = list(_torso_and_head())
    for side, sign in (("left", 1), ("right", -1)):
        found += _limbs(side)
        found += _hand(side)
        found += _face_side(side, np.array([sign, 1, 1]))
    return tuple(found)


def _between(joint: str, end: str, radius: float, color: Color) -> Capsule:
    return Capsule(JOINT_INDEX[joint], REST[JOINT_INDEX[joint]], REST[JOINT_INDEX[end]], radius, color)


def _at(joint: str, start: Place, end: Place, radius: float, color: Color, part: str = "") -> Capsule:
    return Capsule(JOINT_INDEX[joint], np.array(start), np.array(end), radius, color, part)


def _torso_and_head() -> list[Capsule]:
    return [
        _at("pelvis", (-0.070, -0.395, 0.015), (0.070, -0.395, 0.015), 0.112, TROUSERS),
        *_torso("spine1", -0.330, -0.250, 0.056, 0.106),
        *_torso("spine2", -0.250, -0.160, 0.060, 0.107),
        *_torso("spine3", -0.160, -0.010, 0.074, 0.108),
        _at("spine3", (-0.105, 0.035, 0.028), (0.105, 0.035, 0.028), 0.076, SHIRT),
        _at("neck", (0.0, 0.08, 0.025), (0.0, 0.19, 0.045), 0.056, SKIN),
        _at("head", (0.0, 0.265, 0.070), (0.0, 0.335, 0.062), 0.088, SKIN),
        _at("head", (0.0, 0.315, 0.040), (0.0, 0.352, 0.052), 0.094, HAIR),
        _at("head", (0.0, 0.243, 0.160), (0.0, 0.268, 0.158), 0.011, SKIN),  # nose
        _at("head", (-0.012, 0.206, 0.131), (0.012, 0.206, 0.131), 0.0125, INSIDE),
        _at("head", (-0.017, 0.215, 0.142), (0.017, 0.215, 0.142), 0.0070, LIPS, "upper lip"),
        _at("jaw", (0.0, 0.196, 0.085), (0.0, 0.192, 0.099), 0.041, SKIN, "jaw"),
        _at("jaw", (-0.015, 0.203, 0.140), (0.015, 0.203, 0.140), 0.0080, LIPS, "jaw"),
    ]


def _torso(joint: str, low: float, high: float, half_width: float, radius: float) -> list[Capsule]:
    return [_at(joint, (x, low, 0.015), (x, high, 0.020), radius, SHIRT) for x in (-half_width, half_width)]


def _limbs(side: str) -> list[Capsule]:
    ankle, foot = REST[JOINT_INDEX[f"{side}_ankle"]], REST[JOINT_INDEX[f"{side}_foot"]]
    return [
        _between(f"{side}_hip", f"{side}_knee", 0.078, TROUSERS),
        _between(f"{side}_knee", f"{side}_ankle", 0.055, TROUSERS),
        _at(f"{side}_ankle", tuple(ankle - (0, 0.035, 0.02)), tuple(foot), 0.042, SHOES),
        _at(f"{side}_foot", tuple(foot), tuple(foot + np.array([0, 0, 0.05])), 0.038, SHOES),
        _between(f"{side}_collar", f"{side}_shoulder", 0.053, SHIRT),
        _between(f"{side}_shoulder", f"{side}_elbow", 0.050, SHIRT),
        _between(f"{side}_elbow", f"{side}_wrist", 0.036, SKIN),
    ]


def _hand(side: str) -> list[Capsule]:
    wrist = JOINT_INDEX[f"{side}_wrist"]
    found = []
    for finger in FINGER_NAMES:
        joints = [JOINT_INDEX[f"{side}_{finger}{k}"] for k in (1, 2, 3)]
        tip = 2 * REST[joints[2]] - REST[joints[1]]
        radius = 0.0115 if finger == "thumb" else 0.0095
        found.append(Capsule(wrist, REST[wrist], REST[joints[0]], 0.0165, SKIN))
        for joint, end in zip(joints, (REST[joints[1]], REST[joints[2]], tip), strict=True):
            found.append(Capsule(joint, REST[joint], end, radius, SKIN))
    return found


def _face_side(side: str, mirror: np.ndarray) -> list[Capsule]:
    def ball(joint: str, place: Place, radius: float, color: Color, part: str = "") -> Capsule:
        return Capsule(JOINT_INDEX[joint], np.array(place) * mirror, np.array(place) * mirror, radius, color, part)

    brow = [np.array(place) * mirror for place in ((0.017, 0.303, 0.155), (0.047, 0.305, 0.141))]
    return [
        ball(f"{side}_eye", (0.032, 0.276, 0.139), 0.0145, WHITE),
        ball(f"{side}_eye", (0.032, 0.276, 0.1465), 0.0085, IRIS),
        ball("head", (0.032, 0.290, 0.1365), 0.0160, SKIN, f"{side} lid"),
        ball("head", (0.087, 0.262, 0.062), 0.022, SKIN),  # ear
        ball("head", (0.021, 0.210, 0.139), 0.0070, LIPS, f"{side} corner"),
        Capsule(JOINT_INDEX["head"], brow[0], brow[1], 0.0055, HAIR, "brow"),
    ]


_MOVES: dict[str, tuple[str, tuple[float, float, float]]] = {  # metres per unit of the expression
    "mouthSmileLeft": ("left corner", (0.010, 0.012, -0.006)),
    "mouthSmileRight": ("right corner", (-0.010, 0.012, -0.006)),
    "eyeBlinkLeft": ("left lid", (0.0, -0.008, 0.0035)),
    "eyeBlinkRight": ("right lid", (0.0, -0.008, 0.0035)),
    "browInnerUp": ("brow", (0.0, 0.010, 0.0)),
}
_JAW_OPENS = 0.3  # radians per unit of jawOpen, about +x

CAPSULES = _capsules()


def expression_delta(name: str, capsule: Capsule, points: np.ndarray) -> np.ndarray:
    """How far one unit of an expression moves points [N, 3] of a capsule at rest: [N, 3] metres."""
    if name == "jawOpen":
        if capsule.part != "jaw":
            return np.zeros_like(points)
        hinge = REST[JOINT_INDEX["jaw"]]
        turn = matrices_from_axis_angles(np.array([_JAW_OPENS, 0.0, 0.0]))
        return (points - hinge) @ turn.T + hinge - points
    part, shift = _MOVES[name]
    return np.broadcast_to(shift if capsule.part == part else (0.0, 0.0, 0.0), points.shape)


def posed(
    full_pose: np.ndarray,  # [165] axis-angle, radians
    transl: np.ndarray,  # [3] metres
    expression: dict[str, float],
) -> tuple[np.ndarray, np.ndarray]:  # start and end of each capsule, [C, 3] metres, world
    """Where the capsules are."""
    turns, places = joint_transforms(full_pose)
    joints = np.array([capsule.joint for capsule in CAPSULES])
    ends = np.array([[capsule.start, capsule.end] for capsule in CAPSULES])  # [C, 2, 3]
    for name, weight in expression.items():
        ends = ends + [weight * expression_delta(name, one, np.array([one.start, one.end])) for one in CAPSULES]
    moved = np.einsum("cij,cej->cei", turns[joints], ends - REST[joints][:, None]) + places[joints][:, None]
    return moved[:, 0] + transl, moved[:, 1] + transl


def joint_transforms(full_pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [55, 3, 3] and place [55, 3] of each joint, before `transl`."""
    local = matrices_from_axis_angles(full_pose.reshape(NUM_JOINTS, 3).astype(np.float64))
    turns, places = local.copy(), REST.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            turns[joint] = turns[parent] @ local[joint]
            places[joint] = places[parent] + turns[parent] @ (REST[joint] - REST[parent])
    return turns, places
