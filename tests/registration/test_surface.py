from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.avatar.surface import clothed_surface
from backend.body.geometry import edges, vertex_normals
from backend.raster.mesh import rasterize_mesh
from backend.registration.surface import bending_of, clothe, drape
from backend.registration.wearer import wearer_of
from tests.standing import photograph, standing

STAND_OFF = 0.02


@pytest.fixture(scope="module")
def naked(model):
    return standing(model)


@pytest.fixture(scope="module")
def wearer(naked, model):
    return wearer_of(naked, model)


@pytest.fixture(scope="module")
def observations(naked, wearer):
    """A suit two centimetres off the body, everywhere but on hands and face; all in one colour, so no hair is seen."""
    suit = STAND_OFF * wearer.wearable[:, None] * wearer.normals
    return photograph(wearer, suit, np.full_like(wearer.vertices, 0.5), naked.camera)


@pytest.fixture(scope="module")
def clothed(observations, naked, model):
    return clothe(observations, naked, model)


def along_normals(wearer, registration):
    return (registration.offsets * wearer.normals).sum(1)


def test_a_suit_is_found_where_the_outline_shows_it_and_where_it_does_not(wearer, clothed):
    found = along_normals(wearer, clothed)
    shown = np.abs(wearer.normals[:, 2]) < 0.5
    for where in (shown, wearer.normals[:, 2] > 0.8, wearer.normals[:, 2] < -0.8):
        assert np.median(found[where & wearer.wearable]) == pytest.approx(STAND_OFF, abs=0.003)
    error = np.abs(found - STAND_OFF)[wearer.wearable]
    assert np.median(error) < 0.004 and np.percentile(error, 90) < 0.012


def test_hands_and_face_stay_bare(wearer, clothed):
    np.testing.assert_allclose(clothed.offsets[~wearer.wearable], 0, atol=1e-9)


def test_one_colour_has_no_hair(clothed):
    assert clothed.hair is None


@pytest.mark.slow
def test_the_same_photo_gives_the_same_clothes(observations, naked, clothed, model):
    np.testing.assert_array_equal(clothe(observations, naked, model).offsets, clothed.offsets)


@pytest.mark.slow
def test_a_bare_body_is_given_no_clothes(naked, wearer, model):
    bare = photograph(wearer, np.zeros_like(wearer.vertices), np.full_like(wearer.vertices, 0.5), naked.camera)
    found = clothe(bare, naked, model)
    assert np.percentile(np.abs(along_normals(wearer, found))[wearer.wearable], 75) < 0.004
    assert found.betas is naked.betas and found.full_pose is naked.full_pose


@pytest.mark.slow
def test_what_stands_beside_the_person_is_not_worn(observations, naked, clothed, model):
    alpha = observations.alpha.copy()
    alpha[:, :12] = 1.0
    beside = clothe(replace(observations, alpha=alpha), naked, model)
    np.testing.assert_allclose(beside.offsets, clothed.offsets, atol=1e-9)


@pytest.mark.slow
def test_nothing_is_found_in_an_empty_matte(observations, naked, wearer, model):
    empty = clothe(replace(observations, alpha=np.zeros_like(observations.alpha)), naked, model)
    bare_legs = wearer.wearable & (wearer.vertices[:, 1] > wearer.vertices[:, 1].min() + 0.2)
    np.testing.assert_allclose(empty.offsets[bare_legs], 0, atol=1e-6)


def test_cloth_that_touches_follows_the_body_and_loose_cloth_bridges_it(wearer):
    high = wearer.vertices[:, 1] > wearer.vertices[:, 1].min() + 0.2  # above the shoes
    bending = bending_of(wearer)
    np.testing.assert_allclose(drape(wearer, bending, np.zeros(len(wearer.vertices)))[high], 0, atol=1e-6)
    worn = 0.03 * wearer.wearable
    tight, loose = wearer.vertices + worn[:, None] * wearer.normals, wearer.vertices + drape(wearer, bending, worn)
    trunk = wearer.wearable & high
    assert roughness(loose, wearer.faces)[trunk].mean() < 0.7 * roughness(tight, wearer.faces)[trunk].mean()


def roughness(vertices, faces):
    """Length of the umbrella Laplacian at each vertex."""
    pairs = edges(faces)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    degree = np.maximum(np.bincount(both[:, 0], minlength=len(vertices)), 1)
    mean = [np.bincount(both[:, 0], vertices[both[:, 1], k], minlength=len(vertices)) / degree for k in range(3)]
    return np.linalg.norm(vertices - np.stack(mean, axis=1), axis=1)


def test_the_clothes_of_known_people_fill_their_outline_and_lie_at_their_depth(dressed, model):
    subject, source = dressed
    registration, alpha = source.registration, source.observations.alpha
    surface = clothed_surface(model, registration)
    transforms = torch.as_tensor(wearer_of(registration, model).transforms)
    posed = surface.pose(transforms, torch.as_tensor(registration.expression)).numpy()
    depth = rasterize_mesh(posed, surface.faces, registration.camera).depth
    covered, person = np.isfinite(depth), alpha > 0.5
    assert (covered & person).sum() / (covered | person).sum() > 0.96
    certain = covered & (alpha == 1) & (subject.source.depth > 0)
    assert np.median(np.abs(depth - subject.source.depth)[certain]) < 0.006
    assert np.isfinite(vertex_normals(posed, surface.faces)).all()
