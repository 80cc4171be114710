"""What bones look like: light rings around the limbs, made here and sized by the body they move."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector

from . import compat
from ._shared.rig import Rig
from ._shared.skeleton import JOINT_INDEX, JOINT_NAMES, LEFT_HAND, PARENTS

_SEGMENTS = 24
_TIPS = {
    "head": (0.0, 0.2, 0.0),
    "jaw": (0.0, -0.02, 0.12),
    "left_eye": (0.0, 0.0, 0.06),
    "right_eye": (0.0, 0.0, 0.06),
}
"""Metres from a joint without a child (or with only the face's), along which its ring is threaded; SMPL-X axes."""
_RADII = {"jaw": 0.03, "left_eye": 0.016, "right_eye": 0.016}
"""Metres, where the skin around the joint says nothing about a handy size."""
_PLACES = {"head": 0.6, "jaw": 1.0, "left_eye": 1.0, "right_eye": 1.0, "pelvis": 0.0}
"""Where along the way to its end a ring sits; halfway for the others."""
_FINGER_TIP_M = 0.02
_CLEARANCE = 1.15
"""A ring's radius by the skin's, so that it can be seen and grasped."""
_COLOURS = {"left": "THEME04", "right": "THEME01"}
_MIDDLE = "THEME09"


def assign(armature: bpy.types.Object, rig: Rig) -> None:
    """Thread a ring over each bone, blue on the left, red on the right, as wide as the skin there."""
    ring = _ring()
    for joint, name in enumerate(JOINT_NAMES):
        bone = armature.pose.bones[name]
        end = _end(rig.joints, joint)
        bone.custom_shape = ring
        bone.use_custom_shape_bone_size = False
        bone.custom_shape_translation = (end * _PLACES.get(name, 0.5)).tolist()
        way = Vector(end.tolist())
        bone.custom_shape_rotation_euler = Vector((0.0, 1.0, 0.0)).rotation_difference(way).to_euler()
        bone.custom_shape_scale_xyz = (_RADII.get(name) or _radius(rig, joint, end),) * 3
        compat.bone_colour(bone, _COLOURS.get(name.split("_")[0], _MIDDLE))


def _ring() -> bpy.types.Object:
    """A circle of radius 1 about the y axis, shared by all avatars of the file."""
    name = "vivant_ring"
    if name in bpy.data.objects:
        return bpy.data.objects[name]
    angles = np.linspace(0, 2 * np.pi, _SEGMENTS, endpoint=False)
    mesh = bpy.data.meshes.new(name)
    corners = np.stack([np.cos(angles), np.zeros_like(angles), np.sin(angles)], axis=1)
    mesh.from_pydata(corners.tolist(), [(k, (k + 1) % _SEGMENTS) for k in range(_SEGMENTS)], [])
    return bpy.data.objects.new(name, mesh)


def _end(joints: np.ndarray, joint: int) -> np.ndarray:
    """The way [3] metres from a joint to its end, SMPL-X axes: to its first child, or on in its own direction."""
    name = JOINT_NAMES[joint]
    if name in _TIPS:
        return np.array(_TIPS[name])
    child = {"pelvis": JOINT_INDEX["spine1"], "spine3": JOINT_INDEX["neck"]}.get(name, _first_child(joint))
    if child is not None:
        return joints[child] - joints[joint]
    way = joints[joint] - joints[PARENTS[joint]]
    return way / np.linalg.norm(way) * (_FINGER_TIP_M if joint >= LEFT_HAND.start else 0.1)


def _first_child(joint: int) -> int | None:
    return PARENTS.index(joint) if joint in PARENTS else None


def _radius(rig: Rig, joint: int, end: np.ndarray) -> float:
    """How far from the bone the skin lies that follows this joint most, metres."""
    rows = np.arange(len(rig.vertices))
    leading = rig.skin_joints[rows, rig.skin_weights.argmax(axis=1)] == joint
    offsets = rig.vertices[leading] - rig.joints[joint]
    along = end / np.linalg.norm(end)
    across = offsets - (offsets @ along)[:, None] * along
    return float(_CLEARANCE * np.percentile(np.linalg.norm(across, axis=1), 80)) if leading.any() else 0.05
