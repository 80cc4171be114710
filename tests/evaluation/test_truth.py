"""Truth sets: layout, frame groups, and refusals that name the cause."""

import shutil

import numpy as np
import pytest

from backend.evaluation.metrics import person_box
from backend.evaluation.truth import GROUPS, check_body, load_subject, load_truth
from shared.errors import VivantError


@pytest.fixture(scope="module")
def subject(truth):
    return load_subject(truth / "subject_a")


def test_frames_keep_their_order_and_fall_into_groups(subject):
    members = {group: [f.name for f in subject.frames if group in f.groups] for group in GROUPS}
    assert {group: len(names) for group, names in members.items()} == {
        "photo": 1,
        "talk": 16,
        "talk_odd": 8,
        "turn": 4,
        "turn60": 2,
        "close": 5,
    }
    assert members["turn60"] == ["turn_m60", "turn_p60"]
    assert members["talk_odd"][:2] == ["talk_01", "talk_03"]


def test_poses_cameras_and_pictures_belong_together(subject):
    for frame in (subject.source, subject.frames[-1]):
        assert frame.full_pose.shape == (165,)
        rgba = frame.rgba()
        assert rgba.shape == (frame.camera.height, frame.camera.width, 4)
        pixels, depth = frame.camera.project(frame.joints[15:16])  # the head shows in every frame
        x, y = pixels[0].astype(int)
        assert rgba[y, x, 3] == 255 and depth[0] > 0
        assert person_box(rgba[..., 3] / 255) is not None


def test_depth_is_known_for_few_frames_and_agrees_with_the_joints(subject):
    known = [frame for frame in subject.frames if frame.depth is not None]
    assert [frame.name for frame in known] == ["photo", "talk_01", "talk_04", "talk_12"]
    for frame in known:
        pixels, depth = frame.camera.project(frame.joints[15:16])
        x, y = pixels[0].astype(int)
        assert 0 < depth[0] - frame.depth[y, x] < 0.2  # the surface lies in front of the head joint


def test_subjects_are_chosen_by_letter_or_by_folder(truth):
    assert [s.name for s in load_truth(truth, ("b", "subject_a"))] == ["subject_b", "subject_a"]
    with pytest.raises(VivantError, match="no subject_z"):
        load_truth(truth, ("z",))
    with pytest.raises(VivantError, match="no folder subject_"):
        load_truth(truth / "subject_a")


def test_another_body_file_is_refused(subject):
    check_body(subject, subject.body_sha256)
    with pytest.raises(VivantError, match="own body file"):
        check_body(subject, "0" * 64)


def test_a_named_frame_that_is_not_on_disk_is_an_error(truth, tmp_path):
    folder = tmp_path / "subject_c"
    shutil.copytree(truth / "subject_a", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    (folder / "talk_03.png").unlink()
    with pytest.raises(VivantError, match=r"talk_03\.png"):
        load_subject(folder)


def test_a_frame_missing_from_params_is_simply_absent(truth, tmp_path):
    folder = tmp_path / "subject_c"
    shutil.copytree(truth / "subject_a", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    with np.load(folder / "params.npz") as archive:
        params = {key: archive[key] if key == "betas" else archive[key][:5] for key in archive.files}
    np.savez(folder / "params.npz", **params)
    assert [f.name for f in load_subject(folder).frames] == ["photo", "talk_01", "talk_02", "talk_03", "talk_04"]
