"""A motion onto an armature: at the scene's rate, from a start frame, in the place the user chose."""

from __future__ import annotations

from dataclasses import dataclass, replace

import bpy
import numpy as np

from . import keyframes
from ._shared.motion import Motion, heading
from ._shared.rotations import axis_angles_from_matrices, matrices_from_axis_angles
from .avatars import body_of
from .joints import Joints, carried, joints_of
from .pose import pose_of, scene_fps
from .rig import photo_pose

HERE, PHOTO, WORLD = "HERE", "PHOTO", "WORLD"


@dataclass(frozen=True)
class Applied:
    """What became of a motion in the scene."""

    first: int  # frame
    last: int
    notes: tuple[str, ...]  # plain sentences: what was resampled or dropped


def apply_motion(
    context: bpy.types.Context,
    armature: bpy.types.Object,
    motion: Motion,
    *,
    start: int,
    place: str = HERE,
    new_action: bool = True,
    name: str = "Motion",
) -> Applied:
    """Key a motion, one key per scene frame.

    Args:
        context: its scene gives the frame rate.
        armature: any armature with the 55 joints; of an avatar if `place` is PHOTO.
        motion: Y up, as its file has it.
        start: scene frame of the motion's first.
        place: HERE starts where the armature stands and faces now; PHOTO where it stands in the photo, tilted as
            there, as `vivant render` does; WORLD keeps the motion's own place in the world.
        new_action: keep the actions there were and make new ones, instead of replacing their curves.
        name: of new actions.

    Raises:
        VivantError: joints are missing, or the armature is scaled.
    """
    joints = joints_of(armature)
    played = motion.resampled(scene_fps(context.scene))
    local = _placed(context, armature, joints, played, place)
    frames = start + np.arange(len(local))
    body = body_of(armature)
    if new_action:
        _new_actions(armature, body, name)
    keyframes.key_motion(armature, joints, local, frames)
    missing = keyframes.key_expression(body, local, frames) if body else list(local.expression_names)
    notes = [] if motion.fps == played.fps else [f"Resampled from {motion.fps:g} to {played.fps:g} frames/s."]
    if missing:
        notes.append(f"{armature.name} has no {', '.join(missing)}: dropped.")
    return Applied(start, int(frames[-1]), tuple(notes))


def _new_actions(armature: bpy.types.Object, body: bpy.types.Object | None, name: str) -> None:
    keyframes.new_action(armature, name)
    if body is not None:
        keyframes.new_action(body.data.shape_keys, f"{name} face")


def _placed(
    context: bpy.types.Context, armature: bpy.types.Object, joints: Joints, motion: Motion, place: str
) -> Motion:
    """The motion in the armature's own space."""
    if place == PHOTO:
        full_pose, transl = photo_pose(armature)
        return motion.placed(full_pose[:3], transl)
    if place == HERE:
        full_pose, transl, _, _ = pose_of(armature, context.evaluated_depsgraph_get())
        root = heading(matrices_from_axis_angles(full_pose[:3].astype(np.float64)))
        motion = motion.placed(axis_angles_from_matrices(root), transl)
    to_local = np.linalg.inv(joints.world(armature.matrix_world))
    full_pose, transl = carried(motion.full_pose, motion.transl, joints, to_local)
    return replace(motion, full_pose=full_pose, transl=transl)
