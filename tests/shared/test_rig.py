"""A rig's file gives the rig back, and what is damaged or cannot be is refused in words."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import VivantError
from shared.mock import views
from shared.rig import load_rig, rig_bytes, save_rig


@pytest.fixture(scope="module")
def rig():
    return load_rig(rig_bytes(views.rig(300, 400)))


def test_a_rig_comes_back_from_its_file(rig, tmp_path):
    save_rig(tmp_path / "rig.npz", rig)
    back = load_rig(tmp_path / "rig.npz")
    for field in fields(rig):
        np.testing.assert_array_equal(getattr(back, field.name), getattr(rig, field.name))
    assert [path.name for path in tmp_path.iterdir()] == ["rig.npz"]


def test_an_expression_s_deltas_are_found_by_its_name(rig):
    moved = np.concatenate([rig.expression_delta(name)[0] for name in rig.expression_names])
    np.testing.assert_array_equal(moved, rig.expression_vertices)


WRONG = {
    "vertices": lambda value: value * np.nan,
    "faces": lambda value: value + 10**6,
    "uvs": lambda value: value[1:],
    "joints": lambda value: value[:54],
    "skin_joints": lambda value: value + np.uint8(200),
    "skin_weights": lambda value: value / 2,
    "expression_start": lambda value: value[::-1],
    "expression_vertices": lambda value: value - 10**6,
    "expression_deltas": lambda value: value[:, :2],
    "expression_names": lambda value: value[1:],
    "full_pose": lambda value: value[:63],
    "K": lambda value: np.full((3, 3), np.inf),
    "world_to_camera": lambda value: value[:3],
    "image_size": lambda value: value[:1],
}


@pytest.mark.parametrize("name", WRONG)
def test_row_31_an_array_that_cannot_be_is_refused_by_name(rig, name):
    data = rig_bytes(replace(rig, **{name: WRONG[name](getattr(rig, name))}))
    with pytest.raises(VivantError, match="expression|skin|" + name):
        load_rig(data)


def test_row_36_a_pickle_in_a_rig_is_not_opened(rig, tmp_path):
    arrays = {field.name: getattr(rig, field.name) for field in fields(rig)}
    np.savez(tmp_path / "rig.npz", **{**arrays, "K": np.array([{}], dtype=object)})
    with pytest.raises(VivantError, match="allow_pickle"):
        load_rig(tmp_path / "rig.npz")


@settings(max_examples=60)
@given(st.binary(max_size=200) | st.integers(1, 50_000))
def test_row_14_damaged_bytes_are_refused_in_words(rig, damage):
    whole = rig_bytes(rig)
    data = damage if isinstance(damage, bytes) else whole[: damage % len(whole)]
    with pytest.raises(VivantError, match="Download it again"):
        load_rig(data)


def test_a_folder_that_takes_no_file_is_named(rig, tmp_path):
    with pytest.raises(VivantError, match="Cannot write"):
        save_rig(tmp_path / "missing" / "rig.npz", rig)


def test_row_29_a_rig_that_unpacks_to_too_much_is_not_unpacked(rig, monkeypatch):
    monkeypatch.setattr("shared.rig.MAX_FILE_BYTES", 100_000)
    with pytest.raises(VivantError, match="more than any rig needs"):
        load_rig(rig_bytes(rig))
