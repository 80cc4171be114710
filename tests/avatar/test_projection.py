from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.avatar.projection import EDGE_PIXELS, HAIRLINE, project_photo, sample_image
from backend.avatar.surface import Surface
from backend.avatar.texels import Texels
from backend.body.geometry import vertex_normals
from shared.camera import Camera
from shared.skeleton import JOINT_INDEX
from tests.standing import photograph


@settings(max_examples=50)
@given(st.floats(0.5, 11.5), st.floats(0.5, 7.5), st.tuples(*[st.floats(-2, 2)] * 3))
def test_samples_of_a_ramp_are_exact(x, y, ramp):
    rows, columns = np.mgrid[:8, :12] + 0.5
    image = (ramp[0] + ramp[1] * columns + ramp[2] * rows)[..., None]
    expected = ramp[0] + ramp[1] * x + ramp[2] * y
    np.testing.assert_allclose(sample_image(image, np.array([[x, y]])), [[expected]], atol=1e-9)


def test_samples_beyond_the_border_repeat_it():
    image = np.arange(6.0).reshape(2, 3, 1)
    np.testing.assert_allclose(sample_image(image, np.array([[-5, 0.5], [9, 9], [0, 0]]))[:, 0], [0, 5, 0])


@pytest.fixture(scope="module")
def painted(wearer, registration):
    """A photo whose colour tells where on the rest body a point lies."""
    low, high = wearer.vertices.min(0), wearer.vertices.max(0)
    colors = (wearer.vertices - low) / (high - low)
    return photograph(wearer, np.zeros_like(wearer.vertices), colors, registration.camera), colors


@pytest.fixture(scope="module")
def evidence(painted, surface, texels, posed, registration):
    observations, _ = painted
    no_hair = np.zeros(observations.alpha.shape, dtype=bool)
    return project_photo(observations, surface, texels, posed.vertices[0].numpy(), no_hair, registration.camera)


def test_known_texels_have_the_colour_of_their_own_place(painted, evidence, texels, surface):
    true = texels.interpolate(painted[1], surface.faces)
    error = np.abs(evidence.color - true).max(1)[evidence.known]
    assert evidence.known.mean() > 0.2
    assert np.median(error) < 0.01 and error.max() < 0.1


def test_what_faces_away_is_unknown(evidence, texels, posed, surface):
    normals = texels.interpolate(vertex_normals(posed.vertices[0].numpy(), surface.faces), surface.faces)
    assert not evidence.known[normals[:, 2] < 0].any()
    assert not evidence.visible[normals[:, 2] < -0.4].any() and evidence.visible[evidence.known].all()
    assert (evidence.facing[evidence.known] > 0).all() and np.abs(evidence.facing).max() < 1.0001
    assert evidence.known[evidence.facing > 0.8].mean() > 0.8


def test_what_lies_inside_the_mouth_is_unknown(evidence, texels, model):
    inside = np.isin(model.part[texels.face], ["upper_teeth", "lower_teeth", "tongue"])
    assert inside.any() and not evidence.known[inside].any()


def test_the_world_has_no_preferred_place(painted, evidence, surface, texels, posed, registration):
    observations, _ = painted
    shift = np.eye(4)
    shift[:3, 3] = 1.0, -2.0, 3.0
    camera = replace(registration.camera, world_to_camera=registration.camera.world_to_camera @ np.linalg.inv(shift))
    moved = posed.vertices[0].numpy() + shift[:3, 3]
    no_hair = np.zeros(observations.alpha.shape, dtype=bool)
    again = project_photo(observations, surface, texels, moved, no_hair, camera)
    np.testing.assert_allclose(again.color, evidence.color, atol=0.01)
    assert (again.known != evidence.known).mean() < 0.002


WALL, PLATE = 0, 2
"""First triangles of the wall, and of the plate before it."""


def stage(gap, plate, size=64):
    """A wall beyond the picture's edges, 2 m away, before its middle a plate, `gap` metres nearer; texels on both.

    The wall is skin of joint 0, the plate of joint `plate`.
    """
    camera = Camera(size, size, np.array([[size, 0, size / 2], [0, size, size / 2], [0, 0, 1.0]]), np.eye(4))
    square = np.array([[-1.0, -1, 0], [-1, 1, 0], [1, 1, 0], [1, -1, 0]])
    vertices = np.concatenate([1.5 * square + [0, 0, 2], 0.3 * square + [0, 0, 2 - gap]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    rng = np.random.default_rng(0)
    face = np.repeat(np.arange(4), 500).astype(np.int32)
    barycentric = rng.dirichlet([1, 1, 1], len(face)).astype(np.float32)
    nothing = np.zeros((len(face), 2), np.int32)
    texels = Texels(face, barycentric, np.full(len(face), 0.01, np.float32), nothing)
    weights = torch.eye(55)[[0, 0, 0, 0, plate, plate, plate, plate]]
    surface = Surface(torch.as_tensor(vertices), faces, weights, torch.zeros(0, 8, 3), len(faces))
    return surface, texels, vertices, camera


def look(observations, gap, hair=None, plate=0, size=64):
    surface, texels, vertices, camera = stage(gap, plate, size)
    alpha = np.ones((size, size), np.float32)
    alpha[0, 0] = 0  # a matte has an edge somewhere
    seen = replace(observations, foreground=np.zeros((size, size, 3), np.uint8), alpha=alpha)
    hair = np.zeros((size, size), dtype=bool) if hair is None else hair
    points = texels.interpolate(vertices, surface.faces)
    return project_photo(seen, surface, texels, vertices, hair, camera), texels, points, camera.project(points)[0]


def within(evidence, pixels):
    """In the picture, and off the corner where the matte ends."""
    return (evidence.inside > 0) & (pixels.max(1) > EDGE_PIXELS + 3)


def test_what_another_limb_hides_is_unknown_and_so_is_its_rim(painted):
    evidence, texels, _, pixels = look(painted[0], 0.2)
    on_wall, from_middle = texels.face < PLATE, np.abs(pixels - 32).max(1)
    reach = 64 * 0.3 / 1.8  # pixels from the middle to the plate's edge
    assert not evidence.known[on_wall & (from_middle < reach + EDGE_PIXELS)].any()
    assert evidence.known[on_wall & (from_middle > reach + EDGE_PIXELS + 2) & within(evidence, pixels)].all()
    assert evidence.known[~on_wall].all()


def test_what_only_its_own_limb_hides_is_bared(painted):
    for plate, bared in ((0, True), (JOINT_INDEX["left_elbow"], False)):
        evidence, texels, _, pixels = look(painted[0], 0.2, plate=plate)
        on_wall, from_middle = texels.face < PLATE, np.abs(pixels - 32).max(1)
        reach = 64 * 0.3 / 1.8
        assert (evidence.bared[on_wall & (from_middle < reach)] == bared).all()
        assert evidence.bared[(~on_wall | (from_middle > reach + 2)) & (evidence.inside > 0)].all()
        assert not evidence.bared[evidence.inside == 0].any()


def test_an_outline_is_where_more_of_the_person_lies_behind(painted):
    evidence, texels, points, _ = look(painted[0], 0.2)
    on_plate = texels.face >= PLATE
    inwards = 0.3 - np.abs(points[:, :2]).max(1)  # metres from the plate's edge
    np.testing.assert_allclose(evidence.to_outline[on_plate], inwards[on_plate], atol=0.045)  # a pixel and a half
    flat, *_ = look(painted[0], 0.0)
    assert np.isinf(flat.to_outline).all()


def test_what_lies_just_under_the_surface_is_still_seen(painted):
    evidence, texels, _, pixels = look(painted[0], 0.003)
    under = (texels.face < PLATE) & (np.abs(pixels - 32).max(1) < 10)
    assert under.any() and evidence.known[under].all() and evidence.known[within(evidence, pixels)].all()


def test_what_lies_beyond_the_photo_is_outside(painted):
    evidence, _, points, pixels = look(painted[0], 0.2)
    beyond = (pixels < 0).any(1) | (pixels > 64).any(1)
    assert beyond.any() and not evidence.inside[beyond].any() and not evidence.known[beyond].any()
    wall = points[:, 2] > 1.9
    margin = np.minimum(pixels, 64 - pixels).min(1)
    order = np.argsort(margin[wall])
    assert (np.diff(evidence.inside[wall][order]) >= -1e-9).all() and evidence.inside.max() == 1


@pytest.mark.parametrize("size", [64, 2048])
def test_hair_pixels_are_told(painted, size):
    hair, middle = np.zeros((size, size), dtype=bool), size // 2
    hair[:middle] = True
    evidence, _, _, pixels = look(painted[0], 0.001, hair, size=size)
    shown = (pixels > 0).all(1) & (pixels < size).all(1)
    np.testing.assert_array_equal(evidence.hair[shown], pixels[shown, 1] < middle)
    reach = max(EDGE_PIXELS, int(HAIRLINE * size / 2.0))  # in a fine picture of what is 2 m away, metres
    np.testing.assert_array_equal(evidence.hairline[shown], np.abs(pixels[shown, 1] - middle) < reach)
    assert evidence.hairline[shown].any()
