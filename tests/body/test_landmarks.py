"""The landmark embedding: recomputed, symmetric, each point on the part it belongs to."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.body.landmark_views import CONTOUR
from backend.body.landmarks import IRISES, attach, closest_barycentric, face_landmarks, mirrored, symmetry_plane
from backend.photo.mirror import FACE_MIRROR
from shared.skeleton import JOINT_INDEX

UPPER_LIP_INSIDE, LOWER_LIP_INSIDE = (13, 82, 312, 81, 311, 80, 310), (14, 87, 317, 178, 402, 88, 318)


@pytest.fixture(scope="module")
def packaged(model):
    return face_landmarks(model)


def test_packaged_embedding_is_what_detection_gives_and_is_kept_in_the_cache(model, packaged, tmp_path, monkeypatch):
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path))
    computed = face_landmarks(replace(model, sha256="other"))
    (kept,) = tmp_path.glob("landmarks*_other.npz")
    written = kept.stat().st_mtime_ns
    again = face_landmarks(replace(model, sha256="other"))
    assert kept.stat().st_mtime_ns == written
    np.testing.assert_array_equal(again.face, computed.face)
    vertices = model.template.numpy()
    distance = np.linalg.norm(computed.points(vertices, model.faces) - packaged.points(vertices, model.faces), axis=1)
    used = packaged.weight > 0
    assert distance[used].max() < 2e-3  # detectors differ slightly between processors
    assert np.median(distance[used]) < 1e-4
    np.testing.assert_allclose(computed.weight[used], packaged.weight[used], atol=0.2)


def test_points_lie_on_triangles_of_their_own_part(model, packaged):
    assert (packaged.barycentric >= 0).all()
    np.testing.assert_allclose(packaged.barycentric.sum(axis=1), 1, atol=1e-9)
    for part, rows in IRISES.items():
        assert set(model.part[packaged.face[list(rows)]]) == {part}
    assert set(model.part[packaged.face[:468]]) == {"skin"}


def test_contour_is_dropped_and_most_of_the_rest_used(packaged):
    assert (packaged.weight[CONTOUR] == 0).all()
    assert (packaged.weight > 0).sum() > 410
    assert packaged.weight.max() <= 1


def test_symmetric(model, packaged):
    points = packaged.points(model.template.numpy(), model.faces)
    difference = mirrored(points[FACE_MIRROR], symmetry_plane(model)) - points
    used = packaged.weight > 0
    assert np.abs(difference[used]).max() < 1e-3


def test_inner_lip_points_follow_their_own_lip(model, packaged):
    follows = model.weights.numpy()[model.faces[packaged.face], JOINT_INDEX["jaw"]]
    jaw = (packaged.barycentric * follows).sum(axis=1)
    assert jaw[list(UPPER_LIP_INSIDE)].max() < 0.2
    assert jaw[list(LOWER_LIP_INSIDE)].min() > 0.6


coordinates = st.lists(st.floats(-1, 1), min_size=12, max_size=12)


@given(coordinates)
@example([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0])  # corners on one line
def test_closest_point_of_a_triangle_beats_every_other(values):
    point, corners = np.array(values[:3]), np.array(values[3:]).reshape(3, 3)
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    if sides.min() < 1e-3:
        return
    closest = closest_barycentric(point, corners)
    grid = [(i / 12, j / 12, 1 - (i + j) / 12) for i in range(13) for j in range(13 - i)]
    assert (closest >= 0).all()
    assert abs(closest.sum() - 1) < 1e-9
    others = np.linalg.norm(np.array(grid) @ corners - point, axis=1)
    assert np.linalg.norm(closest @ corners - point) <= others.min() + 1e-6


def test_points_of_the_surface_attach_to_themselves(model):
    random = np.random.default_rng(0)
    faces = random.choice(np.flatnonzero(model.part == "skin"), 200)
    barycentric = random.dirichlet([1, 1, 1], 200)
    vertices = model.template.numpy()
    points = np.einsum("nk,nkd->nd", barycentric, vertices[model.faces[faces]])
    face, found = attach(points, vertices, model.faces, model.part == "skin")
    np.testing.assert_allclose(np.einsum("nk,nkd->nd", found, vertices[model.faces[face]]), points, atol=1e-6)
