import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.registration.files import load_registration, save_registration
from backend.stages import HairLayer, Registration
from shared.camera import Camera
from shared.errors import VivantError


def some_registration(model, seed=0, hair=True, notes=("Left hand not visible: relaxed pose used.",)):
    rng = np.random.default_rng(seed)
    faces = np.array([[0, 1, 2], [2, 3, 4]], dtype=np.int32)
    layer = HairLayer(rng.random((5, 3)), faces, rng.random(5, dtype=np.float32))
    return Registration(
        body_sha256=model.sha256,
        betas=rng.standard_normal(30),
        expression=rng.random(len(model.expression_names)),
        expression_names=model.expression_names,
        full_pose=rng.standard_normal(165),
        transl=rng.standard_normal(3),
        camera=Camera(640, 480, np.diag([900.0, 900.0, 1.0]), np.eye(4)),
        offsets=rng.standard_normal(model.template.shape).astype(np.float32),
        confidence={"body": 0.9, "face": 0.25},
        hair=layer if hair else None,
        hair_pixels=rng.random((480, 640)) < 0.1 if hair else None,
        notes=notes,
    )


def assert_same(a, b):
    for field in fields(a):
        left, right = getattr(a, field.name), getattr(b, field.name)
        if field.name in ("camera", "hair") and left is not None:
            assert_same(left, right)
        elif isinstance(left, np.ndarray):
            assert np.array_equal(left, right) and left.dtype == right.dtype
        else:
            assert left == right


@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), hair=st.booleans(), notes=st.lists(st.text("aé. ", min_size=1).map(str.strip)))
def test_what_is_written_is_read_back(model, tmp_path_factory, seed, hair, notes):
    path = tmp_path_factory.mktemp("registration") / "registration.npz"
    registration = some_registration(model, seed, hair, tuple(notes))
    save_registration(path, registration)
    assert_same(registration, load_registration(path, model))
    assert [file.name for file in path.parent.iterdir()] == ["registration.npz"]


def test_hair_of_a_file_that_knows_no_chest_is_all_on_the_head(model, tmp_path):
    path = tmp_path / "registration.npz"
    save_registration(path, some_registration(model))
    with np.load(path) as archive:
        np.savez(path, **{key: archive[key] for key in archive if key != "hair_on_chest"})
    np.testing.assert_array_equal(load_registration(path, model).hair.on_chest, np.zeros(5))


def test_another_bodys_file_is_refused(model, tmp_path):
    path = tmp_path / "registration.npz"
    save_registration(path, replace(some_registration(model), body_sha256="f" * 64))
    with pytest.raises(VivantError, match="another body file"):
        load_registration(path, model)


@pytest.mark.parametrize(
    "damage",
    [
        "missing",
        "truncated",
        "not an archive",
        "an array",
        "broken inside",
        "object array",
        "lacks a key",
        "nan",
    ],
)
def test_a_damaged_file_is_refused_with_a_reason(model, tmp_path, damage):
    path = tmp_path / "registration.npz"
    save_registration(path, some_registration(model))
    arrays = dict(np.load(path))
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "not an archive":
        path.write_bytes(pickle.dumps({"betas": 1}))
    elif damage == "an array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif damage == "broken inside":
        np.savez_compressed(path, **arrays)
        whole = bytearray(path.read_bytes())
        whole[60:400] = bytes(340)
        path.write_bytes(bytes(whole))
    elif damage == "object array":
        np.savez(path, **arrays | {"betas": np.array([{}], dtype=object)})
    elif damage == "lacks a key":
        arrays.pop("transl")
        np.savez(path, **arrays)
    else:
        np.savez(path, **arrays | {"betas": np.full(30, np.nan)})
    with pytest.raises(VivantError, match=r"registration\.npz"):
        load_registration(path, model)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("full_pose", np.zeros(63)),
        ("betas", np.zeros((3, 3))),
        ("betas", np.zeros(500)),
        ("betas", np.array(["tall"])),
        ("confidence", np.zeros(5)),
        ("confidence_names", np.array("body")),
        ("image_size", np.array([0, 480])),
        ("image_size", np.array([640.5, 480.0])),
        ("K", np.zeros((3, 3))),
        ("notes", np.zeros(2)),
        ("hair_vertices", np.zeros((5, 2))),
        ("hair_faces", np.array([[0, 1, 9]])),
        ("hair_faces", None),
        ("hair_on_chest", np.zeros(4)),
        ("hair_pixels", np.zeros((3, 4), bool)),
    ],
)
def test_arrays_that_cannot_be_are_refused_by_name(model, tmp_path, key, value):
    """They failed far from here, with a traceback."""
    path = tmp_path / "registration.npz"
    save_registration(path, some_registration(model))
    arrays = dict(np.load(path)) | {key: value}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(VivantError, match=r"registration\.npz is broken: .* Make it again"):
        load_registration(path, model)


def test_a_folder_that_cannot_be_written_is_said(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VivantError, match="Cannot write"):
        save_registration(tmp_path / "file" / "registration.npz", some_registration(model))
