import numpy as np
import pytest
from scipy.spatial import cKDTree

from backend.avatar.surface import clothed_surface
from backend.body.geometry import face_normals, vertex_normals
from backend.registration.hair import find_hair, hair_pixels
from backend.registration.hair_mask import hair_mask, shaded_hair
from backend.registration.wearer import wearer_of
from shared.skeleton import JOINT_INDEX

BROWN, SKIN, BLUE = (60, 40, 30), (220, 180, 160), (40, 60, 160)


@pytest.fixture
def head():
    """A head as three stacked blocks: hair, face, clothes; and what a fit would seed them with."""
    rgb = np.zeros((120, 60, 3), np.uint8)
    rgb[:40], rgb[40:80], rgb[80:] = BROWN, SKIN, BLUE
    rgb = np.clip(rgb + np.random.default_rng(0).normal(0, 4, rgb.shape), 0, 255).astype(np.uint8)
    alpha = np.ones((120, 60), np.float32)
    row = np.arange(120)[:, None] + np.zeros((1, 60), int)
    return rgb, alpha, row < 20, (row >= 45) & (row < 75), row >= 85, np.ones_like(alpha, dtype=bool)


def test_hair_is_what_looks_like_the_scalp(head):
    found = hair_mask(*head)
    assert found[3:38].mean() > 0.98 and not found[42:].any()
    np.testing.assert_array_equal(found, hair_mask(*head))


def test_dark_clothes_out_of_touch_with_the_crown_are_no_hair(head):
    rgb, *rest = head
    rgb[100:] = BROWN
    assert not hair_mask(rgb, *rest)[90:].any()


def test_a_bald_head_has_no_hair(head):
    rgb, *rest = head
    rgb[:40] = rgb[40:80]
    assert not hair_mask(rgb, *rest).any()


def test_a_head_out_of_the_picture_has_no_hair(head):
    rgb, alpha, scalp, *rest = head
    assert not hair_mask(rgb, alpha, np.zeros_like(scalp), *rest).any()


def test_hair_in_the_shade_of_hair_is_told_from_locks_and_counts_up_to_the_skin():
    rgb, alpha = np.zeros((60, 100, 3), np.uint8), np.ones((60, 100), np.float32)
    rgb[:], rgb[:, :40], rgb[:, 40:60], rgb[:, 60:63] = SKIN, (120, 80, 60), (20, 12, 8), (110, 75, 60)
    hair = np.zeros((60, 100), bool)
    hair[:, :63] = True  # a lock, what hangs behind it, and a strip where that and skin mix
    shaded = shaded_hair(hair, rgb, alpha, 8)
    assert not shaded[:, :36].any() and shaded[20:40, 44:63].all() and not shaded[:, 63:].any()
    narrow = rgb.copy()
    narrow[:, 40:60] = (120, 80, 60)
    narrow[:, 48:51] = (20, 12, 8)  # a gap between locks
    assert not shaded_hair(hair, narrow, alpha, 8).any()


def test_long_hair_gets_a_layer_and_short_hair_none(dressed, model):
    subject, source = dressed
    assert (source.registration.hair is not None) == (subject.name == "subject_a")


def test_hair_pixels_lie_on_the_person_round_the_head(dressed, model):
    _, source = dressed
    wearer, camera = wearer_of(source.registration, model), source.registration.camera
    mask = hair_pixels(source.observations, wearer, camera)
    assert mask.sum() > 500 and (source.observations.alpha[mask] > 0.5).all()
    transform = wearer.transforms[JOINT_INDEX["head"]]
    joint = camera.project((transform[:3, :3] @ wearer.joints[JOINT_INDEX["head"]] + transform[:3, 3])[None])[0][0]
    rows, columns = np.nonzero(mask)
    assert rows.min() < joint[1] and abs(np.median(columns) - joint[0]) < 0.5 * np.ptp(columns)
    np.testing.assert_array_equal(source.registration.hair_pixels, mask)
    found = find_hair(mask, source.observations, wearer, camera)
    if found is not None:
        assert found.near(np.stack([columns, rows], axis=1) + 0.5).mean() > 0.99
        assert not found.near(np.array([[0.5, camera.height - 0.5]])).any()


@pytest.mark.parametrize("dressed", ["subject_a"], indirect=True)
def test_the_layer_lies_over_the_head_and_is_bound_to_it(dressed, model):
    _, source = dressed
    hair = source.registration.hair
    wearer = wearer_of(source.registration, model)
    body = head_frame(wearer, source.registration.offsets)
    nearest = cKDTree(body).query(hair.vertices)[1]
    outside = ((hair.vertices - body[nearest]) * vertex_normals(body, wearer.faces)[nearest]).sum(1)  # metres
    above = hair.vertices[:, 1] > wearer.joints[JOINT_INDEX["neck"], 1]
    assert (outside > 0).mean() > 0.9  # the rings' ends may sink into the shoulders
    assert (outside[above] > 0).mean() > 0.97 and np.percentile(outside[above], 1) > -0.01
    normals, centre = face_normals(hair.vertices, hair.faces), hair.vertices[hair.faces].mean(1)
    away = (centre - wearer.joints[JOINT_INDEX["head"]]) * [1, 0, 1]
    assert ((normals * away).sum(1) > 0).mean() > 0.95
    assert set(np.unique(hair.faces)) == set(range(len(hair.vertices)))

    surface = clothed_surface(model, source.registration)
    weights = surface.weights[len(wearer.vertices) :]
    assert (weights[:, JOINT_INDEX["head"]] == 1).all() and (weights.sum(1) == 1).all()
    assert not surface.expression_deltas[:, len(wearer.vertices) :].any()


def head_frame(wearer, offsets):
    """The clothed body as the photo poses it, in the head's rest frame."""
    transform = wearer.transforms[JOINT_INDEX["head"]]
    return (wearer.posed(offsets) - transform[:3, 3]) @ transform[:3, :3]


@pytest.mark.parametrize("dressed", ["subject_a"], indirect=True)
def test_hair_in_the_shade_hangs_behind_the_neck(dressed, model):
    _, source = dressed
    wearer, camera = wearer_of(source.registration, model), source.registration.camera
    mask = source.registration.hair_pixels
    hair = source.registration.hair.vertices
    shaded = find_hair(mask, source.observations, wearer, camera).shaded
    transform = wearer.transforms[JOINT_INDEX["head"]]
    pixels = camera.project(hair @ transform[:3, :3].T + transform[:3, 3])[0].astype(int)
    below = hair[:, 1] < wearer.joints[JOINT_INDEX["head"], 1]
    before = hair[:, 2] > wearer.joints[JOINT_INDEX["neck"], 2]
    dark = shaded[pixels[:, 1], pixels[:, 0]]
    assert before[below & ~dark].sum() > 500 and before[below & dark].mean() < 0.1
