import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.raster.mesh import rasterize_mesh
from shared.camera import Camera

CAMERA = Camera(64, 48, np.array([[60.0, 0, 31], [0, 55, 25], [0, 0, 1]]), np.eye(4))


def random_mesh(seed, triangles=40):
    generator = np.random.default_rng(seed)
    centre = generator.uniform([-1, -1, 1], [1, 1, 4], (triangles, 1, 3))
    vertices = (centre + generator.normal(0, 0.4, (triangles, 3, 3))).reshape(-1, 3)
    return vertices, np.arange(3 * triangles).reshape(-1, 3)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_barycentric_point_projects_to_its_pixel_centre_and_depth(seed):
    vertices, faces = random_mesh(seed)
    seen = rasterize_mesh(vertices, faces, CAMERA)
    y, x = np.nonzero(seen.face >= 0)
    points = (vertices[faces[seen.face[y, x]]] * seen.barycentric[y, x, :, None]).sum(1)
    pixels, depth = CAMERA.project(points)
    np.testing.assert_allclose(pixels, np.stack([x, y], 1) + 0.5, atol=2e-3)
    np.testing.assert_allclose(depth, seen.depth[y, x], rtol=1e-5)
    np.testing.assert_allclose(seen.barycentric[y, x].sum(1), 1, atol=1e-5)


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_nearest_triangle_wins_whatever_the_order(seed):
    vertices, faces = random_mesh(seed)
    there, back = rasterize_mesh(vertices, faces, CAMERA), rasterize_mesh(vertices, faces[::-1], CAMERA)
    np.testing.assert_array_equal(there.depth, back.depth)


def test_grid_has_neither_holes_nor_overlap():
    side = 13
    u, v = np.meshgrid(np.linspace(-1.03, 1, side), np.linspace(-1.01, 1, side))
    vertices = np.stack([u, v, np.full_like(u, 2.0)], -1).reshape(-1, 3)
    first = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).reshape(-1, 1)
    faces = np.concatenate([first + np.array(corner) for corner in ([0, 1, side], [1, side + 1, side])])
    seen = rasterize_mesh(vertices, faces, CAMERA)
    assert (seen.face[2:46, 5:60] >= 0).all()
    np.testing.assert_allclose(seen.depth[seen.face >= 0], 2.0, rtol=1e-6)


def test_culling_keeps_only_triangles_seen_from_outside():
    # a tetrahedron around z = 3, counter-clockwise outside, in a camera whose y points down
    vertices = np.array([[1, 0, 3], [-1, 0, 3], [0, 1, 3.5], [0, 0.3, 2]], dtype=float)
    faces = np.array([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])
    centre = vertices.mean(0)
    normals = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    outward = (normals * (vertices[faces].mean(1) - centre)).sum(1) > 0
    faces[~outward] = faces[~outward][:, ::-1]
    whole, culled = rasterize_mesh(vertices, faces, CAMERA), rasterize_mesh(vertices, faces, CAMERA, cull=True)
    np.testing.assert_array_equal(whole.face, culled.face)  # a closed surface hides its own back


def test_triangle_that_crosses_the_near_plane_is_dropped():
    vertices = np.array([[-1, -1, 2], [1, -1, 2], [0, 1, -1]], dtype=float)
    assert (rasterize_mesh(vertices, np.array([[0, 1, 2]]), CAMERA).face == -1).all()


def test_empty_mesh_leaves_every_pixel_empty():
    seen = rasterize_mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int), CAMERA)
    assert (seen.face == -1).all() and np.isinf(seen.depth).all() and (seen.barycentric == 0).all()
