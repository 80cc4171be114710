"""The built-in talking motion: determinism, limits, smoothness, variety."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from shared import arms
from shared.errors import VivantError
from shared.gestures import GESTURES, HAND_SHAPES, REST, perform
from shared.rotations import matrices_from_axis_angles
from shared.skeleton import JOINT_INDEX
from shared.speech import SHUT
from shared.talking import talking_motion

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module", params=SEEDS)
def motion(request):
    return talking_motion(seed=request.param)


def joints(motion):
    return motion.full_pose.reshape(len(motion), 55, 3).astype(np.float64)


def test_the_seed_decides_everything():
    one, same, other = talking_motion(seed=3), talking_motion(seed=3), talking_motion(seed=4)
    assert_array_equal(one.full_pose, same.full_pose)
    assert_array_equal(one.expression, same.expression)
    assert np.abs(one.full_pose - other.full_pose).max() > 0.5


def test_six_seconds_at_25_frames_from_and_to_hanging_arms(motion):
    assert (len(motion), motion.fps) == (150, 25.0)
    wrists = wrist_positions(motion)
    assert wrists[[0, -1], :, 1].max() < -0.2  # below the chest
    assert wrists[:, :, 1].max() > -0.15  # and up between


def test_joints_keep_within_their_limits(motion):
    angle = np.linalg.norm(joints(motion), axis=2)
    limits = {"neck": 0.6, "head": 0.6, "elbow": 2.5, "wrist": 1.6, "shoulder": 2.0, "collar": 0.4, "eye": 0.6}
    for name, index in JOINT_INDEX.items():
        limit = next((value for part, value in limits.items() if part in name), 1.6)  # 1.6: finger knuckles
        assert angle[:, index].max() < limit, name
    assert not joints(motion)[:, JOINT_INDEX["jaw"]].any()  # jawOpen opens the mouth


def test_expressions_are_weights(motion):
    assert motion.expression.min() >= 0
    assert motion.expression.max() <= 1
    assert np.isfinite(motion.full_pose).all()


def test_a_blink_closes_the_eyes_and_mouth_and_hands_speak(motion):
    names = motion.expression_names
    blink = motion.expression[:, names.index("eyeBlinkLeft")]
    assert blink.max() > 0.95 * SHUT
    assert 1 <= np.count_nonzero(np.diff((blink > 0.8 * SHUT).astype(int)) == 1) <= 8
    assert np.ptp(motion.expression[:, names.index("jawOpen")]) > 0.3
    assert np.ptp(joints(motion)[:, JOINT_INDEX["left_eye"], 1]) > 0.1
    assert np.ptp(joints(motion)[:, JOINT_INDEX["head"], 1]) > 0.02


def test_nothing_jumps(motion):
    turn = matrices_from_axis_angles(joints(motion))
    step = np.swapaxes(turn[:-1], -1, -2) @ turn[1:]
    speed = np.arccos(np.clip((np.trace(step, axis1=2, axis2=3) - 1) / 2, -1, 1)) * motion.fps
    eyes = [JOINT_INDEX["left_eye"], JOINT_INDEX["right_eye"]]
    assert np.delete(speed, eyes, axis=1).max() < 14  # rad/s; hands are quick, but do not teleport


@settings(max_examples=10)
@given(st.floats(0.04, 20), st.floats(5, 60), st.integers(0, 2**31))
def test_any_length_and_rate_works(seconds, fps, seed):
    motion = talking_motion(seconds, fps, seed)
    assert len(motion) == max(1, round(seconds * fps))
    assert np.isfinite(motion.full_pose).all()


def test_impossible_lengths_are_refused():
    for seconds, fps in ((0, 25), (-1, 25), (float("nan"), 25), (1e9, 25), (6, 0)):
        with pytest.raises(VivantError, match="cannot be made"):
            talking_motion(seconds, fps)


@settings(max_examples=40)
@given(st.sampled_from(list(GESTURES)), st.sampled_from(list(GESTURES)), st.floats(0, 1))
def test_wrists_stay_clear_of_the_torso_between_any_two_gestures(first, second, when):
    for arm in (0, 1):
        ends = [GESTURES[first][0][arm], GESTURES[second][0][arm]]
        pose, _, _ = perform(np.array([when]), np.array([0.0, 1.0]), ends, np.zeros(0))
        x, y, z = forward(pose[0])
        if y < 0.0:
            assert ((x - 0.0) / 0.19) ** 2 + ((z - 0.03) / 0.165) ** 2 > 1


@settings(max_examples=60)
@given(st.floats(0.0, 0.45), st.floats(-0.35, 0.3), st.floats(0.2, 0.4))
def test_the_wrist_reaches_where_it_is_sent(x, y, z):
    wrist = np.array([[x, y, z]])
    pose = arms.arm_pose(wrist, np.array([[0.6, -1.0, -0.5]]), np.zeros(1), np.zeros((1, 3)))
    shoulder = arms.COLLAR + matrices_from_axis_angles(pose[0, 0]) @ (arms.SHOULDER - arms.COLLAR)
    reach = np.linalg.norm(wrist[0] - shoulder)
    if arms.reach_of_bend(arms.MAX_BEND) < reach < arms.reach_of_bend(arms.MIN_BEND):
        assert_allclose(forward(pose[0]), wrist[0], atol=1e-9)


def test_bend_and_reach_are_inverse():
    bend = np.linspace(arms.MIN_BEND, arms.MAX_BEND, 20)
    assert_allclose(arms.bend_of_reach(arms.reach_of_bend(bend)), bend, atol=1e-12)


def test_every_gesture_names_a_known_hand():
    for phases in (*GESTURES.values(), (REST,)):
        for reach in (reach for phase in phases for reach in phase):
            assert reach.shape in HAND_SHAPES


def forward(arm_pose):
    """Where the left wrist is, from the axis-angles [4, 3] of collar, shoulder, elbow and wrist."""
    collar, shoulder, elbow, _ = matrices_from_axis_angles(arm_pose)
    point = arms.ELBOW + elbow @ (arms.WRIST - arms.ELBOW)
    point = arms.SHOULDER + shoulder @ (point - arms.SHOULDER)
    return arms.COLLAR + collar @ (point - arms.COLLAR)


def wrist_positions(motion):
    """Both wrists [F, 2, 3] in the chest frame, the right one mirrored."""
    sides = []
    for side, mirror in (("left", np.ones(3)), ("right", np.array([1, -1, -1]))):
        index = [JOINT_INDEX[f"{side}_{name}"] for name in ("collar", "shoulder", "elbow", "wrist")]
        sides.append(np.stack([forward(pose * mirror) for pose in joints(motion)[:, index]]))
    return np.stack(sides, axis=1)
