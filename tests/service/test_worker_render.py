"""A real render worker draws into a ring what the renderer draws in one process."""

import uuid

import numpy as np
import pytest

from backend.avatar.files import load_avatar
from backend.raster.footprint import ALPHA_CUTOFF
from backend.rendering.color import premultiplied_linear
from backend.rendering.render import render_frames
from backend.service.frame_slot import slot_bytes
from backend.service.render_worker import attempted
from backend.service.ring import Ring, aligned
from backend.service.work import WorkClose, WorkFrame, WorkMemory, WorkOpen, WorkRefused, WorkRender
from shared.camera import Camera
from shared.errors import VivantError
from shared.motion import Motion
from shared.skeleton import JOINT_INDEX
from shared.wire import limits
from shared.wire.codec import Envelope, decode, encode
from tests.service.employer import Employer

AVATAR = str(uuid.uuid4())


@pytest.fixture(scope="module")
def worker():
    employer = Employer("render")
    yield employer
    employer.close()


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    return Ring.create(tmp_path_factory.mktemp("ring") / "ring-0", 2, slot_bytes(1024, 1024, "half", live=False))


@pytest.fixture
def pose(fit):
    bent = fit.full_pose.astype(np.float32).copy()
    bent[3 * JOINT_INDEX["left_elbow"] + 1] = -0.7
    return bent


def ask(folder, ring, fit, pose, camera, *, pixels="rgba8", live=True, names=(), values=(), slot=0):
    request = WorkRender(
        *(
            str(uuid.uuid4()),
            AVATAR,
            str(folder),
            camera.width,
            camera.height,
            pixels,
            live,
            str(ring.path),
            slot,
            names,
        )
    )
    buffers = {
        "full_pose": pose[None].astype(np.float32),
        "transl": fit.transl[None].astype(np.float32),
        "expression": np.array([values], np.float32).reshape(1, len(names)),
        "world_to_camera": camera.world_to_camera[None].astype(np.float32),
        "K": camera.K[None].astype(np.float32),
    }
    return request, buffers


def drawn(worker, ring, request, buffers):
    """The answer, and the whole picture (rgba, depth) put together from the slot."""
    worker.send(request, buffers)
    frame = worker.expect(WorkFrame).message
    kinds = (np.uint8 if request.pixels == "rgba8" else np.float16, np.uint16 if request.live else np.float32)
    shape = (frame.box_height, frame.box_width)
    slot, count = ring.slot(request.slot), frame.box_height * frame.box_width
    rgba = np.zeros((request.height, request.width, 4), kinds[0])
    depth = np.zeros((request.height, request.width), np.float64)
    window = (slice(frame.y, frame.y + frame.box_height), slice(frame.x, frame.x + frame.box_width))
    rgba[window] = np.frombuffer(slot, kinds[0], 4 * count).reshape(*shape, 4)
    start = aligned(4 * count * rgba.itemsize)
    depth[window] = np.frombuffer(slot, kinds[1], count, start).reshape(shape)
    if request.live:
        depth[window] = frame.near + depth[window] * (frame.far - frame.near) / 65535
    return frame, rgba, depth


def truth(folder, model, fit, pose, camera, names=(), values=()):
    expression = np.array([values], np.float32).reshape(1, len(names))
    motion = Motion(pose[None], fit.transl[None].astype(np.float32), expression, names, fps=1.0)
    return next(render_frames(load_avatar(folder, model), model, motion, [camera]))


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("pixels", ["rgba8", "half"])
def test_the_pixels_are_those_of_the_renderer(worker, ring, avatar_folder, model, fit, pose, pixels, live):
    camera = fit.camera.resized(301, 403)
    expected = truth(avatar_folder, model, fit, pose, camera)
    request = ask(avatar_folder, ring, fit, pose, camera, pixels=pixels, live=live, slot=1)
    frame, rgba, depth = drawn(worker, ring, *request)
    linear = pixels == "half"
    rgb = premultiplied_linear(expected.rgb, expected.alpha) if linear else expected.rgb
    values = rgba if linear else rgba / 255.0
    step = 2e-3 if linear else 0.51 / 255
    for got, wanted in ((values[..., :3], rgb), (values[..., 3], expected.alpha)):
        # Another origin rounds otherwise: now and then a Gaussian falls on the other side of the renderer's cut-off.
        assert (np.abs(got - wanted) > step).mean() < 1e-4
        np.testing.assert_allclose(got, wanted, atol=step + ALPHA_CUTOFF)
    covered = expected.alpha > 0
    off = np.abs(depth[covered] - expected.depth[covered])  # metres
    assert (off > 1e-4).mean() < 1e-4 and off.max() < 0.01
    rows, columns = covered.nonzero()
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    assert (frame.x, frame.y, frame.box_width, frame.box_height) == box


def test_expressions_are_taken_by_name_and_what_is_unknown_is_told(worker, ring, avatar_folder, model, fit, pose):
    names, values = ("nonsense", "jawOpen"), (0.5, 1.0)
    request = ask(avatar_folder, ring, fit, pose, fit.camera, names=names, values=values)
    frame, rgba, _ = drawn(worker, ring, *request)
    assert any("nonsense" in note for note in frame.notes) and not any("jawOpen" in note for note in frame.notes)
    expected = truth(avatar_folder, model, fit, pose, fit.camera, names, values)
    np.testing.assert_allclose(rgba[..., 3] / 255.0, expected.alpha, atol=0.51 / 255)
    frame, _, _ = drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, fit.camera, names=("x",), values=(0.0,)))
    assert not frame.notes


def test_row_32_nothing_in_view_is_an_empty_box(worker, ring, avatar_folder, fit, pose):
    away = fit.camera.cropped(-5000, 0, -4900, 100)
    frame, rgba, _ = drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, away))
    assert (frame.box_width, frame.box_height) == (0, 0) and not rgba.any()
    behind = Camera(64, 64, fit.camera.K, np.diag([-1.0, 1, -1, 1]) @ fit.camera.world_to_camera)
    frame, _, _ = drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, behind))
    assert (frame.box_width, frame.box_height) == (0, 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 97), (333, 1), (17, 31)])
def test_row_32_odd_sizes(worker, ring, avatar_folder, model, fit, pose, size):
    camera = fit.camera.resized(*size)
    _, rgba, _ = drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, camera))
    expected = truth(avatar_folder, model, fit, pose, camera)
    np.testing.assert_allclose(rgba[..., 3] / 255.0, expected.alpha, atol=0.51 / 255)


def test_row_32_a_huge_picture_costs_what_its_box_costs(worker, ring, avatar_folder, fit, pose):
    far = fit.camera.resized(240, 320).cropped(-4000, -3900, 4192, 4292)
    frame, rgba, _ = drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, far))
    assert rgba.shape == (8192, 8192, 4) and rgba.any()
    assert frame.box_width < 240 and frame.box_height < 320 and frame.render_ms < 5000


def test_from_inside_the_body_there_are_pixels_and_no_nan(worker, ring, avatar_folder, fit, pose):
    inside = fit.camera.world_to_camera.copy()
    inside[2, 3] = 0.05
    camera = Camera(200, 200, fit.camera.K, inside)
    _, rgba, depth = drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, camera, pixels="half", live=False))
    assert np.isfinite(rgba).all() and np.isfinite(depth).all()


@pytest.mark.parametrize("size", [1e3, 1e18, 3e38])
def test_row_31_huge_numbers_draw_no_nan_and_kill_nobody(worker, ring, avatar_folder, fit, size):
    pose = np.full(165, size, np.float32)
    _, rgba, depth = drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, fit.camera, pixels="half", live=False))
    assert np.isfinite(rgba).all() and np.isfinite(depth).all()


def test_a_broken_avatar_is_refused_and_the_next_frame_is_drawn(worker, ring, avatar_folder, fit, pose, tmp_path):
    request, buffers = ask(tmp_path, ring, fit, pose, fit.camera)
    broken = str(uuid.uuid4())
    worker.send(WorkRender(**{**vars(request), "avatar": broken}), buffers)
    refused = worker.expect(WorkRefused).message
    assert refused.code == "bad_avatar" and "no finished avatar" in refused.message
    worker.send(WorkOpen(broken, str(tmp_path)))
    assert worker.expect(WorkRefused).message.request == broken
    drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, fit.camera))


def test_avatars_are_opened_and_closed_and_memory_is_told(worker, avatar_folder):
    worker.send(WorkClose())
    worker.expect(WorkMemory, until=lambda told: told.avatars == ())
    worker.send(WorkOpen(AVATAR, str(avatar_folder)))
    memory = worker.expect(WorkMemory).message
    assert memory.avatars == (AVATAR,) and 0 < memory.used < memory.total
    worker.send(WorkClose(AVATAR))
    assert worker.expect(WorkMemory).message.avatars == ()


def test_an_avatar_that_was_opened_for_a_frame_is_told_of(worker, ring, avatar_folder, fit, pose):
    worker.send(WorkClose())
    worker.expect(WorkMemory, until=lambda told: told.avatars == ())
    drawn(worker, ring, *ask(avatar_folder, ring, fit, pose, fit.camera))
    assert worker.expect(WorkMemory).message.avatars == (AVATAR,)


def short_of_memory(times):
    """A step that finds no memory so many times."""
    left = [times]

    def step():
        if left[0]:
            left[0] -= 1
            np.empty(2**60, np.uint8)
        return WorkClose()

    return step


@pytest.mark.parametrize(("times", "room_made", "code"), [(0, 0, ""), (1, 1, ""), (2, 1, "oom")])
def test_row_17_avatars_make_room_for_a_frame_once(times, room_made, code):
    made = []
    answer = attempted("request", short_of_memory(times), lambda: made.append(1))
    assert len(made) == room_made and getattr(answer, "code", "") == code


@pytest.mark.parametrize("length", [limits.TEXT_CHARS, limits.TEXT_CHARS + 1])
def test_a_refusal_that_quotes_a_whole_file_still_reaches_the_server(length):
    """One that is too long would not be read, and the worker be taken for one that hangs."""

    def refuse():
        raise VivantError("?" * length)

    answer = attempted(AVATAR, refuse, lambda: None)
    assert decode(encode(Envelope(answer))).message.message == "?" * limits.TEXT_CHARS
