"""The mock speaks the real protocol, and what it draws obeys pose, camera, alpha and depth."""

import hashlib
import os
import struct
import time
import zlib

import numpy as np
import pytest
import zmq

from shared.camera import Camera
from shared.errors import VivantError
from shared.mock import MockServer, views
from shared.mock.drawing import draw
from shared.mock.person import CAPSULES, EXPRESSIONS, REST, joint_transforms, posed
from shared.mock.png import picture_size, png
from shared.rig import load_rig, rig_bytes
from shared.rotations import matrices_from_axis_angles
from shared.skeleton import JOINT_INDEX
from shared.wire import calls
from shared.wire import messages as m
from shared.wire.codec import Envelope, decode, encode
from shared.wire.connection import connection_file, load_connection
from shared.wire.errors import WireError
from shared.wire.sockets import CONTROL, client_socket, connect, new_context
from tests.conftest import EXAMPLES


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MockServer(tmp_path_factory.mktemp("data"), pace=0.02)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server):
    with calls.connect(server.connection) as client:
        yield client


@pytest.fixture(scope="module")
def avatar(server):
    """A finished build."""
    with calls.connect(server.connection) as client:
        return build(client, photo())


def photo(width=120, height=180):
    return png(np.full((height, width, 3), 128, np.uint8))


def build(client, data, task="build", **more):
    job = calls.new_id()
    client.call(m.JobSubmit(job, task, calls.upload(client, data), "Ann", **more))
    calls.finish(client, job)
    return job


def motion(frames=1, width=160, height=120):
    camera = views.photo_camera(width, height)
    return {
        "full_pose": np.tile(views.photo_pose(), (frames, 1)).astype("f4"),
        "transl": np.zeros((frames, 3), "f4"),
        "expression": np.zeros((frames, 1), "f4"),
        "K": camera.K[None].astype("f4"),
        "world_to_camera": camera.world_to_camera[None].astype("f4"),
    }


# The service


def test_a_slow_reader_misses_nothing(server, avatar):
    """More than ZeroMQ queues, asked for by one who does not read yet."""
    context = new_context()
    peer = client_socket(context, CONTROL, server.connection)
    peer.set(zmq.RCVBUF, 4096)
    connect(peer, CONTROL, server.connection)
    asked = [Envelope(m.JobEvents(avatar, 0)) for _ in range(250)]
    for envelope in (Envelope(m.Hello(calls.new_id())), *asked):
        peer.send_multipart(encode(envelope))
    time.sleep(1)
    answered = set()
    while len(answered) < len(asked) and peer.poll(10_000):
        answered |= {decode(peer.recv_multipart()).re} & {envelope.id for envelope in asked}
    context.destroy(linger=0)
    assert len(answered) == len(asked)


def test_a_build_tells_its_stages_shows_previews_and_leaves_files(client):
    job, previews = calls.new_id(), []
    client.call(m.JobSubmit(job, "build", calls.upload(client, (EXAMPLES / "astronaut.png").read_bytes()), "Ann"))
    events = list(calls.follow(client, job, on_preview=previews.append))
    assert [event.info.last_event for event in events] == list(range(1, len(events) + 1))
    stages = [event.info.stage for event in events if event.info.stage]
    assert list(dict.fromkeys(stages)) == ["photo", "registration", "training", "pictures"]
    assert [event.info.state for event in (events[0], events[1], events[-1])] == ["queued", "running", "finished"]
    assert min(event.info.eta_s for event in events[2:]) >= 0 and events[-1].info.step == events[-1].info.total
    assert len(previews) >= 5 and all(preview.shape[2] == 3 for preview in previews)
    files = {one.name: one for one in client.call(m.FilesList(job)).message.files}
    pictures = {"overlay.png", "preview.png", "turn.png", "texture.png", "photo.png"}
    assert files.keys() == pictures | {"report.html", "rig.npz", "registration.npz"}
    for name, one in files.items():
        assert hashlib.sha256(calls.download(client, job, name)).hexdigest() == one.sha256
    (info,) = (one for one in client.call(m.AvatarList()).message.avatars if one.avatar == job)
    assert info.name == "Ann" and info.size == sum(one.size for one in files.values())


def test_a_register_job_has_overlay_and_rig_and_a_build_goes_on_from_it(client):
    job = build(client, photo(), "register")
    assert picture_size(calls.download(client, job, "overlay.png")) == (513, 768)
    assert load_rig(calls.download(client, job, "rig.npz")).image_size.tolist() == [120, 180]
    again = calls.new_id()
    sha256 = hashlib.sha256(photo()).hexdigest()
    pose = {"full_pose": views.photo_pose()[None].astype("f4"), "transl": np.zeros((1, 3), "f4")}
    client.call(m.JobSubmit(again, "build", sha256, registration=job), pose)
    stages = {event.info.stage for event in calls.follow(client, again)}
    assert stages == {"", "training", "pictures"}


def test_a_job_is_cancelled_resumed_and_forgotten(server):
    slow = MockServer(connection_folder(server, "slow"), pace=3.0)
    with calls.connect(slow.start()) as client:
        job = calls.new_id()
        client.call(m.JobSubmit(job, "register", calls.upload(client, photo())))
        with pytest.raises(WireError) as raised:
            client.call(m.JobForget(job))
        assert raised.value.code == "conflict"
        states = []
        for event in calls.follow(client, job):
            states.append(event.info.state)
            if event.info.step == 1:
                client.call(m.JobCancel(job))
        assert states[-1] == "cancelled"
        assert client.call(m.JobResume(job)).message.info.step == event.info.step
        client.call(m.JobCancel(job))
        assert "cancelled" in client.call(m.JobLog(job)).message.text
        client.call(m.JobForget(job))
        assert client.call(m.JobList()).message.jobs == ()
    slow.stop()


def connection_folder(server, name):
    return server._file.parent.parent / name


def test_the_same_submit_again_is_the_same_job_and_another_one_a_conflict(client):
    message = m.JobSubmit(calls.new_id(), "register", calls.upload(client, photo()))
    client.call(message)
    assert client.call(message).message.info.job == message.job
    with pytest.raises(WireError) as raised:
        client.call(m.JobSubmit(message.job, "build", message.photo))
    assert raised.value.code == "conflict"
    calls.finish(client, message.job)


@pytest.mark.parametrize(("data", "code"), [(b"GIF89a" + bytes(50), "bad_photo"), (photo(40, 40), "no_person")])
def test_a_photo_that_cannot_be_used_fails_the_job_with_its_code(client, data, code):
    with pytest.raises(WireError) as raised:
        build(client, data)
    assert raised.value.code == code


def test_an_upload_goes_on_where_it_ended_and_damage_is_noticed(client):
    data = os.urandom(100)
    sha256 = hashlib.sha256(data).hexdigest()
    half = np.frombuffer(data[:50], "u1")
    client.call(m.AssetPut(sha256, 100, 0), {"data": half})
    assert client.call(m.AssetPut(sha256, 100)).message.offset == 50
    with pytest.raises(WireError) as raised:
        client.call(m.AssetPut(sha256, 100, 50), {"data": half})
    assert raised.value.code == "wrong_hash"
    assert calls.upload(client, data) == sha256


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (m.JobCancel(calls.new_id()), "unknown_job"),
        (m.AvatarOpen(calls.new_id()), "unknown_avatar"),
        (m.FilesList(calls.new_id()), "unknown_avatar"),
        (m.JobSubmit(calls.new_id(), "build", "0" * 64), "unknown_file"),
        (m.AvatarImport(calls.new_id(), "somewhere"), "unknown_kind"),
        (m.Pong(), "unknown_kind"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_what_is_not_there_is_refused_with_its_code(client, message, code):
    with pytest.raises(WireError) as raised:
        client.call(message)
    assert raised.value.code == code


def test_avatars_are_opened_renamed_freed_and_deleted(client):
    avatar = build(client, photo())
    assert client.call(m.AvatarOpen(avatar)).message.info.open
    used = client.call(m.StatusGet()).message
    assert used.open_avatars == 1 and used.memory_used > 0 and "mock" in used.notes[0]
    assert client.call(m.MemoryFree()).message.memory_used == 0
    assert client.call(m.AvatarRename(avatar, "Bea")).message.info.name == "Bea"
    client.call(m.AvatarDelete(avatar))
    assert avatar not in [one.avatar for one in client.call(m.AvatarList()).message.avatars]


@pytest.mark.parametrize(("pixels", "dtype"), [("rgba8", "u1"), ("half", "f2")])
def test_frames_come_in_order_with_the_camera_of_each(client, avatar, pixels, dtype):
    buffers = motion(5)
    for name in ("K", "world_to_camera"):
        buffers[name] = np.tile(buffers[name], (5, 1, 1))
    buffers["K"][:, 0, 2] += np.arange(5) * 4
    request = m.RenderFrames(calls.new_id(), avatar, 160, 120, first=-2, pixels=pixels, expression_names=("jawOpen",))
    frames = list(calls.frames(client, request, buffers))
    assert [number for number, _, _ in frames] == [-2, -1, 0, 1, 2]
    for k, (_, rgba, depth) in enumerate(frames):
        assert rgba.shape == (120, 160, 4) and rgba.dtype == dtype
        np.testing.assert_array_equal(rgba[:, 4 * k :], frames[0][1][:, : 160 - 4 * k])
        assert depth[rgba[..., 3] > 0].min() > 1
    assert calls.finish(client, request.job).state == "finished"


def test_a_live_frame_is_the_final_one_to_within_its_steps(client, avatar):
    buffers = motion()
    names = ("jawOpen",)
    rgba, depth = calls.live(client, m.RenderLive(calls.new_id(), 3, avatar, 160, 120, names), buffers)
    request = m.RenderFrames(calls.new_id(), avatar, 160, 120, pixels="rgba8", expression_names=names)
    ((_, final, exact),) = calls.frames(client, request, buffers)
    np.testing.assert_array_equal(rgba, final)
    seen = rgba[..., 3] > 0
    assert np.abs(depth - exact)[seen].max() < 1e-4


def test_leaving_the_frames_early_cancels_the_job(client, avatar):
    request = m.RenderFrames(calls.new_id(), avatar, 160, 120, expression_names=("jawOpen",))
    for _ in calls.frames(client, request, motion(50)):
        break
    assert [event.info.state for event in calls.follow(client, request.job)][-1] == "cancelled"


def test_a_live_frame_of_nothing_is_refused_by_name(client):
    with pytest.raises(WireError) as raised:
        calls.live(client, m.RenderLive(calls.new_id(), 1, calls.new_id(), 64, 64, ("jawOpen",)), motion())
    assert raised.value.code == "unknown_avatar"


def test_the_connection_file_is_the_connection_and_goes_with_the_server(tmp_path):
    server = MockServer(tmp_path)
    connection = server.start()
    assert load_connection(connection_file(tmp_path)) == connection
    with calls.connect(connection) as client:
        client.call(m.ServerStop())
        server.wait()
    assert not connection_file(tmp_path).exists()


def test_a_folder_that_takes_no_file_ends_it_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    server = MockServer(tmp_path / "file")
    with pytest.raises(VivantError, match="data folder"):
        server.start()
    assert not server._thread.is_alive()


# The person


def one_camera():
    return views.photo_camera(200, 300)


def test_the_pose_turns_what_hangs_on_a_joint_and_nothing_else():
    pose = np.zeros(165)
    joint = JOINT_INDEX["left_elbow"]
    turn = np.array([0.3, -0.8, 0.5])
    pose[3 * joint : 3 * joint + 3] = turn
    starts, ends = posed(pose, np.zeros(3), {})
    rest, _ = posed(np.zeros(165), np.zeros(3), {})
    _, places = joint_transforms(pose)
    wrist = matrices_from_axis_angles(turn) @ (REST[JOINT_INDEX["left_wrist"]] - REST[joint]) + REST[joint]
    np.testing.assert_allclose(places[JOINT_INDEX["left_wrist"]], wrist, atol=1e-12)
    (forearm,) = (k for k, capsule in enumerate(CAPSULES) if capsule.joint == joint)
    np.testing.assert_allclose(ends[forearm], wrist, atol=1e-12)
    right = [k for k, capsule in enumerate(CAPSULES) if "right" in str(capsule.part) or capsule.joint in (0, 1, 2, 15)]
    np.testing.assert_allclose(starts[right], rest[right], atol=1e-12)


def test_moving_the_person_is_moving_the_camera_the_other_way():
    shift = np.array([0.3, -0.1, 0.4])
    camera = one_camera()
    moved = camera.world_to_camera.copy()
    moved[:3, 3] += moved[:3, :3] @ shift
    pose = views.photo_pose()
    one = draw(*posed(pose, shift, {}), camera)
    other = draw(*posed(pose, np.zeros(3), {}), Camera(200, 300, camera.K, moved))
    for a, b in zip(one, other, strict=True):
        assert np.mean(np.abs(a - b) > 1e-3) < 1e-3  # float32 decides a few edge pixels


def test_depth_is_planar_and_metric():
    """Against the spheres that capsules are made of: the depth of the eye's pixel is where the ray enters the eye."""
    camera = one_camera()
    rgb, alpha, depth = draw(*posed(views.photo_pose(), np.zeros(3), {}), camera)
    k = next(k for k, capsule in enumerate(CAPSULES) if capsule.color == (0.16, 0.22, 0.28))
    centre = posed(views.photo_pose(), np.zeros(3), {})[0][k]
    (pixel,), (far,) = camera.project(centre[None])
    x, y = pixel.astype(int)
    assert alpha[y, x] == 1 and abs(depth[y, x] - (far - CAPSULES[k].radius)) < 0.004
    assert ((depth == 0) == (alpha == 0)).all() and (rgb <= alpha[..., None] + 1e-6).all()


def test_edges_are_soft_and_the_silhouette_keeps_its_area():
    """Alpha summed over a picture is an area: it must not depend on where the pixels fall."""
    areas = []
    for shift in np.linspace(0, 1, 5):
        camera = one_camera()
        camera.K[:2, 2] += shift
        _, alpha, _ = draw(*posed(views.photo_pose(), np.zeros(3), {}), camera)
        areas.append(alpha.sum())
        assert ((alpha > 0.05) & (alpha < 0.95)).sum() > 300
    assert np.ptp(areas) < 0.002 * areas[0]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_moves_the_face_in_picture_and_rig_alike(name):
    camera = one_camera().cropped(75, 40, 125, 110).resized(150, 210)
    still, moved = (draw(*posed(views.photo_pose(), np.zeros(3), {name: weight}), camera)[0] for weight in (0, 1))
    assert np.abs(still - moved).max() > 0.1
    rig = views.rig(200, 300)
    vertices, deltas = rig.expression_delta(name)
    assert len(vertices) and 0.004 < np.abs(deltas).max() < 0.08


def test_the_rig_lies_on_what_is_drawn():
    rig = load_rig(rig_bytes(views.rig(200, 300)))
    camera = Camera(*rig.image_size, rig.K.astype(float), rig.world_to_camera.astype(float))
    turns, places = joint_transforms(rig.full_pose)
    joint = rig.skin_joints[:, 0]
    rest = rig.vertices - rig.joints[joint]
    vertices = np.einsum("vij,vj->vi", turns[joint], rest) + places[joint] + rig.transl
    pixels, far = camera.project(vertices)
    _, alpha, depth = draw(*posed(rig.full_pose, rig.transl, {}), camera)
    x, y = np.clip(pixels.astype(int), 0, [199, 299]).T
    inside = alpha[y, x] > 0.99
    before = depth[y, x] - far  # metres by which a vertex stands out of the surface
    assert inside.mean() > 0.8 and np.quantile(before[inside], 0.98) < 0.01 and (np.abs(before) < 0.01).mean() > 0.2


def test_the_rig_s_faces_look_outward():
    rig = views.rig(200, 300)
    corners = rig.vertices[rig.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    k = np.searchsorted(np.cumsum([72] * len(CAPSULES)), rig.faces[:, 0], side="right")
    middle = np.array([(CAPSULES[i].start + CAPSULES[i].end) / 2 for i in k])
    assert (np.sum(normals * (corners.mean(axis=1) - middle), axis=1) >= -1e-12).all()


# Pictures


@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_holds_its_pixels(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    data = png(pixels)
    at = data.index(b"IDAT")
    (size,) = struct.unpack(">I", data[at - 4 : at])
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), np.uint8).reshape(5, -1)
    np.testing.assert_array_equal(rows[:, 1:].reshape(5, 7, channels), pixels)
    assert picture_size(data) == (7, 5)


def test_pillow_reads_our_png_and_we_the_size_of_its_jpeg(tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(png(pixels))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + bytes(40))
    assert picture_size((tmp_path / "a.jpg").read_bytes()) == (7, 5)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\0" * 5, b"\xff\xd8\xff\xe0\xff\xff"]
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(WireError) as raised:
        picture_size(data)
    assert raised.value.code == "bad_photo"
