"""Motion from another armature: its bones' turns in the world, taken over joint by joint.

Between SMPL-X armatures the turns are the same numbers, whatever the bones' own axes. For other skeletons (SMPL,
Mixamo, a map the user writes) rest poses differ: each limb is first turned from our rest direction into theirs, so
that afterwards both point the same way in the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import bpy
import numpy as np

from . import bone_names
from ._shared.errors import VivantError
from ._shared.motion import Motion
from ._shared.rotations import axis_angles_from_matrices, matrices_from_axis_angles
from ._shared.skeleton import JOINT_INDEX, JOINT_NAMES, LEFT_HAND, NUM_JOINTS, PARENTS
from .joints import Joints, joints_of, local_rotations, rest_joints, world_rotations
from .pose import PoseReader, evaluated, scene_fps

_LIMBS = {
    f"{side}_{joint}": f"{side}_{child}"
    for side in ("left", "right")
    for joint, child in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
}
"""Joints whose rest direction is known from the next joint, and differs between skeletons (A-pose, T-pose)."""


@dataclass(frozen=True)
class Source:
    """An armature that moves, and what its bones stand for."""

    armature: bpy.types.Object
    kind: str  # SMPL-X, SMPL, Mixamo, or the name of the user's map
    joints: Joints


def source_of(armature: bpy.types.Object, names: dict[str, str] | None = None) -> Source:
    """Recognise the skeleton of an armature, or take `names` (joint -> bone) for it.

    Raises:
        VivantError: it has no bone for the pelvis, or next to none at all.
    """
    bones = armature.data.bones.keys()
    kind, found = ("your map", bone_names.match(bones, names)) if names else bone_names.recognise(bones)
    if "pelvis" not in found or len(found) < 5:
        raise VivantError(
            f"The bones of {armature.name} are not recognised ({len(found)} of 55 joints found). Write a text in the "
            "Text Editor with one line per joint, such as: left_knee = shin.L, and choose it as the map."
        )
    return Source(armature, kind, rest_joints(armature, found))


def parse_map(text: str) -> dict[str, str]:
    """Read lines `joint = bone`; what follows a # is a remark.

    Raises:
        VivantError: a line is none, or names no joint.
    """
    names: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.split("#")[0].strip()
        joint, equals, bone = (part.strip() for part in content.partition("="))
        if content and (not equals or joint not in JOINT_INDEX or not bone):
            raise VivantError(
                f"Line {number} of the map, {content!r}, is not: joint = bone. Joints: pelvis, left_hip, ..."
            )
        if content:
            names[joint] = bone
    if "pelvis" not in names:
        raise VivantError("The map names no bone for pelvis. Add a line such as: pelvis = Hips.")
    return names


def bake(context: bpy.types.Context, source: Source, target: bpy.types.Object, frames: Sequence[float]) -> Motion:
    """Read the source's motion as that of the target's body, in the world, with steps as long as the target's legs.

    Raises:
        VivantError: the source is disabled in viewports, or the target has no 55 joints.
    """
    reader = PoseReader(source.armature, source.joints)
    with closing(evaluated(context, [source.armature], frames)) as steps:
        for depsgraph in steps:
            reader.read(depsgraph)
    motion = reader.motion(scene_fps(context.scene), may_scale=True)
    ours, scale = joints_of(target), np.linalg.det(np.array(source.armature.matrix_world)[:3, :3]) ** (1 / 3)
    full_pose = motion.full_pose if source.kind == "SMPL-X" else _from_our_rest(motion.full_pose, source.joints, ours)
    longer = _leg(ours) / (_leg(source.joints) * scale)
    pelvis = (source.joints.rest[0] + motion.transl) * (longer if np.isfinite(longer) else 1.0)
    return replace(motion, full_pose=full_pose, transl=(pelvis - ours.rest[0]).astype(np.float32))


def _leg(joints: Joints) -> float:
    """Hip to ankle over the knee; NaN where one has no bone."""
    hip, knee, ankle = joints.rest[[JOINT_INDEX[f"left_{name}"] for name in ("hip", "knee", "ankle")]]
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))


def _from_our_rest(full_pose: np.ndarray, theirs: Joints, ours: Joints) -> np.ndarray:
    """Turns [F, 165] from their rest pose into turns from ours that leave limbs in the same direction."""
    local = matrices_from_axis_angles(full_pose.reshape(len(full_pose), NUM_JOINTS, 3).astype(np.float64))
    turned = world_rotations(local) @ _into_their_rest(theirs, ours)
    return axis_angles_from_matrices(local_rotations(turned)).reshape(full_pose.shape).astype(np.float32)


def _into_their_rest(theirs: Joints, ours: Joints) -> np.ndarray:
    """What turns each of our resting joints into their rest pose, [55, 3, 3] in the body's axes."""
    turns = np.tile(np.eye(3), (NUM_JOINTS, 1, 1))
    for joint, name in enumerate(JOINT_NAMES):
        if theirs.bones[joint] is None:
            turns[joint] = turns[PARENTS[joint]]  # rigid on its parent
        elif name in _LIMBS:
            child = JOINT_INDEX[_LIMBS[name]]
            ways = [body.rest[child] - body.rest[joint] for body in (ours, theirs)]
            turns[joint] = _shortest_turn(*ways) if np.isfinite(ways).all() else turns[joint]
        elif name.endswith("wrist") or joint >= LEFT_HAND.start:
            turns[joint] = turns[PARENTS[joint]]
    return turns


def _shortest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The rotation [3, 3] that takes direction `start` to `end` the shortest way."""
    axis = np.cross(start, end)
    sine, cosine = np.linalg.norm(axis), float(start @ end)
    return matrices_from_axis_angles(axis / max(sine, 1e-12) * np.arctan2(sine, cosine))
