import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from backend.avatar.files import TENSORS, load_avatar, save_avatar
from backend.stages import Avatar, Light
from shared.errors import VivantError

DARK = '{"schema": 1, "body_sha256": "", "light": [1]}'


@pytest.fixture
def avatar(registration, roof):
    rng = np.random.default_rng(0)
    return Avatar(
        face=rng.integers(0, 1000, 20).astype(np.int32),
        barycentric=rng.dirichlet([1, 1, 1], 20).astype(np.float32),
        offset=rng.normal(0, 0.01, (20, 3)).astype(np.float32),
        log_scale=rng.normal(-6, 1, (20, 1)).astype(np.float32),
        rgb=rng.normal(0, 1, (20, 3)).astype(np.float32),
        rgb_photo=rng.normal(0, 1, (20, 3)).astype(np.float32),
        visibility=rng.uniform(0, 1, 20).astype(np.float32),
        light=Light(np.array([0.1, 0.4, -0.2]), np.array([0.3, 0.2, 0.9])),
        registration=replace(registration, hair=roof, notes=("Left hand not visible.",)),
        info={"settings": {"steps": 5}, "notes": ["Größe geschätzt"]},
    )


@pytest.fixture
def folder(avatar, tmp_path):
    save_avatar(tmp_path / "avatar", avatar)
    return tmp_path / "avatar"


def test_what_is_written_is_read_back(avatar, folder, model):
    loaded = load_avatar(folder, model)
    for name in TENSORS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(avatar, name))
        assert getattr(loaded, name).dtype == getattr(avatar, name).dtype
    np.testing.assert_array_equal(loaded.light.sky, avatar.light.sky)
    np.testing.assert_array_equal(loaded.light.lamp, avatar.light.lamp)
    assert loaded.info["settings"] == avatar.info["settings"] and loaded.info["notes"] == avatar.info["notes"]
    assert loaded.info["body_sha256"] == model.sha256
    np.testing.assert_array_equal(loaded.registration.hair.vertices, avatar.registration.hair.vertices)
    assert loaded.registration.notes == avatar.registration.notes
    clothed_offset = load_file(folder / "gaussians.safetensors")["clothed_offset"]
    np.testing.assert_array_equal(clothed_offset, avatar.registration.offsets)


@pytest.mark.parametrize(("name", "part"), [("light", "sky"), ("lamp", "lamp")])
def test_an_avatar_from_before_light_was_looked_at_has_none(folder, model, name, part):
    info = json.loads((folder / "avatar.json").read_text(encoding="utf-8"))
    del info[name]
    (folder / "avatar.json").write_text(json.dumps(info), encoding="utf-8")
    np.testing.assert_array_equal(getattr(load_avatar(folder, model).light, part), np.zeros(3))


def test_no_file_but_the_three_is_left(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "avatar.json",
        "gaussians.safetensors",
        "registration.npz",
    ]


def test_writing_again_replaces(avatar, folder, model):
    save_avatar(folder, replace(avatar, rgb=avatar.rgb + 1))
    np.testing.assert_array_equal(load_avatar(folder, model).rgb, avatar.rgb + 1)


def test_an_avatar_from_before_the_photo_had_its_own_colours_looks_the_same_in_it(avatar, folder, model):
    tensors = load_file(folder / "gaussians.safetensors")
    del tensors["rgb_photo"]
    save_file(tensors, folder / "gaussians.safetensors")
    np.testing.assert_array_equal(load_avatar(folder, model).rgb_photo, avatar.rgb)


def test_row_36_an_avatar_of_a_body_with_another_hash_is_refused(folder, model):
    with pytest.raises(VivantError, match=r"made with the body file.*--body"):
        load_avatar(folder, replace(model, sha256="0" * 64))


def test_a_newer_format_is_refused(folder, model):
    info = json.loads((folder / "avatar.json").read_text(encoding="utf-8"))
    (folder / "avatar.json").write_text(json.dumps(info | {"schema": 99}), encoding="utf-8")
    with pytest.raises(VivantError, match=r"99.*Update Vivant"):
        load_avatar(folder, model)


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"schema": 1}', '{"schema": 1, "body_sha256": "", "light": [1]}', "nonsense"]
)
def test_a_folder_that_is_no_finished_avatar_is_said(folder, model, content):
    (folder / "avatar.json").unlink()
    if content is not None:
        (folder / "avatar.json").write_text(content)
    with pytest.raises(VivantError, match="no finished avatar"):
        load_avatar(folder, model)


def test_a_body_that_is_no_hash_is_another_body(folder, model):
    (folder / "avatar.json").write_text('{"schema": 1, "body_sha256": null}')
    with pytest.raises(VivantError, match="--body"):
        load_avatar(folder, model)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, "missing") for name in TENSORS if name != "rgb_photo"),
        *((name, damage) for name in TENSORS for damage in ("short", "deep", "wide")),
    ],
)
def test_tensors_that_do_not_fit_are_refused(folder, model, name, damage):
    tensors = load_file(folder / "gaussians.safetensors")
    if damage == "missing":
        del tensors[name]
    elif damage == "short":
        tensors[name] = tensors[name][:-1]
    elif damage == "deep":
        tensors[name] = tensors[name].reshape(-1, 1, 1)
    else:
        tensors[name] = np.repeat(tensors[name].reshape(20, -1), 2, axis=1)
    save_file(tensors, folder / "gaussians.safetensors")
    with pytest.raises(VivantError, match="damaged"):
        load_avatar(folder, model)


@pytest.mark.parametrize(("name", "value"), [("rgb", np.nan), ("offset", np.inf), ("face", -1), ("face", 10**6)])
def test_numbers_that_cannot_be_are_refused(folder, model, name, value):
    tensors = load_file(folder / "gaussians.safetensors")
    tensors[name].flat[0] = value
    save_file(tensors, folder / "gaussians.safetensors")
    with pytest.raises(VivantError, match="damaged"):
        load_avatar(folder, model)


def test_a_face_of_the_hair_layer_needs_the_layer(avatar, folder, model, roof):
    on_roof = replace(avatar, face=np.full(20, len(model.faces) + len(roof.faces) - 1, np.int32))
    save_avatar(folder, on_roof)
    assert load_avatar(folder, model).face[0] == len(model.faces) + 1
    save_avatar(folder, replace(on_roof, registration=replace(avatar.registration, hair=None)))
    with pytest.raises(VivantError, match="damaged"):
        load_avatar(folder, model)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_cut_or_flipped_file_is_refused_or_still_an_avatar(avatar, tmp_path, model, place, byte):
    """Whatever happens to the bytes, the only error is the one that tells the user."""
    save_avatar(tmp_path, avatar)
    path = tmp_path / "gaussians.safetensors"
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content[: place % len(content)] if byte % 2 else content)
    try:
        loaded = load_avatar(tmp_path, model)
    except VivantError:
        return
    assert np.isfinite(loaded.rgb).all()
