"""The whole stage on real and rendered photos."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from backend.photo import observe
from backend.photo.detectors import Detectors
from backend.photo.mirror import FACE_MIRROR
from backend.photo.people import find_people
from shared.errors import VivantError
from tests.conftest import EXAMPLES


@pytest.fixture(scope="module")
def astronaut():
    return observe(EXAMPLES / "astronaut.png")


@pytest.fixture(scope="module")
def pixels():
    return np.asarray(Image.open(EXAMPLES / "astronaut.png").convert("RGB"))


def refused(path, **wishes):
    with pytest.raises(VivantError) as caught:
        observe(path, **wishes)
    return str(caught.value)


def test_astronaut(astronaut):
    assert astronaut.rgb.shape == astronaut.foreground.shape == (512, 512, 3) and astronaut.alpha.shape == (512, 512)
    assert astronaut.face.points.shape == (478, 2) and astronaut.face.confidence.min() > 0.8
    assert not astronaut.left_hand.found and not astronaut.right_hand.found
    assert astronaut.notes == ("Not in the photo: knees, feet.",)  # that no hand is seen the fit says
    assert (astronaut.body.confidence[25:] == 0).all()  # knees and feet are below the picture
    assert np.abs(astronaut.face.points[1] - [220, 133]).max() < 8  # the tip of the nose, by eye
    assert astronaut.alpha[130, 220] == 1 and astronaut.alpha[400, 150] == 1
    assert astronaut.alpha[:60, :100].max() == 0 and astronaut.alpha[60:200, 400:].max() == 0
    assert astronaut.providers["matte"].startswith("mediapipe 0.10.21")


def test_anatomical_left_is_image_right(astronaut):
    assert astronaut.body.points[11, 0] > astronaut.body.points[12, 0]
    assert astronaut.face.points[263, 0] > astronaut.face.points[33, 0]
    assert astronaut.body_world[11, 0] > astronaut.body_world[12, 0]


@pytest.mark.slow
def test_landmarks_follow_the_picture_through_scale_shift_and_mirror(astronaut, pixels, tmp_path):
    """Guards the half pixel: a constant bias of the detector would not scale with the picture."""
    larger = cv2.resize(pixels, None, fx=1.6, fy=1.6, interpolation=cv2.INTER_CUBIC)
    Image.fromarray(np.ascontiguousarray(larger[:, ::-1])).save(tmp_path / "a.png")
    other = observe(tmp_path / "a.png")
    back = other.face.points[FACE_MIRROR] * (-1, 1) + (larger.shape[1], 0)
    difference = back / 1.6 - astronaut.face.points
    assert np.abs(difference.mean(axis=0)).max() < 0.25 and np.linalg.norm(difference, axis=1).mean() < 0.8


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["a", "b"])
def test_matte_and_hands_against_the_truth(truth, subject):
    folder = truth / f"subject_{subject}"
    found = observe(folder / "photo.png")
    alpha = np.asarray(Image.open(folder / "photo_rgba.png"))[..., 3] / 255
    ours, theirs = found.alpha > 0.5, alpha > 0.5
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.985
    assert np.abs(found.alpha - alpha).mean() < 0.006
    assert found.left_hand.found and found.right_hand.found
    x0, y0, x1, y1 = found.box
    assert max(x1 - x0, y1 - y0) <= 1024 and found.notes == ()


def test_photos_own_alpha_is_taken_and_large_photos_are_scaled_down(truth, tmp_path):
    path = truth / "subject_a" / "photo_rgba.png"
    larger = Image.open(path).resize((1152, 2048))
    larger.save(tmp_path / "a.png")
    found = observe(tmp_path / "a.png")
    assert max(found.box[2] - found.box[0], found.box[3] - found.box[1]) <= 1024
    small = cv2.resize(np.asarray(larger), found.alpha.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(found.alpha - small[..., 3] / 255).mean() < 0.002
    assert "alpha channel" in found.providers["matte"]


def test_several_people_are_numbered_from_the_left(pixels, tmp_path):
    pair = np.concatenate([pixels, pixels[:, ::-1]], axis=1)
    Image.fromarray(pair).save(tmp_path / "a.png")
    with Detectors() as detectors:
        assert len(find_people(pair, detectors)) == 2
    second = observe(tmp_path / "a.png", person=2)
    assert "2 people" in second.notes[0] and "person 2 from the left was taken, as asked" in second.notes[0]
    assert second.face.points[:, 0].min() > 512 and second.alpha[:, :400].max() == 0
    assert "persons 1 to 2" in refused(tmp_path / "a.png", person=5)


def test_refusals_name_the_cause(pixels, tmp_path):
    def saved(image):
        Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / "a.png")
        return tmp_path / "a.png"

    assert "No person" in refused(saved(np.full((300, 300, 3), 128, np.uint8)))
    tiny = np.full((600, 600, 3), 200, np.uint8)
    tiny[250:350, 250:350] = cv2.resize(pixels, (100, 100), interpolation=cv2.INTER_AREA)
    assert "pixels large" in refused(saved(tiny))
    hidden = pixels.copy()
    hidden[60:190, 165:290] = 128
    assert "covered, turned away" in refused(saved(hidden))
    assert refused(saved(pixels[:, 225:]))  # half the face is beyond the edge


def test_nothing_is_written_to_the_terminal():
    code = """
import sys
from backend.photo.decode import read_photo
from backend.photo.detectors import Detectors
from backend.photo.landmarks import measure
from backend.photo.mirror import FACE_MIRROR
from backend.photo.people import find_people
from pathlib import Path
rgb = read_photo(Path(sys.argv[1])).rgb
with Detectors() as detectors:
    person = find_people(rgb, detectors)[0]
    measure(rgb, person, detectors)
    detectors.person_mask(rgb)
"""
    command = [sys.executable, "-W", "ignore", "-c", code, str(EXAMPLES / "astronaut.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "" and done.stderr == ""
