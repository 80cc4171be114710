"""A finished avatar performs."""

from dataclasses import replace

import av
import numpy as np
import OpenEXR
import pytest
from PIL import Image

from backend import perform
from backend.album import person_centre, photo_pose, photo_views, portrait_camera
from backend.avatar.files import load_avatar, save_avatar
from backend.perform import RenderSettings, render
from backend.progress import silent
from backend.rendering.views import fitted, orbit
from backend.stages import Avatar, Light
from shared.camera import save_cameras
from shared.errors import VivantError
from shared.talking import talking_motion
from tests.standing import standing

SMALL = RenderSettings(size=(48, 64), device="cpu")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """Every eighth triangle carries a grey Gaussian."""
    face = np.arange(0, len(model.faces), 8, dtype=np.int32)
    avatar = Avatar(
        face=face,
        barycentric=np.full((len(face), 3), 1 / 3, np.float32),
        offset=np.zeros((len(face), 3), np.float32),
        log_scale=np.full((len(face), 1), np.log(0.02), np.float32),
        rgb=np.zeros((len(face), 3), np.float32),
        rgb_photo=np.zeros((len(face), 3), np.float32),
        visibility=np.ones(len(face), np.float32),
        light=Light(np.zeros(3), np.zeros(3)),
        registration=replace(standing(model), transl=np.array([0.3, 0.0, -0.5], np.float32)),
        info={},
    )
    path = tmp_path_factory.mktemp("avatar")
    save_avatar(path, avatar)
    return path


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    path = tmp_path_factory.mktemp("motion") / "talk.npz"
    talking_motion(0.5, 10.0).save(path)  # five frames
    return path


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, True),
        ({"avatar.1234.partial/observations.npz": ""}, True),
        ({"avatar/avatar.json": '{"photo_sha256": "mine"}'}, True),
        ({"avatar/avatar.json": '{"photo_sha256": "mine"}', "report.html": ""}, False),
        ({"avatar/avatar.json": '{"photo_sha256": "another"}'}, False),
        ({"avatar/avatar.json": "{}"}, False),
        ({"avatar/notes.txt": ""}, False),
    ],
)
def test_a_demo_goes_on_in_its_own_unfinished_folder_alone(tmp_path, files, free):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert perform._is_free(tmp_path, "mine") is free


def test_frames_become_numbered_pictures(folder, motion, tmp_path):
    assert render(folder, motion, tmp_path / "out", SMALL) == tmp_path / "out"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{number:06d}.png" for number in range(5)]
    picture = np.asarray(Image.open(tmp_path / "out" / "000000.png"))
    assert picture.shape == (64, 48, 4) and picture[..., 3].max() > 200 and picture[0, 0, 3] == 0


def test_a_range_keeps_the_motions_numbers_and_pictures(folder, motion, tmp_path):
    render(folder, motion, tmp_path / "all", SMALL)
    render(folder, motion, tmp_path / "some", replace(SMALL, frames=(2, 3)))
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["000002.png", "000003.png"]
    assert (tmp_path / "some" / "000002.png").read_bytes() == (tmp_path / "all" / "000002.png").read_bytes()


def test_exr_frames_carry_depth(folder, motion, tmp_path):
    render(folder, motion, tmp_path, replace(SMALL, format="exr", frames=(0, 0)))
    with OpenEXR.File(str(tmp_path / "000000.exr"), separate_channels=True) as file:
        depth = file.channels()["Avatar.Depth.Z"].pixels
        alpha = file.channels()["Avatar.Combined.A"].pixels
    assert np.median(depth[alpha > 0.9]) == pytest.approx(3.5, abs=0.3) and (depth[alpha == 0] == 1e10).all()


def test_a_video_has_the_motions_length_and_rate(folder, motion, tmp_path):
    render(folder, motion, tmp_path / "talk.mp4", SMALL)
    with av.open(str(tmp_path / "talk.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 5
        assert float(video.streams.video[0].average_rate) == pytest.approx(10)
    render(folder, motion, tmp_path / "fast.mp4", replace(SMALL, fps=20.0))
    with av.open(str(tmp_path / "fast.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 9


def test_the_performance_starts_where_the_person_stands(folder, motion, tmp_path, model):
    """Only arms and face differ from the photo's own view."""
    avatar = load_avatar(folder, model)
    render(folder, motion, tmp_path, replace(SMALL, frames=(0, 0)))
    drawn = np.asarray(Image.open(tmp_path / "000000.png"))[..., 3] > 127
    (view,) = photo_views(avatar, model, [fitted(avatar.registration.camera, 48, 64)], silent)
    photo = view.alpha > 0.5
    assert (drawn & photo).sum() > 0.7 * photo.sum()


def test_nameless_expressions_made_for_the_avatars_body_move_its_face(folder, tmp_path, model):
    faces = np.zeros((2, len(model.expression_names)))
    faces[1, model.expression_names.index("jawOpen")] = 1.0
    still = {"poses": np.zeros((2, 165)), "trans": np.zeros((2, 3)), "fps": 10.0, "up_axis": "y"}
    np.savez(tmp_path / "mine.npz", **still, expression=faces, body_sha256=model.sha256)
    np.savez(tmp_path / "foreign.npz", **still, expression=faces)
    close = replace(SMALL, size=(300, 400))
    for name, moves in (("mine", True), ("foreign", False)):
        notes = []
        render(
            folder, tmp_path / f"{name}.npz", tmp_path / name, close, progress=lambda e, n=notes: n.append(e.message)
        )
        first, second = (Image.open(tmp_path / name / f"{number:06d}.png").tobytes() for number in range(2))
        assert (first != second) is moves and any("dropped" in note for note in notes) is not moves


def test_a_camera_file_is_obeyed(folder, motion, tmp_path, model):
    camera = load_avatar(folder, model).registration.camera
    save_cameras(tmp_path / "camera.json", [camera.resized(30, 40)])
    settings = RenderSettings(camera=tmp_path / "camera.json", frames=(0, 0), device="cpu")
    render(folder, motion, tmp_path / "out", settings)
    assert Image.open(tmp_path / "out" / "000000.png").size == (30, 40)


def test_what_cannot_be_done_is_said_before_anything_is_drawn(folder, motion, tmp_path):
    with pytest.raises(VivantError, match="no output format gif"):
        render(folder, motion, tmp_path / "out", replace(SMALL, format="gif"))
    with pytest.raises(VivantError, match="not in the motion"):
        render(folder, motion, tmp_path / "out", replace(SMALL, frames=(3, 9)))
    with pytest.raises(VivantError, match="no finished avatar"):
        render(tmp_path, motion, tmp_path / "out", SMALL)
    with pytest.raises(VivantError, match="no motion file"):
        render(folder, tmp_path / "nowhere.npz", tmp_path / "out", SMALL)
    (tmp_path / "file").write_text("")
    with pytest.raises(VivantError, match="Cannot write"):
        render(folder, motion, tmp_path / "file" / "out", SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_albums_cameras_look_at_the_person(folder, model):
    registration = load_avatar(folder, model).registration
    camera = portrait_camera(registration, 100)
    assert max(camera.width, camera.height) == 100
    assert camera.width / camera.height == pytest.approx(
        registration.camera.width / registration.camera.height, abs=0.01
    )
    centre = person_centre(registration, model)
    ahead = [orbit(camera, centre, degrees).project(centre[None]) for degrees in (-60, 0, 60)]
    for pixel, depth in ahead:
        np.testing.assert_allclose(pixel, ahead[1][0], atol=1e-6)
        assert depth == pytest.approx(ahead[1][1])
    assert ahead[1][0][0, 1] == pytest.approx(camera.height / 2, abs=1)


def test_the_albums_cameras_stand_round_what_the_photo_shows(folder, model):
    """Who bows, and is seen from the chest up, is not turned about where the hips would be."""
    registration = load_avatar(folder, model).registration
    bowed = registration.full_pose.copy()
    bowed[0] += 0.6  # radians, forward
    bust = replace(registration, full_pose=bowed)
    upright, ahead = (person_centre(one, model) for one in (registration, bust))
    assert ahead[2] > upright[2] + 0.05
    high = bust.camera.K.copy()
    high[1, 2] += 0.6 * bust.camera.height  # the view ends higher up
    above = replace(bust, camera=replace(bust.camera, K=high))
    assert person_centre(above, model)[2] > ahead[2] + 0.02


def test_the_photos_pose_is_a_motion_of_one_frame(folder, model):
    registration = load_avatar(folder, model).registration
    still = photo_pose(registration)
    assert len(still) == 1 and still.expression_names == registration.expression_names
    np.testing.assert_array_equal(still.full_pose[0], registration.full_pose)
