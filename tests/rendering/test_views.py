"""Cameras that go round, and strips."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from backend.rendering.views import fitted, orbit, strip
from backend.stages import Frame
from shared.camera import Camera

CENTRE = np.array([0.3, 0.1, -0.2])


def front_camera():
    """Three metres before the centre, looking along -z at it."""
    world_to_camera = np.diag([1.0, -1.0, -1.0, 1.0])
    world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ (CENTRE + np.array([0, 0, 3]))
    return Camera(200, 100, np.array([[150.0, 0, 100], [0, 150, 50], [0, 0, 1]]), world_to_camera)


@given(st.floats(-180, 180))
def test_the_centre_stays_where_it_is_in_the_picture(degrees):
    pixels, depth = orbit(front_camera(), CENTRE, degrees).project(CENTRE[None])
    assert_allclose(pixels, [[100, 50]], atol=1e-9)
    assert_allclose(depth, 3)


@given(st.floats(-180, 180), st.floats(-180, 180))
def test_turns_add_up(first, second):
    twice = orbit(orbit(front_camera(), CENTRE, first), CENTRE, second)
    assert_allclose(twice.world_to_camera, orbit(front_camera(), CENTRE, first + second).world_to_camera, atol=1e-9)


def test_positive_degrees_go_to_the_persons_left():
    assert_allclose(orbit(front_camera(), CENTRE, 90).centre, CENTRE + np.array([3, 0, 0]), atol=1e-9)


@given(st.integers(10, 500), st.integers(10, 500))
def test_a_fitted_view_shows_all_of_the_old_one_in_its_middle(width, height):
    camera = fitted(front_camera(), width, height)
    rays = np.linalg.inv(front_camera().K) @ np.array([[0.0, 200, 100], [0, 100, 50], [1, 1, 1]])
    corner, opposite, middle = (camera.K @ rays).T[:, :2]
    assert_allclose(middle, [width / 2, height / 2], atol=1e-9)
    assert (corner >= -1e-9).all()
    assert (opposite <= np.array([width, height]) + 1e-9).all()
    assert_allclose((opposite - corner)[0] / (opposite - corner)[1], 2)


def test_a_strip_lays_views_side_by_side():
    ones = np.ones((60, 50), np.float32)
    frames = [Frame(np.full((60, 50, 3), colour, np.float32), ones, ones) for colour in (0.2, 0.8)]
    picture = strip(frames, ["-60°", "+60°"])
    assert picture.shape == (60, 100, 3)
    assert (picture[-1, 0] == 51).all()
    assert (picture[-1, -1] == 204).all()
    assert (picture[:20, :40] == 0).any()  # the label
