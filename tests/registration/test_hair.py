from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from backend.avatar.surface import clothed_surface
from backend.body.geometry import face_normals, vertex_normals
from backend.registration.hair import find_hair, loft_hair
from backend.registration.hair_mask import Sights, hair_mask, shaded_hair
from backend.registration.hair_sights import hair_pixels
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
    nowhere = np.zeros_like(alpha, dtype=bool)
    face = (row >= 45) & (row < 75)
    return rgb, alpha, Sights(row < 20, face, nowhere, nowhere, row >= 85, nowhere, row < 50, ~nowhere)


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
    rgb, alpha, sights = head
    assert not hair_mask(rgb, alpha, replace(sights, scalp=np.zeros_like(sights.scalp))).any()


def test_hair_is_followed_into_another_light_and_over_the_chest(head):
    rgb, alpha, sights = head
    fade = np.linspace(1, 0.6, 110)[:, None, None]
    rgb[:110, :8] = BROWN * fade + np.random.default_rng(1).normal(0, 1, (110, 8, 3))  # a lock down to the chest
    found = hair_mask(rgb, alpha, sights)
    assert found[3:105, 1:7].mean() > 0.9 and found[45:, 12:].mean() < 0.02


def test_what_lies_beside_the_head_and_hangs_together_with_the_crown_is_hair(head):
    rgb, alpha, sights = head
    rgb[30:70, 45:] = (170, 50, 40)  # a dyed lock beside the face
    sights.skin[:, 40:] = False
    assert hair_mask(rgb, alpha, sights)[42:68, 47:58].mean() < 0.1
    beside = np.zeros_like(sights.reach)
    beside[5:60, 40:] = True
    assert hair_mask(rgb, alpha, replace(sights, beside=beside))[42:68, 47:58].mean() > 0.9


def test_a_brow_is_no_hair_and_a_lock_that_hangs_beside_it_is(head):
    rgb, alpha, sights = head
    rgb[40:75, :6] = rgb[50:56, 6:30] = BROWN
    found = hair_mask(rgb, alpha, sights)
    assert found[42:72, 1:5].mean() > 0.9 and not found[50:56, 8:].any()


def test_the_middle_of_a_face_is_no_hair_though_its_light_makes_it_look_so(head):
    rgb, alpha, sights = head
    rgb[40:80, 25:35] = rgb[:40, 25:35]
    middle = np.zeros_like(sights.skin)
    middle[42:80, 20:40] = True
    assert hair_mask(rgb, alpha, sights)[50:70, 27:33].mean() > 0.9
    assert not hair_mask(rgb, alpha, replace(sights, features=middle))[50:70, 27:33].any()


def test_a_throat_is_no_hair_unless_it_looks_like_hair(head):
    rgb, alpha, sights = head
    throat = np.zeros_like(sights.reach)
    throat[60:80, 22:38], sights.skin[:, 15:45] = True, False
    sights = replace(sights, throat=throat)
    for color, found in (((130, 105, 90), 0.0), (BROWN, 1.0)):
        rgb[40:85, 20:40] = color
        assert abs(hair_mask(rgb, alpha, sights)[62:78, 24:36].mean() - found) < 0.05


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
def test_the_layer_lies_over_the_head(dressed, model):
    _, source = dressed
    wearer = wearer_of(source.registration, model)
    surface = clothed_surface(model, source.registration)
    body = in_head_frame(wearer.posed(source.registration.offsets), wearer)
    hair, faces = (
        in_head_frame(posed_hair(source.registration, surface, wearer), wearer),
        source.registration.hair.faces,
    )
    nearest = cKDTree(body).query(hair)[1]
    outside = ((hair - body[nearest]) * vertex_normals(body, wearer.faces)[nearest]).sum(1)  # metres
    above = hair[:, 1] > wearer.joints[JOINT_INDEX["neck"], 1]
    assert (outside > 0).mean() > 0.9  # the rings' ends may sink into the shoulders
    assert (outside[above] > 0).mean() > 0.97 and np.percentile(outside[above], 1) > -0.01
    normals, centre = face_normals(hair, faces), hair[faces].mean(1)
    away = (centre - wearer.joints[JOINT_INDEX["head"]]) * [1, 0, 1]
    assert ((normals * away).sum(1) > 0).mean() > 0.95
    assert set(np.unique(faces)) == set(range(len(hair)))
    assert not surface.expression_deltas[:, len(wearer.vertices) :].any()


@pytest.mark.parametrize("dressed", ["subject_a"], indirect=True)
def test_the_layer_passes_from_the_head_over_to_the_chest_as_it_falls(dressed, model):
    _, source = dressed
    wearer = wearer_of(source.registration, model)
    surface = clothed_surface(model, source.registration)
    weights = surface.weights[len(wearer.vertices) :]
    height = in_head_frame(posed_hair(source.registration, surface, wearer), wearer)[:, 1]
    head, chest = (weights[:, JOINT_INDEX[name]].numpy() for name in ("head", "spine3"))
    np.testing.assert_allclose(head + chest, 1.0, atol=1e-6)
    assert (head[height > wearer.joints[JOINT_INDEX["head"], 1] + 1e-6] == 1).all()
    assert (chest[height < wearer.joints[JOINT_INDEX["left_collar"], 1] + 0.03] > 0.9).all() and (
        chest > 0.9
    ).sum() > 100
    assert (np.diff(chest[np.argsort(height)]) < 1e-3).all()


def posed_hair(registration, surface, wearer):
    """Hair vertices in the photo's pose, world."""
    expression = torch.as_tensor(registration.expression, dtype=torch.float32)
    transforms = torch.as_tensor(wearer.transforms)
    return surface.pose(transforms, expression)[len(wearer.vertices) :].numpy()


def in_head_frame(points, wearer):
    """Points of the photo's pose in the head's rest frame."""
    transform = wearer.transforms[JOINT_INDEX["head"]]
    return (points - transform[:3, 3]) @ transform[:3, :3]


@pytest.mark.parametrize("dressed", ["subject_a"], indirect=True)
def test_hair_in_the_shade_hangs_behind_the_neck(dressed, model):
    _, source = dressed
    wearer, camera = wearer_of(source.registration, model), source.registration.camera
    mask = source.registration.hair_pixels
    world = posed_hair(source.registration, clothed_surface(model, source.registration), wearer)
    hair = in_head_frame(world, wearer)
    shaded = find_hair(mask, source.observations, wearer, camera).shaded
    pixels = camera.project(world)[0].astype(int)
    below = hair[:, 1] < wearer.joints[JOINT_INDEX["head"], 1]
    before = hair[:, 2] > wearer.joints[JOINT_INDEX["neck"], 2]
    dark = shaded[pixels[:, 1], pixels[:, 0]]
    assert before[below & ~dark].sum() > 500 and before[below & dark].mean() < 0.1


@pytest.mark.parametrize("dressed", ["subject_a"], indirect=True)
def test_no_hair_shows_beside_the_person(dressed, model):
    """The back of a tilted head's would; here the person is cut off at the right instead."""
    _, source = dressed
    wearer, camera = wearer_of(source.registration, model), source.registration.camera
    found = find_hair(source.registration.hair_pixels, source.observations, wearer, camera)
    columns = np.nonzero(found.mask)[1]
    edge = int(np.percentile(columns, 80))
    kept = found.person & (np.arange(camera.width) < edge)
    layer = loft_hair(replace(found, person=kept), wearer, source.registration.offsets, camera)
    trimmed = replace(source.registration, hair=layer)
    pixels = camera.project(posed_hair(trimmed, clothed_surface(model, trimmed), wearer))[0]
    assert columns.max() > edge + 20 and pixels[:, 0].max() < edge + 4 and len(layer.faces) > 1000


@pytest.mark.parametrize("dressed", ["subject_a"], indirect=True)
def test_hair_behind_a_face_that_hides_it_reaches_as_far_as_on_the_other_side(dressed, model):
    """As if the head were turned: of the right side's hair, what lies beside face and neck is not seen."""
    _, source = dressed
    wearer, camera = wearer_of(source.registration, model), source.registration.camera
    found = find_hair(source.registration.hair_pixels, source.observations, wearer, camera)
    middle = int(np.nonzero(found.face)[1].mean())
    gone = (np.arange(camera.width) < middle) & (np.arange(camera.height)[:, None] > np.nonzero(found.face)[0].min())
    hidden = replace(found, mask=found.mask & ~gone)

    def reach(hair):
        layer = loft_hair(hair, wearer, source.registration.offsets, camera)
        return wearer.joints[JOINT_INDEX["head"], 0] - layer.vertices[beside_eyes(layer, wearer), 0].min()

    whole, turned = reach(found), reach(hidden)
    unseen = reach(replace(hidden, face=np.zeros_like(found.face)))
    assert abs(turned - whole) < 0.01 and unseen < whole - 0.02


def beside_eyes(layer, wearer):
    return np.abs(layer.vertices[:, 1] - wearer.joints[JOINT_INDEX["left_eye"], 1]) < 0.01


@pytest.mark.parametrize("dressed", ["subject_a"], indirect=True)
def test_a_frayed_lock_does_not_end_like_a_comb(dressed, model):
    _, source = dressed
    wearer, camera = wearer_of(source.registration, model), source.registration.camera
    found = find_hair(source.registration.hair_pixels, source.observations, wearer, camera)
    teeth = binary_dilation(found.mask, np.ones((1, 9))) & (np.arange(camera.height)[:, None] % 5 < 2)

    def edge(hair):
        layer = loft_hair(hair, wearer, source.registration.offsets, camera)
        sides = np.sort(layer.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        once, count = np.unique(sides, axis=0, return_counts=True)
        ends = layer.vertices[once[count == 1]]
        return np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).sum()

    assert edge(replace(found, mask=found.mask | teeth)) < 1.2 * edge(found)


@pytest.mark.parametrize("dressed", ["subject_a"], indirect=True)
def test_hair_that_spreads_over_the_chest_does_not_spread_behind(dressed, model):
    _, source = dressed
    wearer, camera = wearer_of(source.registration, model), source.registration.camera
    found = find_hair(source.registration.hair_pixels, source.observations, wearer, camera)
    rows, columns = np.nonzero(found.mask)
    wide = found.mask.copy()
    wide[rows.max() - 12 :, columns.min() - 60 : columns.max() + 60] = True
    wide &= found.person & (np.arange(camera.height)[:, None] <= rows.max())
    assert np.ptp(np.nonzero(wide)[1]) > np.ptp(columns) + 40

    def behind(mask):
        hair = loft_hair(replace(found, mask=mask), wearer, source.registration.offsets, camera)
        dressed = replace(source.registration, hair=hair)
        points = in_head_frame(posed_hair(dressed, clothed_surface(model, dressed), wearer), wearer)
        return points[points[:, 2] < wearer.joints[JOINT_INDEX["head"], 2] - 0.02, 0]

    assert np.abs(behind(wide)).max() < np.abs(behind(found.mask)).max() + 0.01
