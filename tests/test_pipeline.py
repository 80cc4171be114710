"""The main job with a photo and a fit that are given, so that what the pipeline itself does is seen."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from backend import pipeline
from backend.avatar.files import load_avatar
from backend.pipeline import BuildSettings, Clock, build, register_photo
from backend.progress import Cancelled
from backend.registration.files import load_registration, save_registration
from backend.registration.wearer import wearer_of
from backend.training.settings import TrainingSettings
from shared.errors import VivantError
from tests.standing import photograph, standing

TINY = BuildSettings(training=TrainingSettings(texture=64, size=96, steps=2, device="cpu"))
FILES = {
    *("avatar.json", "gaussians.safetensors", "registration.npz", "report.html"),
    *("photo.png", "matte.png", "overlay.png", "preview.png", "turn.png"),
}


@pytest.fixture(scope="module")
def fit(model):
    return replace(standing(model, height=160), confidence={"body": 0.9}, notes=("Left hand not visible.",))


@pytest.fixture(scope="module")
def observations(fit, model):
    wearer = wearer_of(fit, model)
    return photograph(wearer, np.zeros_like(wearer.vertices), np.full_like(wearer.vertices, 0.5), fit.camera)


@pytest.fixture
def calls(monkeypatch, observations, fit):
    """The photo and the fit are given; the list tells which stages were asked."""
    asked = []

    def observe(photo, **_):
        asked.append("observe")
        return observations

    def register(seen, model, **_):
        asked.append("register")
        return fit

    monkeypatch.setattr(pipeline, "observe", observe)
    monkeypatch.setattr(pipeline, "register", register)
    return asked


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(b"a photo, as far as its fingerprint goes")
    return path


def interrupted(photo, out, settings=TINY):
    """Build until the first training step."""

    def stop(event):
        if event.stage == "training":
            raise Cancelled

    with pytest.raises(Cancelled):
        build(photo, out, settings, progress=stop)
    return sorted(out.parent.glob(f"{out.name}.*.partial"))


def test_a_build_makes_the_whole_folder_and_nothing_else(calls, photo, tmp_path, model, fit):
    out = tmp_path / "avatars" / "me"
    assert build(photo, out, TINY) == out
    assert {path.name for path in out.iterdir()} == FILES
    assert list(out.parent.iterdir()) == [out]
    assert calls == ["observe", "register"]
    avatar = load_avatar(out, model)
    assert avatar.registration.notes == fit.notes and len(avatar.face) > 1000
    info = json.loads((out / "avatar.json").read_text(encoding="utf-8"))
    assert info["settings"]["steps"] == 2 and info["photo_psnr_db"] > 5
    assert {"photo", "registration", "training"} <= set(info["seconds"])
    size = (fit.camera.width, fit.camera.height)
    assert all(Image.open(out / f"{name}.png").size == size for name in ("photo", "matte", "overlay", "preview"))
    assert Image.open(out / "turn.png").size == (5 * size[0], size[1])


def test_what_was_used_is_told_not_what_was_asked_for(observations, model):
    settings = replace(TINY, training=replace(TINY.training, device="auto"))
    seen = replace(observations, licences={"matte": "MIT"})
    for body, name in (
        (model, "open body"),
        (replace(model, sha256="ab" * 32, licence="bought"), "brought by the user"),
    ):
        told = pipeline._provenance(seen, body, settings, torch.device("cpu"))
        assert told["providers"]["matte"] == "truth" and told["providers"]["body"].startswith(name)
        assert "numba" in told["providers"]["drawing"] and told["settings"]["device"] == "cpu"
        assert told["licences"] == {"matte": "MIT", "body": body.licence}


def test_resuming_skips_what_is_done(calls, photo, tmp_path, monkeypatch, model):
    out = tmp_path / "me"
    (work,) = interrupted(photo, out)
    assert {"observations.npz", "registration.npz"} <= {path.name for path in work.iterdir()}
    assert not out.exists()

    def refuse(*_, **__):
        raise AssertionError("done before")

    monkeypatch.setattr(pipeline, "observe", refuse)
    monkeypatch.setattr(pipeline, "register", refuse)
    build(photo, out, replace(TINY, resume=True))
    assert load_avatar(out, model).info["photo_psnr_db"] > 5 and not work.exists()


@pytest.mark.slow
def test_a_resumed_build_is_the_build_that_was_not_interrupted(calls, photo, tmp_path, model):
    interrupted(photo, tmp_path / "resumed")
    build(photo, tmp_path / "resumed", replace(TINY, resume=True))
    build(photo, tmp_path / "straight", TINY)
    resumed, straight = (load_avatar(tmp_path / name, model) for name in ("resumed", "straight"))
    for name in ("face", "barycentric", "offset", "log_scale", "rgb", "visibility"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(straight, name))


def test_without_resume_it_starts_anew(calls, photo, tmp_path):
    assert interrupted(photo, tmp_path / "me") == interrupted(photo, tmp_path / "me")
    assert calls == ["observe", "register", "observe", "register"]


@pytest.mark.parametrize("change", ["photo", "person", "matte"])
def test_other_inputs_do_not_continue_this_work(calls, photo, tmp_path, change):
    interrupted(photo, tmp_path / "me")
    settings = replace(TINY, resume=True)
    if change == "photo":
        photo.write_bytes(b"another photo")
    else:
        settings = replace(settings, **{"person": {"person": 2}, "matte": {"matte": "photo"}}[change])
    assert len(interrupted(photo, tmp_path / "me", settings)) == 2 and calls.count("observe") == 2


def test_what_exists_is_never_overwritten(calls, photo, tmp_path):
    (tmp_path / "me").mkdir()
    with pytest.raises(VivantError, match="exists already"):
        build(photo, tmp_path / "me", TINY)
    assert not calls


def test_a_place_that_cannot_be_written_is_said_before_the_work(calls, photo, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VivantError, match="Cannot write"):
        build(photo, tmp_path / "file" / "me", TINY)
    with pytest.raises(VivantError, match="Cannot write"):
        register_photo(photo, tmp_path / "file" / "fit.npz", TINY)
    assert not calls


def test_a_photo_that_is_not_there_is_said_and_leaves_nothing(calls, tmp_path):
    with pytest.raises(VivantError, match=r"Cannot read .*nowhere\.png"):
        build(tmp_path / "nowhere.png", tmp_path / "me", TINY)
    assert not calls and not list(tmp_path.iterdir())


def test_a_fit_that_was_edited_is_taken_as_it_is(calls, photo, tmp_path, model, fit):
    edited = replace(fit, transl=fit.transl + np.float32([0.0, 0.01, 0.0]))
    save_registration(tmp_path / "edited.npz", edited)
    build(photo, tmp_path / "me", replace(TINY, registration=tmp_path / "edited.npz"))
    assert calls == ["observe"]
    np.testing.assert_array_equal(load_avatar(tmp_path / "me", model).registration.transl, edited.transl)


def test_registering_alone_writes_the_fit_and_its_picture(calls, photo, tmp_path, model, fit):
    register_photo(photo, tmp_path / "fit.npz", TINY)
    np.testing.assert_array_equal(load_registration(tmp_path / "fit.npz", model).full_pose, fit.full_pose)
    assert Image.open(tmp_path / "fit.png").size == (fit.camera.width, fit.camera.height)


@pytest.mark.parametrize("out", ["fit.png", "photo.npz", "fit"])
def test_a_fit_replaces_neither_the_photo_nor_itself_with_its_picture(calls, tmp_path, out):
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"dear to somebody")
    with pytest.raises(VivantError, match="another --out"):
        register_photo(photo, tmp_path / out, TINY)
    assert not calls and photo.read_bytes() == b"dear to somebody"


def test_the_clock_keeps_stages_apart():
    clock = Clock()
    with clock.stage("photo"):
        pass
    with clock.stage("training"):
        pass
    assert set(clock.seconds) == {"photo", "training"} and min(clock.seconds.values()) >= 0
