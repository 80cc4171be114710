import pytest

pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from shared.skeleton import JOINT_NAMES


@pytest.fixture
def bone_names(vivant):
    from bl_ext.dev.vivant import bone_names

    return bone_names


@pytest.mark.parametrize("spelling", ["{}", "{}.001", "SMPLX-{}", "f_avg_{}.012"])
def test_prefixes_and_numbers_do_not_matter(bone_names, spelling):
    bones = ["root", *(spelling.format(name) for name in JOINT_NAMES)]
    assert bone_names.match(bones) == {name: spelling.format(name) for name in JOINT_NAMES}


def test_eyes_may_bear_the_name_that_smplx_gives_them(bone_names):
    bones = [name.replace("_eye", "_eye_smplhf") for name in JOINT_NAMES]
    assert bone_names.match(bones)["left_eye"] == "left_eye_smplhf"


def test_of_two_bones_for_a_joint_the_first_is_taken(bone_names):
    assert bone_names.match(["pelvis", "jaw", "jaw.001"])["jaw"] == "jaw"


def test_the_convention_that_fits_best_is_recognised(bone_names):
    spelled = {
        "SMPL-X": list(JOINT_NAMES),
        "SMPL": [f"m_avg_{name}" for name in bone_names.SMPL_NAMES.values()],
        "Mixamo": [f"mixamorig:{name}" for name in bone_names.MIXAMO_NAMES.values()],
    }
    for kind, bones in spelled.items():
        assert bone_names.recognise(bones)[0] == kind
    assert len(bone_names.recognise(spelled["Mixamo"])[1]) == 22 + 30


def test_every_known_name_belongs_to_a_joint(bone_names):
    assert set(bone_names.MIXAMO_NAMES) | set(bone_names.SMPL_NAMES) <= set(JOINT_NAMES)
