"""Correct a fit by hand: a scene of its own in which the fitted camera looks through the photo at the fitted armature.

The user's scene stays untouched. What the armature's pose is when it is sent goes back in the photo's own world.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import rig as rigs
from ._shared.camera import Camera
from ._shared.rig import Rig
from .avatars import FIT_KEY, avatars_of
from .camera import set_camera
from .pose import pose_of

_BEFORE_KEY = "vivant_fit_before"
PHOTO_ALPHA = 0.5
_CHOICES = ("photo", "person", "matte", "avatar_name", "register_job")


@dataclass(frozen=True)
class CorrectedFit:
    """What goes back to the backend, as `JobSubmit` carries it."""

    registration: str  # the register job that was corrected
    buffers: dict[str, np.ndarray]  # full_pose [1, 165], transl [1, 3], expression [1, E], float32
    expression_names: tuple[str, ...]


def open_editor(context: bpy.types.Context, rig: Rig, photo: Path, job: str) -> bpy.types.Scene:
    """Make the editing scene and show it in the window: the fit in pose mode, seen through its camera.

    The photo's settings go along, so that the Photo panel goes on with the same photo.
    """
    before = context.scene
    scene = bpy.data.scenes.new("Vivant Fit")
    scene[FIT_KEY], scene[_BEFORE_KEY] = job, before.name
    for name in _CHOICES:
        setattr(scene.vivant, name, getattr(before.vivant, name))
    _show(context, scene)
    width, height = map(int, rig.image_size)
    camera = Camera(width, height, rig.K.astype(np.float64), rig.world_to_camera.astype(np.float64))
    _look_through(scene, camera, photo)
    rigs.create(context, rig, None, "Fit", job)  # a new scene's cursor lies at the origin: in the photo's world
    bpy.ops.object.mode_set(mode="POSE")
    for space in _views(context):
        space.region_3d.view_perspective = "CAMERA"
    return scene


def _look_through(scene: bpy.types.Scene, camera: Camera, photo: Path) -> None:
    """Give the scene the fitted camera, with the photo half transparent before it, and the photo's size."""
    item = bpy.data.objects.new("Photo Camera", bpy.data.cameras.new("Photo Camera"))
    scene.collection.objects.link(item)
    scene.camera = item
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = camera.width, camera.height, 100
    aspect = set_camera(item, camera)
    render.pixel_aspect_x, render.pixel_aspect_y = max(1.0, 1 / aspect), max(1.0, aspect)
    item.data.show_background_images = True
    picture = item.data.background_images.new()
    picture.image = bpy.data.images.load(str(photo), check_existing=True)
    picture.alpha, picture.display_depth, picture.frame_method = PHOTO_ALPHA, "FRONT", "STRETCH"


def _show(context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    """Show a scene in the window. Found by its manager: the context's own keeps a freed one in 4.2's module mode."""
    window = next(one for one in context.window_manager.windows if one == context.window)
    window.scene = scene


def _views(context: bpy.types.Context) -> list[Any]:
    areas = context.window.screen.areas if context.window else ()
    return [area.spaces.active for area in areas if area.type == "VIEW_3D"]


def corrected(context: bpy.types.Context) -> CorrectedFit:
    """The pose as it stands now in the editing scene.

    Raises:
        VivantError: the armature is scaled or disabled.
    """
    (armature,) = avatars_of(context.scene)
    full_pose, transl, expression, names = pose_of(armature, context.evaluated_depsgraph_get())
    arrays = {"full_pose": full_pose, "transl": transl, "expression": expression}
    return CorrectedFit(context.scene[FIT_KEY], {name: array[None] for name, array in arrays.items()}, names)


def close_editor(context: bpy.types.Context) -> bpy.types.Scene:
    """Go back to the scene that the editor was opened from, and remove the editor with all that is in it."""
    editor = context.scene
    before: bpy.types.Scene | None = bpy.data.scenes.get(editor[_BEFORE_KEY])
    if before is None:  # renamed or removed meanwhile
        before = next(scene for scene in bpy.data.scenes if scene != editor)
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    _show(context, before)
    for item in list(editor.objects):
        bpy.data.objects.remove(item)
    bpy.data.scenes.remove(editor)
    return before
