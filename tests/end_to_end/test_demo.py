"""What `vivant demo` leaves, opened as a user would: the folder in `VIVANT_DEMO` (`.ci/run` made it), or made here."""

import itertools
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from backend import perform
from backend.album import TURN_DEGREES
from backend.avatar.files import load_avatar
from backend.cli import DONE, main
from backend.pipeline import BuildSettings
from backend.rendering.render import render_frames
from backend.training.settings import TrainingSettings
from shared.motion import Motion
from shared.skeleton import JOINT_INDEX
from shared.speech import SHUT
from shared.talking import talking_motion
from tests.conftest import EXAMPLES
from tests.test_pipeline import FILES
from tests.test_report import read

pytestmark = pytest.mark.slow

SECTIONS = ("Seen anew", "Training", "Time and memory", "Providers used", "Settings", "Licences")


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    """The whole demo, as it comes."""
    given = os.environ.get("VIVANT_DEMO")
    folder = Path(given) if given else tmp_path_factory.mktemp("portrait") / "demo"
    if not given:
        assert main(["demo", "--out", str(folder)]) == DONE
    return folder


@pytest.fixture(scope="module")
def full_body(tmp_path_factory):
    """The other example, in little time: coarse, hardly trained, and a third of a second of talking."""
    coarse = TrainingSettings(texture=128, size=256, steps=3)
    folder = tmp_path_factory.mktemp("full_body") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perform, "BuildSettings", partial(BuildSettings, training=coarse))
        patch.setattr(perform, "DEMO_SECONDS", 0.32)
        assert main(["demo", "--full-body", "--out", str(folder)]) == DONE
    return folder


@pytest.fixture(params=["portrait", "full_body"])
def folder(request):
    return request.getfixturevalue(request.param)


def test_the_folder_holds_what_was_promised_and_no_more(folder):
    assert {path.name for path in folder.iterdir()} == {"avatar", "talk.mp4", "still.png", "turn.png", "report.html"}
    assert {path.name for path in (folder / "avatar").iterdir()} == FILES


def test_the_avatars_can_be_loaded_and_look_like_the_photo(portrait, full_body, model):
    avatar, coarse = load_avatar(portrait / "avatar", model), load_avatar(full_body / "avatar", model)
    assert len(avatar.face) > 100_000 and avatar.info["photo_psnr_db"] > 32
    assert len(coarse.face) > 5_000 and coarse.info["photo_psnr_db"] > 20
    for info in (avatar.info, coarse.info):
        assert info["peak_mb"] is None or 500 < info["peak_mb"] < 4000
        assert {"landmarks", "matte", "body", "drawing"} == info["providers"].keys()
        assert {"landmarks", "matte", "body"} == info["licences"].keys()


def test_the_still_is_the_person_over_white(portrait, full_body):
    for folder, least, most, apart in ((portrait, 0.3, 0.9, 12), (full_body, 0.1, 0.6, 25)):
        still = np.asarray(Image.open(folder / "still.png")).astype(float)
        matte = np.asarray(Image.open(folder / "avatar" / "matte.png")).astype(float)
        person, nothing = matte[..., 3] == 255, matte[..., 3] == 0
        assert least < person.mean() < most
        assert np.abs(still[person] - matte[person][:, :3]).mean() < apart
        assert still[nothing].mean() > 245


def test_a_contact_sheet_shows_the_photo_and_what_became_of_it(portrait, tmp_path):
    sheet = tmp_path / "sheet.png"
    subprocess.run([sys.executable, EXAMPLES / "contact_sheet.py", sheet, portrait, portrait], check=True)
    picture, photo = Image.open(sheet), Image.open(portrait / "avatar" / "photo.png")
    height = (picture.height - 8) // 2
    shown = np.asarray(picture.crop((0, 0, round(height * photo.width / photo.height), height))).astype(float)
    expected = np.asarray(photo.convert("RGB").resize(shown.shape[1::-1])).astype(float)
    assert picture.width == 1600 and np.abs(shown - expected).mean() < 8
    rest = np.asarray(picture)[:height, shown.shape[1] :]
    assert 0.2 < (rest < 250).any(2).mean() < 0.8


def test_the_five_views_differ_and_each_shows_somebody(folder):
    strip = np.asarray(Image.open(folder / "turn.png").convert("RGB")).astype(float)
    views = np.array_split(strip, len(TURN_DEGREES), axis=1)
    assert all(view.std() > 20 for view in views)
    width = min(view.shape[1] for view in views)
    for one, other in itertools.pairwise(views):
        assert np.abs(one[:, :width] - other[:, :width]).mean() > 4


def test_the_video_talks_for_six_seconds(portrait, full_body):
    for folder, count in ((portrait, 150), (full_body, 8)):
        with av.open(str(folder / "talk.mp4")) as video:
            assert float(video.streams.video[0].average_rate) == pytest.approx(25)
            pictures = [frame.to_ndarray(format="rgb24")[::4, ::4].astype(float) for frame in video.decode(video=0)]
        assert len(pictures) == count
        assert all(picture.mean() > 40 and picture.std() > 20 for picture in pictures)
        moved = [np.abs(after - before).mean() for before, after in itertools.pairwise(pictures)]
        assert np.mean(np.array(moved) > 0.05) > 0.9 and max(moved) < 20
    assert max(np.abs(picture - pictures[0]).mean() for picture in pictures) > 0.2


def test_a_blink_covers_the_eyes_with_skin(portrait, model):
    avatar = load_avatar(portrait / "avatar", model)
    fit = avatar.registration
    talk = talking_motion(6.0, 25.0).placed(fit.full_pose[:3], fit.transl)
    blinks = [talk.expression_names.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    frame = int(talk.expression[:, blinks[0]].argmax())
    assert talk.expression[frame, blinks[0]] > 0.95 * SHUT
    expression = np.repeat(talk.expression[frame : frame + 1], 2, axis=0)
    expression[0, blinks] = 0  # as if the eyes had stayed open
    pose, transl = (np.repeat(values[frame : frame + 1], 2, axis=0) for values in (talk.full_pose, talk.transl))
    both = Motion(pose, transl, expression, talk.expression_names, 25.0)
    camera = fit.camera.resized(2 * fit.camera.width, 2 * fit.camera.height)
    opened, shut = (image.rgb for image in render_frames(avatar, model, both, [camera]))
    mapped = model.map_expression(talk.expression_names, expression)[0]
    shaped = model.shape(torch.as_tensor(fit.betas).float())
    joints = model.pose(shaped, *(torch.as_tensor(values).float() for values in (pose, transl, mapped))).joints[0]
    for eye in ("left_eye", "right_eye"):
        centre = joints[JOINT_INDEX[eye]].numpy()
        skin = _colour(opened, camera, centre - [0, 0.03, 0])  # of the cheek
        bared = np.linalg.norm(_colour(opened, camera, centre) - skin)
        assert np.linalg.norm(_colour(shut, camera, centre) - skin) < 0.5 * bared and bared > 0.3


def _colour(picture, camera, point, radius=0.005):
    """The mean colour [3] of a disc round a point of the world, metres."""
    pixel, depth = (value[0] for value in camera.project(point[None]))
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    inside = np.hypot(columns - pixel[0], rows - pixel[1]) < radius * camera.K[0, 0] / depth
    return picture[inside].mean(axis=0)


def test_the_report_needs_nothing_else_and_says_everything(folder):
    html = (folder / "report.html").read_text(encoding="utf-8")
    seen = read(html)
    assert len(seen.sources) == 5 and all(source.startswith("data:image/") for source in seen.sources)
    assert "script" not in seen.tags and "link" not in seen.tags and "url(" not in html
    text = " ".join(seen.words)
    for words in (*SECTIONS, "mediapipe", "numba", "Apache-2.0", "CC0-1.0", "training", "in all"):
        assert words in text
