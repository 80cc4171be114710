"""Numbers in bulk that cannot be never pass the border; the field that holds them is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire import messages as m
from shared.wire.codec import Envelope, decode, encode
from shared.wire.errors import WireError
from shared.wire.limits import ANGLE_RAD, FOCAL_PX, PLACE_M, WEIGHT

ID = "00000000-0000-4000-8000-000000000000"


def motion(frames=3, cameras=1):
    return {
        "full_pose": np.zeros((frames, 165), "f4"),
        "transl": np.zeros((frames, 3), "f4"),
        "expression": np.zeros((frames, 2), "f4"),
        "K": np.tile(np.array([[500, 0, 320], [0, 500, 240], [0, 0, 1]], "f4"), (cameras, 1, 1)),
        "world_to_camera": np.tile(np.eye(4, dtype="f4"), (cameras, 1, 1)),
    }


def render(buffers, names=("jawOpen", "mouthPucker")):
    decode(encode(Envelope(m.RenderFrames(ID, ID, 640, 480, expression_names=names), buffers)))


def refused(buffers, field, **more):
    with pytest.raises(WireError) as raised:
        render(buffers, **more)
    assert (raised.value.code, raised.value.field) == ("out_of_range", field)
    assert str(raised.value).startswith(field)


BAD = st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1.1e7, -1.1e7])


@settings(max_examples=60)
@given(st.sampled_from(sorted(motion())), BAD, st.data())
def test_row_31_a_number_that_cannot_be_is_refused_wherever_it_stands(name, number, data):
    buffers = motion(cameras=3)
    flat = buffers[name].reshape(-1)
    flat[data.draw(st.integers(0, len(flat) - 1))] = number
    refused(buffers, name)


@pytest.mark.parametrize(
    ("name", "largest"),
    [("full_pose", ANGLE_RAD), ("transl", PLACE_M), ("expression", WEIGHT)],
)
@pytest.mark.limits("ANGLE_RAD", "PLACE_M", "WEIGHT")
def test_row_31_the_largest_numbers_pass_and_the_next_do_not(name, largest):
    buffers = motion()
    buffers[name][1, 1] = -largest
    render(buffers)
    buffers[name][1, 1] = np.nextafter(np.float32(largest), np.float32(np.inf))
    refused(buffers, name)


@pytest.mark.parametrize(
    "focal", [0, -500, np.nextafter(np.float32(FOCAL_PX[0]), np.float32(0)), np.float32(FOCAL_PX[1]) * 1.1]
)
@pytest.mark.limits("FOCAL_PX")
def test_row_31_a_focal_length_that_cannot_be_is_refused(focal):
    buffers = motion()
    buffers["K"][0, 1, 1] = focal
    refused(buffers, "K")


@pytest.mark.parametrize("place", [(0, 1), (1, 0), (2, 0), (2, 1)])
def test_row_31_a_slanted_or_projective_lens_is_refused(place):
    buffers = motion()
    buffers["K"][0][place] = 0.1
    refused(buffers, "K")


@pytest.mark.parametrize(
    "turn",
    [np.diag([1, 1, -1]), np.diag([2, 1, 1]), np.zeros((3, 3)), np.ones((3, 3)), np.diag([0.99, 1, 1])],
    ids=["mirrored", "stretched", "zero", "singular", "a little short"],
)
def test_row_31_a_camera_that_is_not_rigid_is_refused(turn):
    buffers = motion()
    buffers["world_to_camera"][0, :3, :3] = turn
    refused(buffers, "world_to_camera")


def test_row_31_a_camera_with_another_last_row_is_refused():
    buffers = motion()
    buffers["world_to_camera"][0, 3, 3] = 2
    refused(buffers, "world_to_camera")


@pytest.mark.parametrize(("buffer", "place"), [("K", (0, 1, 0)), ("world_to_camera", (0, 0, 0))])
def test_row_31_of_cameras_that_take_turns_the_wrong_one_is_refused_each_time(buffer, place):
    right, wrong = motion(), motion()
    wrong[buffer][place] = 0.1
    for _ in range(3):
        render(right)
        refused(wrong, buffer)


def test_a_camera_rounded_to_float32_passes():
    c, s = np.cos(0.7), np.sin(0.7)
    buffers = motion()
    buffers["world_to_camera"][0, :3, :3] = [[c, 0, -s], [0, -1, 0], [-s, 0, -c]]
    render(buffers)


@pytest.mark.parametrize(
    ("frames", "cameras", "passes"), [(1, 1, 1), (3, 1, 1), (3, 3, 1), (3, 2, 0), (0, 1, 0), (3, 0, 0)]
)
def test_cameras_are_one_or_one_for_each_pose(frames, cameras, passes):
    buffers = motion(frames, cameras)
    if passes:
        render(buffers)
    else:
        refused(buffers, "K" if frames else "full_pose")


def test_names_and_columns_of_expressions_belong_together():
    refused(motion(), "expression_names", names=("jawOpen",))


def test_a_live_frame_has_one_pose():
    message = m.RenderLive(ID, 0, ID, 64, 64, ("a", "b"))
    decode(encode(Envelope(message, motion(1))))
    with pytest.raises(WireError, match="one pose"):
        decode(encode(Envelope(message, motion(2))))


def test_a_corrected_pose_comes_whole_and_with_its_registration():
    pose = {"full_pose": np.zeros((1, 165), "f4"), "transl": np.zeros((1, 3), "f4")}
    decode(encode(Envelope(m.JobSubmit(ID, "build", "0" * 64, registration=ID), pose)))
    for message, buffers in (
        (m.JobSubmit(ID, "build", "0" * 64), pose),
        (m.JobSubmit(ID, "build", "0" * 64, registration=ID), {"transl": pose["transl"]}),
    ):
        with pytest.raises(WireError, match="corrected pose"):
            decode(encode(Envelope(message, buffers)))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"x": 7}, "rgba"),
        ({"y": 8}, "rgba"),
        ({"strip": 1}, "strip"),
        ({"near": 2.0, "far": 1.0}, "near"),
        ({"view": ""}, "view"),
        ({"job": ID}, "view"),
    ],
)
def test_row_31_a_frame_that_contradicts_itself_is_refused(changes, field):
    pixels = {"rgba": np.zeros((3, 4, 4), "u1"), "depth": np.zeros((3, 4), "u2")}
    right = {"width": 10, "height": 10, "x": 6, "y": 7, "view": ID}
    decode(encode(Envelope(m.Frame(**right), pixels)))
    with pytest.raises(WireError) as raised:
        decode(encode(Envelope(m.Frame(**{**right, **changes}), pixels)))
    assert raised.value.field == field


def test_a_chunk_ends_where_its_file_ends():
    decode(encode(Envelope(m.AssetPut("0" * 64, 10, 4), {"data": np.zeros(6, "u1")})))
    with pytest.raises(WireError, match="beyond the end"):
        decode(encode(Envelope(m.AssetPut("0" * 64, 10, 5), {"data": np.zeros(6, "u1")})))
