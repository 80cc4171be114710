"""The surface's outline, brought onto the matte's."""

import numpy as np
import pytest

from backend.raster.mesh import rasterize_mesh
from backend.registration.outline import matte_outline
from backend.registration.snap import snapped
from backend.registration.surface import bending_of
from backend.registration.wearer import wearer_of
from shared.skeleton import JOINT_INDEX
from tests.standing import standing


@pytest.fixture(scope="module")
def naked(model):
    return standing(model)


@pytest.fixture(scope="module")
def wearer(naked, model):
    return wearer_of(naked, model)


@pytest.fixture(scope="module")
def bulge(wearer):
    """A pocket that stands 4 cm off one thigh's outer side, and nowhere else round it: offsets [V, 3]."""
    thigh = wearer.dominant == JOINT_INDEX["left_hip"]
    middle = wearer.vertices[thigh, 1].mean()
    height = np.exp(-(((wearer.vertices[:, 1] - middle) / 0.06) ** 2))
    return 0.04 * (thigh * height * np.clip(wearer.normals[:, 0], 0, 1))[:, None] * wearer.normals


def shadow(wearer, offsets, camera):
    return rasterize_mesh(wearer.posed(offsets), wearer.faces, camera).face >= 0


def missed(wearer, offsets, camera, matte):
    return np.count_nonzero(shadow(wearer, offsets, camera) != matte)


def test_a_bulge_on_one_side_is_met_and_hands_and_face_stay(wearer, naked, bulge):
    matte = shadow(wearer, bulge, naked.camera)
    nothing = np.zeros_like(wearer.vertices)
    found = snapped(wearer, nothing, bending_of(wearer), matte_outline(matte.astype(np.float32)), naked.camera)
    before, after = (missed(wearer, offsets, naked.camera, matte) for offsets in (nothing, found))
    assert before > 100 and after < 0.3 * before
    assert np.abs(found[~wearer.wearable]).max() == 0


def test_it_moves_within_the_image_plane(wearer, naked, bulge):
    matte = shadow(wearer, bulge, naked.camera)
    outline = matte_outline(matte.astype(np.float32))
    nothing = np.zeros_like(wearer.vertices)
    found = snapped(wearer, nothing, bending_of(wearer), outline, naked.camera)
    depth = [naked.camera.project(wearer.posed(offsets))[1] for offsets in (nothing, found)]
    np.testing.assert_allclose(depth[1], depth[0], atol=1e-4)


def test_an_outline_that_fits_is_left_alone(wearer, naked):
    nothing = np.zeros_like(wearer.vertices)
    outline = matte_outline(shadow(wearer, nothing, naked.camera).astype(np.float32))
    found = snapped(wearer, nothing, bending_of(wearer), outline, naked.camera)
    pixels = [naked.camera.project(wearer.posed(offsets))[0] for offsets in (nothing, found)]
    assert np.percentile(np.linalg.norm(pixels[1] - pixels[0], axis=1), 99) < 1.0
