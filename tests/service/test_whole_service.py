"""The real server with real workers: from a photo to frames, through everything that a client can ask for."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.avatar.files import load_avatar
from backend.rendering.color import premultiplied_linear
from backend.rendering.render import render_frames
from shared.motion import Motion
from shared.rig import load_rig
from shared.wire.calls import connect, download, follow, frames, live, new_id, upload
from shared.wire.connection import load_connection
from shared.wire.messages import AvatarImport, AvatarList, BuildOptions, JobSubmit, RenderFrames, RenderLive
from tests.conftest import EXAMPLES

OPTIONS = BuildOptions(texture=128, size=256, steps=10, device="cpu")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server(data):
    command = [sys.executable, "-m", "backend.cli", "serve", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def client(server):
    connection = load_connection(Path(json.loads(server.stdout.readline())["connection"]))
    with connect(connection, "test") as client:
        yield client


def submitted(client, task, photo, buffers=None, **more):
    job = new_id()
    client.call(JobSubmit(job, task, photo, name="Eileen", options=OPTIONS, **more), buffers or {})
    return job


def ended(client, job):
    *_, last = follow(client, job)
    assert last.info.state == "finished", last.info
    return last.info


@pytest.fixture(scope="module")
def photo(client):
    return upload(client, (EXAMPLES / "astronaut.png").read_bytes())


@pytest.fixture(scope="module")
def fitted(client, photo):
    job = submitted(client, "register", photo)
    ended(client, job)
    return job, load_rig(download(client, job, "rig.npz"))


@pytest.fixture(scope="module")
def built(client, server, photo, fitted):
    """An avatar from a fit whose left arm was lowered by hand; the build worker is killed once meanwhile."""
    job, rig = fitted
    pose = rig.full_pose[None].copy()
    pose[0, 3 * 16 + 2] -= 0.1
    edited = {"full_pose": pose, "transl": rig.transl[None], "expression": np.zeros((1, 0), "f4")}
    avatar = submitted(client, "build", photo, edited, registration=job)
    for event in follow(client, avatar):
        if event.info.stage == "training":
            break
    kill_build_worker(server.pid)
    ended(client, avatar)
    return avatar, pose[0]


def kill_build_worker(server):
    """Kill the child of this server that builds."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        parent = int(status.read_text(encoding="ascii").rsplit(")", 1)[1].split()[1])
        if parent == server and b"build" in (status.parent / "cmdline").read_bytes():
            os.kill(int(status.parent.name), signal.SIGKILL)


def motion(rig, count):
    poses = np.tile(rig.full_pose, (count, 1))
    poses[:, 3 * 15 + 1] += np.linspace(-0.4, 0.4, count)
    return {
        "full_pose": poses.astype("f4"),
        "transl": np.tile(rig.transl, (count, 1)),
        "expression": np.linspace(0, 1, count, dtype="f4")[:, None],
        "world_to_camera": rig.world_to_camera[None],
        "K": rig.K[None],
    }


def test_the_fit_can_be_seen_and_edited(client, fitted, built, data, model):
    job, _ = fitted
    avatar, pose = built
    assert download(client, job, "overlay.png").startswith(b"\x89PNG")
    made = load_avatar(data / "avatars" / avatar, model)
    np.testing.assert_array_equal(made.registration.full_pose, pose)


def test_a_killed_worker_cost_a_try_and_not_the_avatar(client, built):
    avatar, _ = built
    (info,) = client.call(AvatarList()).message.avatars
    assert info.avatar == avatar and info.name == "Eileen" and info.gaussians > 1000 and info.photo_psnr_db > 10
    assert download(client, avatar, "texture.png").startswith(b"\x89PNG")


def test_final_frames_are_those_of_the_renderer(client, built, fitted, data, model):
    _, rig = fitted
    avatar, _ = built
    buffers, size = motion(rig, 3), tuple(int(side) for side in rig.image_size)
    request = RenderFrames(new_id(), avatar, *size, first=7, expression_names=("jawOpen",))
    came = list(frames(client, request, buffers))
    assert [number for number, _, _ in came] == [7, 8, 9]
    moved = Motion(buffers["full_pose"], buffers["transl"], buffers["expression"], ("jawOpen",), fps=1.0)
    made = load_avatar(data / "avatars" / avatar, model)
    for (_, rgba, depth), true in zip(came, render_frames(made, model, moved, [made.registration.camera]), strict=True):
        np.testing.assert_allclose(rgba[..., :3], premultiplied_linear(true.rgb, true.alpha), atol=4e-3)
        np.testing.assert_allclose(depth[true.alpha > 0], true.depth[true.alpha > 0], atol=1e-3)


def test_a_live_frame_comes_at_any_size(client, built, fitted):
    _, rig = fitted
    avatar, _ = built
    still = motion(rig, 1) | {"expression": np.zeros((1, 0), "f4")}
    rgba, depth = live(client, RenderLive(new_id(), 1, avatar, 333, 77), still, timeout=60)
    assert rgba.shape == (77, 333, 4) and depth.shape == (77, 333)


def test_an_avatar_of_the_command_line_is_adopted_with_a_rig(client, built, data, tmp_path):
    avatar, _ = built
    copy = tmp_path / "mine"
    shutil.copytree(data / "avatars" / avatar, copy)
    (copy / "rig.npz").unlink()
    (copy / "texture.png").unlink()
    adopted = new_id()
    client.call(AvatarImport(adopted, str(copy), "Mine"), timeout=120)
    load_rig(download(client, adopted, "rig.npz"))
    assert download(client, adopted, "texture.png").startswith(b"\x89PNG")
