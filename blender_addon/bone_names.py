"""Which bone of an armature is which SMPL-X joint, however the program that made it spells them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ._shared.skeleton import JOINT_NAMES

_SUFFIX = re.compile(r"\.\d{3}$")
_SMPLX_OTHER = {"left_eye_smplhf": "left_eye", "right_eye_smplhf": "right_eye"}

_SIDES = {"left": ("L", "Left"), "right": ("R", "Right")}

SMPL_NAMES = {"pelvis": "Pelvis", "spine1": "Spine1", "spine2": "Spine2", "spine3": "Spine3"} | {
    "neck": "Neck",
    "head": "Head",
    "jaw": "Jaw",
    **{
        f"{side}_{joint}": f"{letter}_{joint.capitalize()}"
        for side, (letter, _) in _SIDES.items()
        for joint in ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
    },
}
"""As in SMPL's FBX files, behind a prefix such as `m_avg_`."""

_MIXAMO_LIMBS = {
    "hip": "UpLeg",
    "knee": "Leg",
    "ankle": "Foot",
    "foot": "ToeBase",
    "collar": "Shoulder",
    "shoulder": "Arm",
    "elbow": "ForeArm",
    "wrist": "Hand",
}
MIXAMO_NAMES = {
    "pelvis": "Hips",
    "spine1": "Spine",
    "spine2": "Spine1",
    "spine3": "Spine2",
    "neck": "Neck",
    "head": "Head",
    **{f"{side}_{ours}": f"{word}{name}" for side, (_, word) in _SIDES.items() for ours, name in _MIXAMO_LIMBS.items()},
    **{
        f"{side}_{finger}{k}": f"{word}Hand{finger.capitalize()}{k}"
        for side, (_, word) in _SIDES.items()
        for finger in ("index", "middle", "ring", "thumb", "pinky")
        for k in (1, 2, 3)
    },
}
"""Joint -> bone, behind a prefix such as `mixamorig:`."""


def match(bones: Iterable[str], names: dict[str, str] | None = None) -> dict[str, str]:
    """Find each joint's bone: `{joint name: bone name}`, without the joints that no bone stands for.

    Letter case, `.001` at the end and a common prefix such as `f_avg_` or `mixamorig:` do not matter.

    Args:
        bones: the armature's bone names.
        names: joint -> bone, as far as known; None means SMPL-X's own names.
    """
    wanted = {bone.lower(): joint for joint, bone in (names or {name: name for name in JOINT_NAMES}).items()}
    if names is None:
        wanted |= _SMPLX_OTHER
    plain = {bone: _SUFFIX.sub("", bone).lower() for bone in bones}
    prefix = _prefix(plain.values(), wanted)
    found: dict[str, str] = {}
    for bone, name in plain.items():
        joint = wanted.get(name.removeprefix(prefix))
        if joint is not None:
            found.setdefault(joint, bone)
    return found


def _prefix(bones: Iterable[str], wanted: dict[str, str]) -> str:
    """What stands before every wanted name: taken from the bone of the pelvis."""
    pelvis = next(name for name, joint in wanted.items() if joint == "pelvis")
    return next((bone.removesuffix(pelvis) for bone in bones if bone.endswith(pelvis)), "")


def recognise(bones: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Name the convention that fits best, and what it matches: SMPL-X, SMPL or Mixamo."""
    bones = list(bones)
    kinds = {"SMPL-X": None, "SMPL": SMPL_NAMES, "Mixamo": MIXAMO_NAMES}
    matches = {kind: match(bones, names) for kind, names in kinds.items()}
    best = max(matches, key=lambda kind: len(matches[kind]))
    return best, matches[best]
