"""The matte on a drawn figure whose alpha is known, and the choice of its provider."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from backend.photo.matte import choose_provider, given_matte, keep_touching, made_matte, matte_providers
from backend.photo.matting import foreground_colours
from backend.photo.regions import Scene, gaps, skeleton
from shared.errors import VivantError


@pytest.fixture(scope="module")
def drawn():
    """A red figure with an arm off the torso before a green wall; the prior closes the gap and leaks by 4 pixels."""
    rows, columns = np.mgrid[:240, :200]
    alpha = (
        (np.hypot(columns - 100, rows - 45) < 25) | ((abs(columns - 100) < 30) & (rows > 60) & (rows < 220))
    ).astype(float)
    alpha += ((abs(columns - 155) < 9) & (rows > 70) & (rows < 170)) | (
        (rows > 70) & (rows < 85) & (columns > 100) & (columns < 160)
    )
    alpha = np.clip(alpha, 0, 1)
    noise = np.random.default_rng(0).normal(0, 6, (240, 200, 3))
    rgb = np.clip(alpha[..., None] * [200, 60, 50] + (1 - alpha[..., None]) * [60, 150, 90] + noise, 0, 255)
    prior = np.where(
        (np.hypot(columns - 100, rows - 45) < 29)
        | ((columns > 66) & (columns < 134) & (rows > 58) & (rows < 224))
        | ((columns >= 134) & (columns < 168) & (rows > 66) & (rows < 174)),
        0.98,
        0.02,
    )
    body = np.tile([100.0, 45.0], (33, 1))
    body[[11, 12, 23, 24]] = [[125, 78], [75, 78], [120, 180], [80, 180]]
    body[[13, 15, 14, 16]] = [[155, 78], [155, 160], [78, 110], [80, 150]]
    face = np.stack([100 + 15 * np.cos(np.arange(478)), 45 + 15 * np.sin(np.arange(478))], axis=1)
    confidence = np.zeros(33)
    confidence[[11, 12, 23, 24, 13, 15, 14, 16]] = 1
    scene = Scene(rgb.astype(np.uint8), prior.astype(np.float32), body, confidence, face, [], [], 100.0)
    return scene, alpha


def test_gap_between_arm_and_torso_is_cut(drawn):
    scene, alpha = drawn
    matte = made_matte("mediapipe", scene)
    assert "Apache-2.0" in matte.licence
    both = (matte.alpha > 0.5) & (alpha > 0.5)
    assert both.sum() / ((matte.alpha > 0.5) | (alpha > 0.5)).sum() > 0.95
    assert matte.alpha[100:160, 135:142].mean() < 0.1
    assert gaps(scene)[130, 138] and not skeleton(scene)[130, 138]


def test_a_waist_may_be_slimmer_than_the_line_from_shoulder_to_hip(drawn):
    unsure = gaps(drawn[0])[130]
    assert unsure[121] and not unsure[80:118].any()  # that line is at 122
    sure = skeleton(drawn[0])
    assert sure[130, 119] and not sure[130, 123:140].any() and sure[78, 75:125].all()


def test_the_side_that_is_seen_is_sure_when_the_other_hip_is_not(drawn):
    confidence = drawn[0].confidence.copy()
    confidence[24] = 0
    sure = skeleton(replace(drawn[0], confidence=confidence))
    assert skeleton(drawn[0])[130, 83] and sure[130, 119] and not sure[130, 83:110].any()


def test_gap_is_cut_before_a_wall_in_about_the_mixed_colour_of_the_stripes(drawn):
    """The edges of stripes, half the one and half the other colour, look like the wall."""
    scene, alpha = drawn
    light, dark = np.array([225, 225, 215]), np.array([65, 75, 115])
    share = np.clip(0.5 + 4 * np.sin(np.arange(240) / 4), 0, 1)[:, None, None]
    wall = (light + dark) / 2 + [-25, 12, -12]
    rgb = alpha[..., None] * (share * light + (1 - share) * dark) + (1 - alpha[..., None]) * wall
    noise = np.random.default_rng(0).normal(0, 3, rgb.shape)
    matte = made_matte("mediapipe", replace(scene, rgb=np.clip(rgb + noise, 0, 255).astype(np.uint8)))
    assert matte.alpha[100:160, 135:142].mean() < 0.1


def test_background_does_not_bleed_into_the_colours():
    alpha = np.tile(np.clip((np.arange(60) - 20) / 20, 0, 1), (40, 1))
    rgb = alpha[..., None] * [0.8, 0.2, 0.2] + (1 - alpha[..., None]) * [0.1, 0.8, 0.1]
    seen = alpha > 0.1
    assert np.abs(foreground_colours(rgb, alpha)[seen] - np.array([204, 51, 51])).mean() < 8


def test_pieces_that_touch_nothing_of_the_person_go():
    alpha = np.zeros((20, 30), np.float32)
    alpha[5:15, 2:10] = alpha[5:15, 15:25] = 0.9
    seed = np.zeros((20, 30), bool)
    seed[8, 5] = True
    kept = keep_touching(alpha, seed)
    assert kept[:, :12].sum() == alpha[:, :12].sum() and kept[:, 12:].sum() == 0


def test_given_matte_must_show_the_person(drawn):
    scene, alpha = drawn
    matte = given_matte(alpha.astype(np.float32), scene.rgb, scene)
    assert np.array_equal(matte.foreground, scene.rgb) and "alpha channel" in matte.provider
    assert matte.licence.startswith("none")
    with pytest.raises(VivantError, match="misses the person"):
        given_matte((1 - alpha).astype(np.float32), scene.rgb, scene)


def test_provider_choice(monkeypatch, tmp_path):
    monkeypatch.setattr("backend.photo.matte._rembg_installed", lambda: False)
    assert choose_provider("auto", True) == "photo" and choose_provider("auto", False) == "mediapipe"
    assert choose_provider("mediapipe", True) == "mediapipe"
    assert "pip install" in matte_providers()["rembg"]
    for wish, way_out in (("photo", "another provider"), ("rembg", "pip install"), ("magic", "auto, photo")):
        with pytest.raises(VivantError, match=way_out):
            choose_provider(wish, False)
    monkeypatch.setattr("backend.photo.matte._rembg_installed", lambda: True)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    assert choose_provider("auto", False) == "mediapipe"  # never a download nobody asked for
    (tmp_path / "birefnet-general.onnx").touch()
    assert choose_provider("auto", False) == "rembg"


REMBG = """
from PIL import Image

def new_session(name):
    if name != "birefnet-general":
        raise ConnectionError("no such model")
    return name

def remove(image, session=None, only_mask=False):
    assert session == "birefnet-general" and only_mask
    return image.convert("RGB").getchannel("R").point(lambda red: 255 * (red > 130))
"""
"""What we use of the package, with a session that takes whatever is red for the person."""


@pytest.fixture
def rembg(tmp_path, monkeypatch):
    """A package of that name, found, imported and named as an installed one is."""
    for path, text in (
        ("rembg.py", REMBG),
        ("rembg-2.0.69.dist-info/METADATA", "Name: rembg\nVersion: 2.0.69\n"),
        ("birefnet-general.onnx", ""),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    yield tmp_path
    sys.modules.pop("rembg", None)


def test_rembg_cuts_out_the_person_alone_where_it_is_installed(rembg, drawn):
    scene, alpha = drawn
    rgb = scene.rgb.copy()
    rgb[200:, 180:] = [200, 60, 50]  # somebody else in red, far from the prior
    assert choose_provider("auto", False) == "rembg"
    matte = made_matte("rembg", replace(scene, rgb=rgb))
    assert np.abs(matte.alpha - alpha).mean() < 0.01 and matte.alpha[200:, 180:].max() == 0
    assert matte.provider == "rembg 2.0.69 birefnet-general" and "MIT" in matte.licence


def test_weights_that_cannot_be_fetched_are_said(rembg, drawn, monkeypatch):
    monkeypatch.setattr("backend.photo.matte.REMBG_MODEL", "birefnet-massive")
    with pytest.raises(VivantError, match=r"cannot fetch .* Put it at .*birefnet-massive\.onnx"):
        made_matte("rembg", drawn[0])
