"""Blender cameras as pinholes, and pinholes as Blender cameras, in SMPL-X world axes."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ._shared.camera import Camera
from ._shared.errors import VivantError
from .conversion import camera_to_blender, camera_to_smplx

SENSOR_MM = 36.0


def camera_of(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> Camera:
    """The scene's camera at its current frame, as evaluated: animation, markers and constraints count.

    Exact to 1e-3 px for any fit, shift, size and pixel aspect; cropped if the scene crops to its render region.

    Raises:
        VivantError: there is no camera, or it is no perspective one.
    """
    if scene.camera is None:
        raise VivantError("The scene has no camera. Add one (Add > Camera) and make it active (Ctrl-Numpad 0).")
    if scene.camera.type != "CAMERA" or scene.camera.data.type != "PERSP":
        raise VivantError(
            f"{scene.camera.name} is not a perspective camera, and an avatar can be seen by no other kind. "
            "Set its type to Perspective (Camera properties, Lens)."
        )
    render = scene.render
    width, height = (
        max(1, size * render.resolution_percentage // 100) for size in (render.resolution_x, render.resolution_y)
    )
    evaluated = scene.camera.evaluated_get(depsgraph)
    projection = evaluated.calc_matrix_camera(
        depsgraph, x=width, y=height, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    matrix_world = np.array(evaluated.matrix_world.normalized())
    camera = pinhole(np.array(projection), matrix_world, width, height)
    return _cropped(camera, render) if render.use_border and render.use_crop_to_border else camera


def _cropped(camera: Camera, render: bpy.types.RenderSettings) -> Camera:
    """What lies in the render region, whose edges Blender truncates to whole pixels, counted from the bottom left."""
    left, right = (int(np.float32(edge) * camera.width) for edge in (render.border_min_x, render.border_max_x))
    bottom, top = (int(np.float32(edge) * camera.height) for edge in (render.border_min_y, render.border_max_y))
    return camera.cropped(left, camera.height - top, right, camera.height - bottom)


def pinhole(
    projection: np.ndarray,  # [4, 4] camera to clip space, as OpenGL's
    matrix_world: np.ndarray,  # [4, 4] rigid, Blender axes, looking along -z
    width: int,
    height: int,
) -> Camera:
    """The pinhole of a projection that fills `width` x `height` pixels."""
    K = np.array(
        [
            [projection[0, 0] * width / 2, 0.0, width / 2 * (1 - projection[0, 2])],
            [0.0, projection[1, 1] * height / 2, height / 2 * (1 + projection[1, 2])],
            [0.0, 0.0, 1.0],
        ]
    )
    return Camera(width, height, K, camera_to_smplx(matrix_world))


def set_camera(item: bpy.types.Object, camera: Camera) -> float:
    """Make a Blender camera see what `camera` sees, in renders of its size.

    Returns:
        the pixel aspect y / x that the scene's render settings must have; 1 for square pixels.
    """
    item.matrix_world = Matrix(camera_to_blender(camera.world_to_camera).tolist())
    lens: Any = item.data
    lens.type, lens.sensor_fit, lens.sensor_width = "PERSP", "HORIZONTAL", SENSOR_MM
    fx, fy = camera.K[0, 0], camera.K[1, 1]
    lens.lens = fx * SENSOR_MM / camera.width
    lens.shift_x = (camera.width / 2 - camera.K[0, 2]) / camera.width
    lens.shift_y = (camera.K[1, 2] - camera.height / 2) / camera.width * fx / fy
    return float(fx / fy)
