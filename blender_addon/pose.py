"""The evaluated pose of an armature: what constraints, drivers, NLA and object transforms make of it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

import bpy
import numpy as np

from . import expressions
from ._shared.errors import VivantError
from ._shared.motion import Motion
from .avatars import body_of
from .joints import Joints, full_poses, joints_of

RIGID_TOLERANCE = 1e-4
"""How far an armature's axes may be from orthonormal before it counts as scaled."""


def pose_of(
    armature: bpy.types.Object, depsgraph: bpy.types.Depsgraph
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """The pose as `depsgraph` has it now: full_pose [165], transl [3] metres, expression [E], their names.

    In the world's SMPL-X axes (Y up): location and rotation of the armature object are part of it.

    Raises:
        VivantError: joints are missing, the armature is scaled, or Blender does not evaluate it.
    """
    reader = PoseReader(armature)
    reader.read(depsgraph)
    motion = reader.motion(1.0)
    return motion.full_pose[0], motion.transl[0], motion.expression[0], motion.expression_names


def motion_of(context: bpy.types.Context, armature: bpy.types.Object, frames: Sequence[float]) -> Motion:
    """The motion over these scene frames, at the scene's rate. Everything is as before when it returns.

    Raises:
        VivantError: joints are missing, the armature is scaled, or Blender does not evaluate it.
    """
    reader = PoseReader(armature)
    with closing(evaluated(context, [armature], frames)) as steps:
        for depsgraph in steps:
            reader.read(depsgraph)
    return reader.motion(scene_fps(context.scene))


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames per second that the scene plays at."""
    return scene.render.fps / scene.render.fps_base


def evaluated(
    context: bpy.types.Context, armatures: Sequence[bpy.types.Object], frames: Sequence[float]
) -> Generator[bpy.types.Depsgraph, None, None]:
    """Step through scene frames with bodies made cheap and everything put back at the end; for long ranges in pieces.

    Yields the depsgraph of each frame. Close the iterator (or use it up) to have frame and visibility back.
    """
    scene = context.scene
    frame, subframe = scene.frame_current, scene.frame_subframe
    with light_bodies(armatures):
        try:
            for position in frames:
                scene.frame_set(int(np.floor(position)), subframe=float(position % 1))
                yield context.evaluated_depsgraph_get()
        finally:
            scene.frame_set(frame, subframe=subframe)


@contextmanager
def light_bodies(armatures: Sequence[bpy.types.Object]) -> Iterator[None]:
    """Skip skinning and blending of proxy bodies for a while: a visible body takes most of a frame's time.

    They are not hidden, for Blender does not animate the shape keys of a body that is disabled in viewports.
    """
    bodies = [body for body in map(body_of, armatures) if body is not None]
    kept = [(body.show_only_shape_key, body.active_shape_key_index, _shown(body)) for body in bodies]
    try:
        for body in bodies:
            body.show_only_shape_key, body.active_shape_key_index = True, 0
            _show(body, [False] * len(body.modifiers))
        yield
    finally:
        for body, (only, index, shown) in zip(bodies, kept, strict=True):
            body.show_only_shape_key, body.active_shape_key_index = only, index
            _show(body, shown)


def _shown(body: bpy.types.Object) -> list[bool]:
    return [modifier.show_viewport for modifier in body.modifiers]


def _show(body: bpy.types.Object, shown: list[bool]) -> None:
    for modifier, show in zip(body.modifiers, shown, strict=True):
        modifier.show_viewport = show


class PoseReader:
    """Collects evaluated poses of one armature and turns them into a `Motion`, all at once, for numpy's sake."""

    def __init__(self, armature: bpy.types.Object, joints: Joints | None = None) -> None:
        self._armature = armature
        self._joints = joints or joints_of(armature)
        row = {name: index for index, name in enumerate(armature.pose.bones.keys())}
        self._rows = [row[name or self._joints.bones[0]] for name in self._joints.bones]
        self._body = body_of(armature)
        self._names, self._sums = _expression_sums(self._body)
        self._world: list[np.ndarray] = []
        self._posed: list[np.ndarray] = []
        self._values: list[np.ndarray] = []

    def read(self, depsgraph: bpy.types.Depsgraph) -> None:
        """Take the pose as `depsgraph` has it now.

        Raises:
            VivantError: Blender does not evaluate armature or body, because they are disabled in viewports.
        """
        evaluated = _evaluated(self._armature, depsgraph)
        posed = np.empty(16 * len(evaluated.pose.bones), np.float32)
        evaluated.pose.bones.foreach_get("matrix", posed)  # column by column
        self._posed.append(posed.reshape(-1, 4, 4)[self._rows].swapaxes(-1, -2))
        self._world.append(np.array(evaluated.matrix_world))
        self._values.append(self._expression(depsgraph))

    def _expression(self, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
        if self._body is None or not self._names:
            return np.zeros(0)
        _evaluated(self._body, depsgraph)
        blocks = self._body.data.shape_keys.evaluated_get(depsgraph).key_blocks
        values, mute = np.empty(len(blocks), np.float32), np.empty(len(blocks), bool)
        blocks.foreach_get("value", values)
        blocks.foreach_get("mute", mute)
        return np.where(mute, 0.0, values) @ self._sums

    def motion(self, fps: float, *, may_scale: bool = False) -> Motion:
        """All poses read so far, in the world's SMPL-X axes.

        Raises:
            VivantError: the armature was scaled, and may not be.
        """
        world = np.array(self._world)
        if not may_scale:
            _check_rigid(self._armature, world)
        full_pose, transl = full_poses(self._joints, world, np.array(self._posed, np.float64))
        return Motion(
            full_pose.astype(np.float32),
            transl.astype(np.float32),
            np.array(self._values, np.float32),
            self._names,
            fps,
        )


def _evaluated(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> bpy.types.Object:
    evaluated = item.evaluated_get(depsgraph)
    if not evaluated.is_evaluated:
        raise VivantError(
            f"{item.name} is disabled in viewports, so Blender does not animate it. Enable it (screen icon in the "
            "Outliner, or its collection's check box); to have it out of sight, hide it with H instead."
        )
    return evaluated


def _expression_sums(body: bpy.types.Object | None) -> tuple[tuple[str, ...], np.ndarray]:
    """The expression names [E], and what turns the values of all shape keys into theirs, [keys, E] of 0 and 1."""
    spellings = expressions.spellings(body) if body else {}
    if body is None or not spellings:
        return (), np.zeros((0, 0))
    column = {name: index for index, name in enumerate(dict.fromkeys(spellings.values()))}
    row = {key: index for index, key in enumerate(body.data.shape_keys.key_blocks.keys())}
    sums = np.zeros((len(row), len(column)))
    for key, name in spellings.items():
        sums[row[key], column[name]] = 1.0
    return tuple(column), sums


def _check_rigid(armature: bpy.types.Object, world: np.ndarray) -> None:
    axes = world[:, :3, :3]
    if np.abs(np.swapaxes(axes, -1, -2) @ axes - np.eye(3)).max() > RIGID_TOLERANCE:
        raise VivantError(
            f"{armature.name} is scaled, which an avatar cannot be. Apply the scale (Ctrl-A, Scale), also that of its "
            "parents, or set it to 1."
        )
