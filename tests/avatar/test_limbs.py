import numpy as np

from backend.avatar.limbs import BONES, LIMB_NAMES, LIMBS, limb_of, twin
from shared.skeleton import JOINT_NAMES, NUM_JOINTS


def test_every_joint_belongs_to_one_limb():
    assert sorted(joint for joints in LIMBS.values() for joint in joints) == sorted(JOINT_NAMES)
    of_joint = limb_of(np.eye(NUM_JOINTS))
    assert [LIMB_NAMES[limb] for limb in of_joint] == [
        next(limb for limb, joints in LIMBS.items() if joint in joints) for joint in JOINT_NAMES
    ]


def test_the_limb_with_the_largest_share_wins_though_a_single_joint_has_more():
    weights = np.zeros((1, NUM_JOINTS))
    weights[0, [JOINT_NAMES.index(name) for name in ("spine1", "spine2", "left_hip")]] = 0.3, 0.3, 0.4
    assert LIMB_NAMES[limb_of(weights)[0]] == "trunk"


def test_twins_are_each_others_twin():
    for limb, name in enumerate(LIMB_NAMES):
        assert twin(twin(limb)) == limb
        assert (twin(limb) == limb) == ("left" not in name and "right" not in name)


def test_every_limb_has_a_bone():
    assert set(BONES) == set(LIMBS)
    assert all(joint in JOINT_NAMES for bone in BONES.values() for joint in bone)
