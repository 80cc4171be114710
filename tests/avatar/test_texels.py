from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from backend.avatar.surface import clothed_surface
from backend.avatar.texels import EYE_SPACING, EYES, HAIR_OVERLAP, HAIR_SPACING, SeenFaces, sample_texels
from backend.body.geometry import face_normals


@pytest.fixture(scope="module")
def roofed(roof, registration, model):
    """A surface with a hair layer, and its texels."""
    surface = clothed_surface(model, replace(registration, hair=roof))
    return surface, sample_texels(model, surface, 64)


def test_barycentric_coordinates_sum_to_one(texels):
    np.testing.assert_allclose(texels.barycentric.sum(1), 1, atol=1e-5)
    assert texels.barycentric.min() > -1e-5


def mapped(texels):
    """The texels of the UV map, without the evenly sampled eyes and hair."""
    return texels.subset(texels.uv[:, 0] >= 0)


def test_every_texel_lies_at_its_pixel_of_the_map(texels, model):
    texels = mapped(texels)
    corners = model.uv[model.uv_faces[texels.face]]
    at = (corners * texels.barycentric[:, :, None]).sum(1) * 128
    np.testing.assert_allclose(at, texels.uv + 0.5, atol=0.02)
    assert len(np.unique(texels.uv, axis=0)) == len(texels)


def test_spacing_is_that_of_neighbouring_texels(texels, surface):
    """Inside a triangle the map is affine: the two steps to the next texels span spacing squared."""
    texels = mapped(texels)
    position = texels.interpolate(surface.vertices.numpy(), surface.faces)
    row = {tuple(uv): index for index, uv in enumerate(texels.uv)}
    checked = 0
    for index, (u, v) in enumerate(texels.uv):
        right, below = row.get((u + 1, v)), row.get((u, v + 1))
        if right is None or below is None or len({texels.face[k] for k in (index, right, below)}) > 1:
            continue
        cell = np.linalg.norm(np.cross(position[right] - position[index], position[below] - position[index]))
        assert np.sqrt(cell) == pytest.approx(texels.spacing[index], rel=0.02)
        checked += 1
    assert checked > 100


def test_a_finer_map_has_more_and_closer_texels(texels, surface, model):
    texels, coarse = mapped(texels), mapped(sample_texels(model, surface, 64))
    assert len(texels) == pytest.approx(4 * len(coarse), rel=0.05)
    assert np.median(texels.spacing) == pytest.approx(0.5 * np.median(coarse.spacing), rel=0.1)


def test_interpolation_is_exact_for_linear_fields(texels, surface):
    vertices = surface.vertices.numpy()
    position = texels.interpolate(vertices, surface.faces)
    field = texels.interpolate(vertices @ [1.0, -2.0, 3.0] + 4.0, surface.faces)
    np.testing.assert_allclose(field, position @ [1.0, -2.0, 3.0] + 4.0, atol=1e-5)


def test_a_subset_keeps_rows_together(texels):
    head = texels.subset(texels.uv[:, 1] < 64)
    np.testing.assert_array_equal(head.face, texels.face[texels.uv[:, 1] < 64])
    assert 0 < len(head) < len(texels) and len(head.barycentric) == len(head.spacing) == len(head.uv) == len(head)


def test_the_hair_layer_is_sampled_evenly(roofed):
    surface, texels = roofed
    hair = texels.subset(texels.face >= surface.num_body_faces)
    assert (hair.uv < 0).all()
    assert (texels.face[texels.uv[:, 0] >= 0] < surface.num_body_faces).all()
    assert len(hair) == pytest.approx(0.2 * 0.1 / HAIR_SPACING**2, abs=2)
    np.testing.assert_allclose(hair.spacing, HAIR_SPACING * HAIR_OVERLAP, rtol=1e-6)  # no gap to see the shirt through
    assert hair.barycentric.min() >= 0 and hair.barycentric.max() <= 1
    np.testing.assert_allclose(hair.barycentric.sum(1), 1, atol=1e-6)
    position = hair.interpolate(surface.vertices.numpy(), surface.faces)
    apart = cKDTree(position).query(position, k=2)[0][:, 1]
    assert 0.5 * HAIR_SPACING < np.median(apart) < 1.2 * HAIR_SPACING


def test_triangles_get_samples_by_their_area(texels, surface, model):
    uv = np.concatenate([model.uv * 128, np.zeros((len(model.uv), 1))], axis=1)
    area = (
        0.5
        * np.linalg.norm(face_normals(uv, model.uv_faces), axis=1)
        * ~np.isin(np.arange(len(model.part)), texels.face[texels.uv[:, 0] < 0])
    )
    count = np.bincount(mapped(texels).face, minlength=len(area))
    assert count.sum() == pytest.approx(area.sum(), rel=0.02)
    large = area > 20
    np.testing.assert_allclose(count[large], area[large], rtol=0.5)


def test_eyes_are_sampled_finely_whatever_the_texture(texels, surface, model):
    eyes = texels.subset(np.isin(model.part[texels.face], EYES))
    assert (eyes.uv < 0).all()
    area = 0.5 * np.linalg.norm(face_normals(surface.vertices.numpy(), model.faces), axis=1)
    assert len(eyes) == pytest.approx(area[np.isin(model.part, EYES)].sum() / EYE_SPACING**2, rel=0.01)


def test_what_the_photo_resolves_finely_is_sampled_by_its_pixels(texels, surface, model):
    """Shown at a quarter of a texel a pixel, triangles get twice as many samples in a row; the others keep theirs."""
    ordinary = mapped(texels)
    shown = np.unique(ordinary.face)[::2]
    pixel = float(ordinary.spacing.max())
    assert len(sample_texels(model, surface, 128, SeenFaces(shown, pixel))) == len(texels)
    finer = sample_texels(model, surface, 128, SeenFaces(shown, float(ordinary.spacing.min()) / 4))
    here, there = np.isin(finer.face, shown), np.isin(texels.face, shown)
    assert np.median(finer.spacing[here]) == pytest.approx(np.median(texels.spacing[there]) / 2, rel=0.1)
    np.testing.assert_array_equal(finer.face[~here], texels.face[~there])
