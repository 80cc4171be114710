"""Avatar + motion + cameras -> frames, on a real body with few Gaussians."""

import numpy as np
import pytest

from backend.body.model import BodyModel
from backend.rendering.render import render_frames
from backend.stages import Avatar, Light, Registration
from shared.camera import Camera
from shared.errors import VivantError
from shared.motion import Motion

SIZE = 48


@pytest.fixture(scope="module")
def model():
    return BodyModel.load()


@pytest.fixture(scope="module")
def avatar(model):
    """Every eighth triangle carries one grey Gaussian."""
    face = np.arange(0, len(model.faces), 8, dtype=np.int32)
    registration = Registration(
        body_sha256=model.sha256,
        betas=np.zeros(model.num_betas, np.float32),
        expression=np.zeros(len(model.expression_names), np.float32),
        expression_names=model.expression_names,
        full_pose=np.zeros(165, np.float32),
        transl=np.zeros(3, np.float32),
        camera=camera(),
        offsets=np.zeros((len(model.template), 3), np.float32),
        confidence={},
    )
    return Avatar(
        face=face,
        barycentric=np.full((len(face), 3), 1 / 3, np.float32),
        offset=np.zeros((len(face), 3), np.float32),
        log_scale=np.full((len(face), 1), np.log(0.02), np.float32),
        rgb=np.zeros((len(face), 3), np.float32),
        rgb_photo=np.zeros((len(face), 3), np.float32),
        visibility=np.ones(len(face), np.float32),
        light=Light(np.zeros(3), np.zeros(3)),
        registration=registration,
        info={},
    )


def camera(distance=3.0):
    world_to_camera = np.diag([1.0, -1.0, -1.0, 1.0])
    world_to_camera[:3, 3] = [0, -0.5, distance]
    return Camera(SIZE, SIZE, np.array([[60.0, 0, 24], [0, 60, 24], [0, 0, 1]]), world_to_camera)


def motion(frames=3, names=("jawOpen",)):
    pose = np.zeros((frames, 165), np.float32)
    transl = np.zeros((frames, 3), np.float32)
    transl[:, 0] = 0.15 * np.arange(frames)
    return Motion(pose, transl, np.full((frames, len(names)), 0.5, np.float32), names, 25.0)


def test_the_person_moves_through_the_picture(avatar, model):
    frames = list(render_frames(avatar, model, motion(), [camera()]))
    columns = np.arange(SIZE) + 0.5
    centres = [(frame.alpha.sum(0) @ columns) / frame.alpha.sum() for frame in frames]
    np.testing.assert_allclose(np.diff(centres), 60 * 0.15 / 3.0, atol=0.5)
    assert frames[0].rgb.shape == (SIZE, SIZE, 3)
    solid = frames[0].alpha > 0.9
    assert solid.sum() > 50
    np.testing.assert_allclose(frames[0].rgb[solid, 0], 0.5 * frames[0].alpha[solid], atol=1e-3)
    np.testing.assert_allclose(frames[0].depth[solid], 3.0, atol=0.4)


def test_each_frame_may_have_its_own_camera(avatar, model):
    near, far = render_frames(avatar, model, motion(2), [camera(2.0), camera(4.0)])
    assert near.alpha.sum() > 2 * far.alpha.sum()


def test_a_range_of_frames_is_the_same_as_in_the_whole(avatar, model):
    whole = list(render_frames(avatar, model, motion(), [camera()]))
    (last,) = render_frames(avatar, model, motion(), [camera()], frames=range(2, 3))
    np.testing.assert_array_equal(last.rgb, whole[2].rgb)


def test_unknown_expressions_are_dropped_aloud(avatar, model):
    events = []
    list(render_frames(avatar, model, motion(1, ("jawOpen", "antennae")), [camera()], progress=events.append))
    assert "antennae" in events[0].message
    assert [event.step for event in events] == [0, 1]


@pytest.mark.parametrize("frames", [range(0, 0), range(1, 9), range(-1, 1)])
def test_frames_outside_the_motion_are_refused_before_anything_is_drawn(avatar, model, frames):
    with pytest.raises(VivantError, match="are not in the motion"):
        render_frames(avatar, model, motion(), [camera()], frames=frames)


def test_too_few_cameras_are_refused(avatar, model):
    with pytest.raises(VivantError, match="2 cameras for 3 frames"):
        render_frames(avatar, model, motion(), [camera(), camera()])
