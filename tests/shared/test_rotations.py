"""Group laws and round trips of `shared.rotations`."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose

from shared.rotations import (
    axis_angles_from_matrices,
    axis_angles_from_quats,
    matrices_from_axis_angles,
    matrices_from_quats,
    multiply_quats,
    quats_from_axis_angles,
    quats_from_matrices,
    slerp,
)

axis_angles = arrays(np.float64, 3, elements=st.floats(-7, 7, allow_subnormal=False))
weights = st.floats(0, 1)


@given(axis_angles)
def test_matrices_are_rotations(axis_angle):
    matrix = matrices_from_axis_angles(axis_angle)
    assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert_allclose(np.linalg.det(matrix), 1, atol=1e-12)


@given(axis_angles)
def test_every_form_leads_back_to_the_same_rotation(axis_angle):
    matrix = matrices_from_axis_angles(axis_angle)
    assert_allclose(matrices_from_quats(quats_from_matrices(matrix)), matrix, atol=1e-9)
    assert_allclose(matrices_from_axis_angles(axis_angles_from_matrices(matrix)), matrix, atol=1e-9)


@given(axis_angles)
def test_axis_angles_come_back_with_at_most_half_a_turn(axis_angle):
    back = axis_angles_from_quats(quats_from_axis_angles(axis_angle))
    assert np.linalg.norm(back) <= np.pi + 1e-9
    if np.linalg.norm(axis_angle) < np.pi - 1e-3:
        assert_allclose(back, axis_angle, atol=1e-9)


@given(axis_angles, axis_angles)
def test_the_product_of_quaternions_is_the_product_of_matrices(a, b):
    product = multiply_quats(quats_from_axis_angles(a), quats_from_axis_angles(b))
    both = matrices_from_axis_angles(a) @ matrices_from_axis_angles(b)
    assert_allclose(matrices_from_quats(product), both, atol=1e-12)


@given(axis_angles, axis_angles, weights)
def test_slerp_turns_by_its_share_of_the_angle_and_the_shorter_way(a, b, weight):
    start, end = quats_from_axis_angles(a), quats_from_axis_angles(b)
    whole = 2 * np.arccos(min(1.0, abs(start @ end)))
    middle = slerp(start, end, np.float64(weight))
    part = 2 * np.arccos(min(1.0, abs(start @ middle)))
    assert_allclose(part, weight * whole, atol=1e-6)
    assert whole <= np.pi + 1e-9


@given(axis_angles, axis_angles, weights)
def test_slerp_does_not_see_the_sign_of_a_quaternion(a, b, weight):
    start, end = quats_from_axis_angles(a), quats_from_axis_angles(b)
    if abs(start @ end) > 1e-6:  # half a turn apart both ways are as short
        one, other = slerp(start, end, np.float64(weight)), slerp(start, -end, np.float64(weight))
        assert_allclose(matrices_from_quats(one), matrices_from_quats(other), atol=1e-9)


def test_the_four_half_turns_survive_the_matrix_form():
    for axis in np.vstack([np.eye(3), [[0.6, 0.8, 0.0]]]):
        matrix = matrices_from_axis_angles(np.pi * axis)
        assert_allclose(matrices_from_axis_angles(axis_angles_from_matrices(matrix)), matrix, atol=1e-12)


def test_near_no_rotation_nothing_is_lost():
    tiny = np.array([1e-9, -2e-9, 3e-9])
    assert_allclose(axis_angles_from_quats(quats_from_axis_angles(tiny)), tiny, rtol=1e-9)
