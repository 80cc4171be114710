import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from backend.registration.rings import RING_HEIGHT, TRUNK, mirror_vertices
from backend.registration.wearer import wearer_of
from shared.skeleton import JOINT_INDEX, JOINT_NAMES, LEFT_HAND, RIGHT_HAND
from tests.standing import standing

FEET = (("left_ankle", "left_foot"), ("right_ankle", "right_foot"))


@pytest.fixture(scope="module")
def wearer(model):
    return wearer_of(standing(model), model)


def test_rings_partition_what_may_be_worn(wearer):
    ring = wearer.rings.ring
    np.testing.assert_array_equal(ring >= 0, wearer.wearable)
    np.testing.assert_array_equal(np.unique(ring[ring >= 0]), np.arange(wearer.rings.count))


def test_neither_hands_nor_face_wear_anything(wearer):
    hands = [JOINT_INDEX["left_wrist"], JOINT_INDEX["right_wrist"], *range(55)[LEFT_HAND], *range(55)[RIGHT_HAND]]
    assert not wearer.wearable[np.isin(wearer.dominant, hands)].any()
    assert not wearer.wearable[wearer.mobility > 0.002].any()
    eyes = [JOINT_INDEX["left_eye"], JOINT_INDEX["right_eye"]]
    assert not wearer.wearable[np.isin(wearer.dominant, eyes)].any()
    assert wearer.wearable[np.isin(wearer.dominant, [JOINT_INDEX[name] for name in TRUNK])].mean() > 0.9


def test_a_ring_is_one_slice_of_one_limb(wearer):
    for ring in range(wearer.rings.count):
        members = np.flatnonzero(wearer.rings.ring == ring)
        names = {JOINT_NAMES[joint] for joint in np.unique(wearer.dominant[members])}
        assert len(names) == 1 or any(names <= set(limb) for limb in (TRUNK, *FEET))
        along = bone(wearer, names)
        assert np.ptp(wearer.vertices[members] @ along) <= RING_HEIGHT + 1e-6


def bone(wearer, names):
    for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
        for side in ("left", "right"):
            if names == {f"{side}_{start}"}:
                vector = wearer.joints[JOINT_INDEX[f"{side}_{end}"]] - wearer.joints[JOINT_INDEX[f"{side}_{start}"]]
                return vector / np.linalg.norm(vector)
    return np.array([0.0, 1.0, 0.0])


def test_chains_follow_each_limb_from_end_to_end(wearer):
    chains, count = wearer.rings.chains, wearer.rings.count
    assert len(np.unique(chains[:, 0])) == len(chains) == len(np.unique(chains[:, 1]))
    pieces = connected_components(coo_array((np.ones(len(chains)), chains.T), shape=(count, count)))[0]
    assert pieces == 12  # trunk, head, and on each side two of arm, two of leg, foot
    for first, second in chains:
        below, above = (np.flatnonzero(wearer.rings.ring == ring) for ring in (first, second))
        along = bone(wearer, {JOINT_NAMES[joint] for joint in np.unique(wearer.dominant[below])})
        assert (wearer.vertices[below] @ along).max() <= (wearer.vertices[above] @ along).min() + 1e-6


def test_the_mirror_swaps_the_sides(model, wearer):
    template = model.template.numpy()
    mirror = mirror_vertices(template)
    both_hips = model.joint_template[[JOINT_INDEX["left_hip"], JOINT_INDEX["right_hip"]], 0].sum().item()
    np.testing.assert_allclose([both_hips, 0, 0] + template[mirror] * [-1, 1, 1], template, atol=0.006)
    left = wearer.dominant == JOINT_INDEX["left_elbow"]
    assert (wearer.dominant[mirror[left]] == JOINT_INDEX["right_elbow"]).mean() > 0.95
    assert (mirror[mirror] == np.arange(len(mirror))).mean() > 0.95
