"""Resampling, placing and keeping motions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from shared.motion import Motion
from shared.motion_files import load_motion
from shared.rotations import matrices_from_axis_angles

NAMES = ("jawOpen", "mouthPucker")


def random_motion(frames=7, fps=30.0, seed=0):
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.8, (frames, 165)).astype(np.float32)
    transl = rng.normal(0, 1, (frames, 3)).astype(np.float32)
    return Motion(pose, transl, rng.uniform(0, 1, (frames, 2)).astype(np.float32), NAMES, fps)


def rotations(motion):
    return matrices_from_axis_angles(motion.full_pose.reshape(len(motion), 55, 3).astype(np.float64))


def test_its_own_rate_gives_the_motion_itself():
    motion = random_motion()
    assert motion.resampled(30.0) is motion


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(2, 4))
def test_a_whole_multiple_of_the_rate_keeps_every_old_frame(frames, factor):
    motion = random_motion(frames)
    fine = motion.resampled(30.0 * factor)
    assert len(fine) == (frames - 1) * factor + 1
    assert_allclose(rotations(fine)[::factor], rotations(motion), atol=1e-5)
    assert_allclose(fine.transl[::factor], motion.transl, atol=1e-6)
    assert_allclose(fine.expression[::factor], motion.expression, atol=1e-6)


@settings(max_examples=25)
@given(st.integers(1, 40), st.floats(1, 240), st.floats(1, 240))
def test_resampling_keeps_the_length_in_seconds_and_invents_nothing(frames, old, new):
    motion = random_motion(frames, old)
    other = motion.resampled(new)
    assert (len(other) - 1) / new <= (frames - 1) / old + 1e-5 / min(old, new)
    assert (len(other)) / new > (frames - 1) / old - 1e-5
    assert other.transl.max() <= motion.transl.max() + 1e-6
    assert other.full_pose.dtype == np.float32


def test_a_turn_through_half_a_turn_takes_the_short_way():
    """Axis-angles jump from +170 to -170 degrees there: linear interpolation would spin the body once around."""
    pose = np.zeros((2, 165), np.float32)
    pose[:, 1] = np.deg2rad([170, -170])
    middle = Motion(pose, np.zeros((2, 3), np.float32), np.zeros((2, 0), np.float32), (), 1.0).resampled(2.0)
    assert_allclose(np.abs(middle.full_pose[1, 1]), np.pi, atol=1e-5)


def test_saving_and_loading_changes_nothing(tmp_path):
    motion = random_motion()
    motion.save(tmp_path / "motion.npz")
    loaded = load_motion(tmp_path / "motion.npz").motion
    for name in ("full_pose", "transl", "expression"):
        assert_array_equal(getattr(loaded, name), getattr(motion, name))
    assert loaded.expression_names == NAMES
    assert loaded.fps == 30.0


def test_a_motion_without_expressions_can_be_kept(tmp_path):
    zeros = [np.zeros((3, width), np.float32) for width in (165, 3, 0)]
    motion = Motion(*zeros, (), 25.0)
    motion.save(tmp_path / "motion.npz")
    loaded = load_motion(tmp_path / "motion.npz").motion
    assert loaded.expression.shape == (3, 0)
    assert loaded.expression_names == ()


def test_a_placed_motion_starts_where_the_person_stands():
    motion = random_motion()
    motion.full_pose[:, :3] = [0.0, 0.9, 0.0]
    placed = motion.placed(np.array([0.1, -0.4, 0.2]), np.array([1.0, 2.0, 3.0]))
    assert_allclose(placed.full_pose[0, :3], [0.1, -0.4, 0.2], atol=1e-6)
    assert_allclose(placed.transl[0], [1, 2, 3], atol=1e-6)
    steps, before = np.diff(placed.transl, axis=0), np.diff(motion.transl, axis=0)
    assert_allclose(np.linalg.norm(steps, axis=1), np.linalg.norm(before, axis=1), rtol=1e-5)
    assert_array_equal(placed.full_pose[:, 3:], motion.full_pose[:, 3:])


def test_placing_keeps_a_lean_and_takes_only_the_heading():
    motion = random_motion(1)
    motion.full_pose[:, :3] = [0.3, 0.0, 0.0]
    placed = motion.placed(np.zeros(3), np.zeros(3))
    assert_allclose(placed.full_pose[0, :3], [0.3, 0, 0], atol=1e-6)


@pytest.mark.parametrize("fps", [24.0, 60.0])
def test_resampling_one_frame_gives_one_frame(fps):
    assert len(random_motion(1).resampled(fps)) == 1
