"""Normals and edges."""

import numpy as np

from backend.body.geometry import edges, face_normals, vertex_normals


def test_tetrahedron_points_outwards_and_closes():
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float64)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    np.testing.assert_allclose(face_normals(vertices, faces).sum(axis=0), 0, atol=1e-12)  # true of closed surfaces
    normals = vertex_normals(vertices, faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert ((normals * (vertices - vertices.mean(axis=0))).sum(axis=1) > 0).all()
    assert len(edges(faces)) == 6


def test_skin_of_the_open_body_is_closed(model):
    skin = model.faces[model.part == "skin"]
    assert 2 * len(edges(skin)) == 3 * len(skin)
