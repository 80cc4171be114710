"""Foreign motion files: what is recognised, converted, dropped aloud, and refused."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from shared.errors import VivantError
from shared.motion_files import PELVIS, Basis, Known, load_motion
from shared.rotations import axis_angles_from_matrices, matrices_from_axis_angles

FRAMES = 5
Z_UP_ROOT = np.array([np.pi / 2, 0.0, 0.0])  # an upright body in a world with z up


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def poses(width, root=(0.0, 0.0, 0.0), seed=0):
    values = np.random.default_rng(seed).normal(0, 0.2, (FRAMES, width))
    values[:, :3] = root
    return values


def amass_x(**changes):
    arrays = {
        "poses": poses(165, Z_UP_ROOT),
        "trans": np.tile([0.5, 0.2, 0.9], (FRAMES, 1)),
        "mocap_frame_rate": 120.0,
        "gender": "neutral",
        "surface_model_type": "smplx",
        "betas": np.zeros(16),
    }
    return arrays | changes


def test_amass_smplx_is_turned_to_y_up_about_the_pelvis(tmp_path):
    loaded = load_motion(write(tmp_path / "a.npz", **amass_x()))
    assert_allclose(loaded.motion.full_pose[:, :3], 0, atol=1e-6)
    pelvis_z_up = np.array([0.5, 0.2, 0.9]) + PELVIS
    x, y, z = pelvis_z_up
    assert_allclose(loaded.motion.transl[0] + PELVIS, [x, z, -y], atol=1e-6)
    assert_allclose(loaded.motion.full_pose[:, 3:], poses(165)[:, 3:], atol=1e-6)
    assert any("Up axis z" in note for note in loaded.notes)
    assert loaded.motion.fps == 120


def test_amass_pieces_read_as_whole_poses(tmp_path):
    whole = poses(165, Z_UP_ROOT)
    names = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")
    pieces = dict(zip(names, np.split(whole, [3, 66, 69, 75], 1), strict=True))
    arrays = amass_x(**pieces)
    del arrays["poses"]
    a = load_motion(write(tmp_path / "a.npz", **arrays)).motion
    b = load_motion(write(tmp_path / "b.npz", **amass_x())).motion
    assert_allclose(a.full_pose, b.full_pose)


def test_pieces_without_face_or_hands_leave_them_at_rest(tmp_path):
    arrays = {"root_orient": poses(3), "pose_body": poses(63), "trans": np.zeros((FRAMES, 3)), "fps": 30}
    loaded = load_motion(write(tmp_path / "a.npz", **arrays, up_axis="y"))
    assert not loaded.motion.full_pose[:, 66:].any()
    assert any("No fingers" in note for note in loaded.notes)


def test_smplh_has_hands_but_no_face(tmp_path):
    values = poses(156, Z_UP_ROOT)
    arrays = {"poses": values, "trans": np.zeros((FRAMES, 3)), "mocap_framerate": 60.0, "dmpls": np.zeros((FRAMES, 8))}
    loaded = load_motion(write(tmp_path / "a.npz", **arrays))
    assert "SMPL-H" in loaded.notes[0]
    assert not loaded.motion.full_pose[:, 66:75].any()
    assert_allclose(loaded.motion.full_pose[:, 75:], values[:, 66:], atol=1e-6)


def beat2():
    return {
        "poses": poses(165),
        "expressions": np.ones((FRAMES, 100)),
        "trans": np.zeros((FRAMES, 3)),
        "betas": np.zeros(300),
        "model": "smplx2020",
        "gender": "neutral",
        "mocap_frame_rate": 30,
    }


def test_beat2_expressions_are_dropped_aloud_and_its_hands_counted_from_the_mean(tmp_path):
    path = write(tmp_path / "a.npz", **beat2())
    mean = np.full((30, 3), 0.25)
    loaded = load_motion(path, hand_mean=mean)
    assert loaded.motion.expression.shape == (FRAMES, 0)
    assert any("100 expression numbers dropped" in note for note in loaded.notes)
    assert_allclose(loaded.motion.full_pose[:, 75:], beat2()["poses"][:, 75:] + 0.25, atol=1e-6)
    assert any("flatter" in note for note in load_motion(path).notes)


def test_a_file_may_state_its_hands_and_axis(tmp_path):
    path = write(tmp_path / "a.npz", **beat2(), flat_hand_mean=True, up_axis="z")
    loaded = load_motion(path, hand_mean=np.ones((30, 3)))
    assert_allclose(loaded.motion.full_pose[:, 75:], beat2()["poses"][:, 75:], atol=1e-6)
    assert_allclose(loaded.motion.full_pose[:, :3], np.tile([-np.pi / 2, 0, 0], (FRAMES, 1)), atol=1e-6)


def test_nameless_expressions_are_kept_on_the_body_they_were_made_for(tmp_path):
    values = np.random.default_rng(0).normal(size=(FRAMES, 4))
    path = write(tmp_path / "a.npz", **amass_x(), expression=values, body_sha256="ab" * 32)
    loaded = load_motion(path, basis=Basis("ab" * 32, ("exp000", "exp001", "exp002")))
    assert loaded.motion.expression_names == ("exp000", "exp001", "exp002")
    assert_allclose(loaded.motion.expression, values[:, :3], atol=1e-6)
    assert any("3 nameless expressions kept" in note for note in loaded.notes)
    assert any("1 more expression numbers dropped" in note for note in loaded.notes)
    for basis in (Basis("cd" * 32, ("exp000",)), None):
        loaded = load_motion(path, basis=basis)
        assert loaded.motion.expression.shape == (FRAMES, 0)
        assert any("belong to the body file abababababab" in note for note in loaded.notes)


def test_plain_files_keep_named_expressions(tmp_path):
    arrays = {"poses": poses(165), "trans": np.zeros((FRAMES, 3)), "mocap_frame_rate": np.array([25])}
    names = np.array([b"jawOpen", b"mouthPucker"])
    path = write(tmp_path / "a.npz", **arrays, expressions=np.full((FRAMES, 2), 0.5), expression_names=names)
    loaded = load_motion(path)
    assert loaded.motion.expression_names == ("jawOpen", "mouthPucker")
    assert_allclose(loaded.motion.expression, 0.5)


def test_a_lying_person_does_not_decide_what_is_up(tmp_path):
    lying = axis_angles_from_matrices(matrices_from_axis_angles(np.array([0.0, 0.0, np.pi / 2])))
    loaded = load_motion(write(tmp_path / "a.npz", **amass_x(poses=poses(165, lying))))
    assert any("the root does not show it" in note for note in loaded.notes)


def test_the_camera_frame_with_y_down_is_recognised(tmp_path):
    arrays = {"poses": poses(165, (np.pi, 0, 0)), "trans": np.tile([0, 0, 3.0], (FRAMES, 1)), "fps": 25}
    assert_allclose(load_motion(write(tmp_path / "a.npz", **arrays)).motion.full_pose[:, :3], 0, atol=1e-6)


def test_resampled_on_request(tmp_path):
    loaded = load_motion(write(tmp_path / "a.npz", **amass_x()), fps=25)
    assert (len(loaded.motion), loaded.motion.fps) == (1, 25.0)
    assert "Resampled" in loaded.notes[-1]


BAD = {
    "NaN": (amass_x(poses=np.full((FRAMES, 165), np.nan)), "not finite in poses, frame 0"),
    "wrong width": (amass_x(poses=poses(100)), "poses of 100 numbers"),
    "hand PCA": (amass_x(poses=poses(87)), "PCA"),
    "zero frames": (amass_x(poses=np.zeros((0, 165))), "no frames"),
    "lengths differ": (amass_x(trans=np.zeros((3, 3))), "instead of 5 x 3"),
    "rate zero": (amass_x(mocap_frame_rate=0.0), "no frame rate"),
    "rate NaN": (amass_x(mocap_frame_rate=np.nan), "no frame rate"),
    "rate is text": (amass_x(mocap_frame_rate="30"), "not one number"),
    "degrees": (amass_x(poses=poses(165) * 100), "radians"),
    "unknown axis": (amass_x(up_axis="x"), "up_axis"),
    "far away": (amass_x(trans=np.full((FRAMES, 3), 1e6)), "metres"),
    "complex": (amass_x(poses=poses(165).astype(complex)), "Write numbers"),
    "too many": (amass_x(poses=np.zeros((500_001, 3), np.int8)), "at most 500000"),
    "names short": (beat2() | {"expression_names": np.array(["a"])}, "1 expression names for 100 columns"),
    "no rate": ({k: v for k, v in beat2().items() if k != "mocap_frame_rate"}, "frame rate"),
    "no trans": ({k: v for k, v in beat2().items() if k != "trans"}, "lacks trans"),
    "no poses": ({"trans": np.zeros((FRAMES, 3))}, "no known kind"),
    "objects": (amass_x(poses=np.array([{}, {}], dtype=object)), "Cannot read"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_with_the_cause(tmp_path, name):
    arrays, cause = BAD[name]
    with pytest.raises(VivantError, match=cause):
        load_motion(write(tmp_path / "bad.npz", **arrays))


def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "bad.npz"
    with pytest.raises(VivantError, match="no motion file"):
        load_motion(path)
    for content in (b"", b"hello", pickle.dumps({"poses": 1})):
        path.write_bytes(content)
        with pytest.raises(VivantError, match="Cannot read"):
            load_motion(path)
    np.save(tmp_path / "bad.npy", np.zeros((4, 322)))
    with pytest.raises(VivantError, match="single array"):
        load_motion(tmp_path / "bad.npy")


def test_a_header_that_promises_too_much_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": (10**9, 165), "fortran_order": False, "descr": "<f8"})
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("poses.npy", header.getvalue())
    with pytest.raises(VivantError, match="Cannot read"):
        load_motion(tmp_path / "bomb.npz")


def test_an_array_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.npz.MAX_BYTES", 1000)
    with pytest.raises(VivantError, match="unpacks poses"):
        load_motion(write(tmp_path / "a.npz", **amass_x()))


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_file_never_escapes_as_another_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    write(path, **amass_x())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        load_motion(path)
    except VivantError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), 1e9])
def test_an_impossible_rate_is_refused_before_the_file_is_opened(tmp_path, fps):
    with pytest.raises(VivantError, match="1 to 1000"):
        load_motion(tmp_path / "none.npz", fps=fps)


def test_what_the_user_knows_overrides_what_the_file_says(tmp_path):
    path = write(tmp_path / "a.npz", **amass_x(up_axis="y", flat_hand_mean=True))
    loaded = load_motion(path, known=Known(fps=60.0, up_axis="z", flat_hands=False), hand_mean=np.full((30, 3), 0.1))
    as_told = load_motion(path)
    assert (loaded.motion.fps, as_told.motion.fps) == (60.0, 120.0)
    assert_allclose(loaded.motion.full_pose[:, :3], 0, atol=1e-6)
    assert_allclose(loaded.motion.full_pose[:, 75:], as_told.motion.full_pose[:, 75:] + 0.1, atol=1e-6)


def test_a_file_without_a_rate_can_be_read_at_a_known_one(tmp_path):
    path = write(tmp_path / "a.npz", poses=poses(165), trans=np.zeros((FRAMES, 3)))
    assert load_motion(path, known=Known(fps=24.0)).motion.fps == 24.0
