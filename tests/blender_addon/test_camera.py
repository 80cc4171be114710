import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from shared.camera import Camera  # noqa: E402

POINTS = np.array([[0.1, 0.2, 0.3], [-0.4, 1.1, -0.2], [0.7, 0.5, 0.9], [0.0, 0.0, 0.0]])


@pytest.fixture
def scene(empty):
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.camera.location, scene.camera.rotation_euler = (0.6, -5.0, 1.4), (math.radians(82), 0.1, 0.15)
    return scene


def seen():
    from bl_ext.dev.vivant import camera

    return camera.camera_of(bpy.context.scene, bpy.context.evaluated_depsgraph_get())


def in_blender(points):
    from bl_ext.dev.vivant.conversion import points_to_blender

    return points_to_blender(points)


def blenders_pixels(scene, points, width, height):
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    views = [world_to_camera_view(scene, scene.camera, Vector(p)) for p in in_blender(points)]
    return np.array([(view.x * width, (1 - view.y) * height) for view in views])


VIEWS = list(
    itertools.product(
        ("AUTO", "HORIZONTAL", "VERTICAL"),
        ((640, 480), (480, 640), (1920, 1080)),
        ((1.0, 1.0), (1.3, 1.0), (1.0, 2.0)),
        ((0.0, 0.0), (0.13, -0.21)),
    )
)


def test_pixels_agree_with_blenders_own_for_every_fit_size_aspect_and_shift(scene):
    render, lens = scene.render, scene.camera.data
    lens.lens, lens.sensor_width, lens.sensor_height = 42.0, 31.0, 22.0
    for fit, (width, height), (aspect_x, aspect_y), (shift_x, shift_y) in VIEWS:
        lens.sensor_fit, lens.shift_x, lens.shift_y = fit, shift_x, shift_y
        render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
        render.pixel_aspect_x, render.pixel_aspect_y = aspect_x, aspect_y
        bpy.context.view_layer.update()
        camera = seen()
        pixels, depth = camera.project(POINTS)
        assert_allclose(pixels, blenders_pixels(scene, POINTS, width, height), atol=1e-3)
        assert (camera.width, camera.height) == (width, height) and (depth > 0).all()


def test_a_percentage_truncates_as_renders_do(scene):
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 641, 361, 50
    assert (seen().width, seen().height) == (320, 180)


def test_markers_and_animation_count(scene):
    other = bpy.data.objects.new("Close", bpy.data.cameras.new("Close"))
    scene.collection.objects.link(other)
    other.location = (0, -2, 1)
    other.keyframe_insert("location", frame=10)
    other.location = (0, -4, 1)
    other.keyframe_insert("location", frame=20)
    scene.timeline_markers.new("far", frame=1).camera = scene.camera
    scene.timeline_markers.new("close", frame=10).camera = other
    scene.frame_set(5)
    far = seen().centre
    scene.frame_set(20)
    assert_allclose(in_blender(far), (0.6, -5.0, 1.4), atol=1e-5)
    assert_allclose(in_blender(seen().centre), (0, -4, 1), atol=1e-5)


def test_a_scaled_parent_does_not_scale_the_view(scene):
    before = seen()
    scene.camera.scale = (2, 2, 2)
    bpy.context.view_layer.update()
    assert_allclose(seen().world_to_camera, before.world_to_camera, atol=1e-5)


@pytest.mark.parametrize("kind", ["ORTHO", "PANO"])
def test_what_is_no_pinhole_is_refused_with_the_way_out(scene, kind):
    from bl_ext.dev.vivant._shared.errors import VivantError

    scene.camera.data.type = kind
    with pytest.raises(VivantError, match="Set its type to Perspective"):
        seen()
    scene.camera = None
    with pytest.raises(VivantError, match="no camera"):
        seen()


@pytest.mark.parametrize("fy", [700.0, 560.0])
def test_a_pinhole_becomes_a_blender_camera_and_comes_back(scene, fy):
    from bl_ext.dev.vivant import camera

    K = np.array([[700.0, 0, 300], [0, fy, 190], [0, 0, 1]])
    wanted = Camera(512, 640, K, np.diag([1.0, -1.0, -1.0, 1.0]) + np.eye(4, k=3) * 0.2)
    scene.render.resolution_x, scene.render.resolution_y = 512, 640
    aspect = camera.set_camera(scene.camera, wanted)
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = (1, aspect) if aspect >= 1 else (1 / aspect, 1)
    bpy.context.view_layer.update()
    assert_allclose(seen().K, K, atol=1e-3)
    assert_allclose(seen().world_to_camera, wanted.world_to_camera, atol=1e-5)
