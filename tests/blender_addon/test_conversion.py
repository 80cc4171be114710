import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from shared.rotations import matrices_from_axis_angles


@pytest.fixture
def conversion(vivant):
    from bl_ext.dev.vivant import conversion

    return conversion


def test_up_is_z_and_the_person_looks_into_the_front_view(conversion):
    up, front, left = conversion.points_to_blender(np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]))
    assert (up.tolist(), front.tolist(), left.tolist()) == ([0, 0, 1], [0, -1, 0], [1, 0, 0])


def test_points_and_rotations_come_back(conversion):
    rng = np.random.default_rng(0)
    points, turns = rng.normal(size=(50, 3)), matrices_from_axis_angles(rng.normal(size=(50, 3)))
    assert_allclose(conversion.points_to_smplx(conversion.points_to_blender(points)), points, atol=1e-12)
    assert_allclose(conversion.rotations_to_smplx(conversion.rotations_to_blender(turns)), turns, atol=1e-12)


def test_turning_and_converting_may_change_places(conversion):
    rng = np.random.default_rng(1)
    points, turn = rng.normal(size=(50, 3)), matrices_from_axis_angles(rng.normal(size=3))
    there = conversion.points_to_blender(points) @ conversion.rotations_to_blender(turn).T
    assert_allclose(there, conversion.points_to_blender(points @ turn.T), atol=1e-12)


def test_a_camera_comes_back(conversion):
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = matrices_from_axis_angles(np.array([0.3, -0.5, 2.0]))
    world_to_camera[:3, 3] = 0.1, -0.7, 2.0
    there = conversion.camera_to_blender(world_to_camera)
    assert_allclose(conversion.camera_to_smplx(there), world_to_camera, atol=1e-12)
