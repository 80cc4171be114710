import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.registration.outline import matte_outline

HEIGHT, WIDTH = 60, 80


def disk(x, y, radius, softness=1.0):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.clip(0.5 + (radius - np.hypot(columns - x, rows - y)) / softness, 0, 1).astype(np.float32)


@settings(max_examples=30)
@given(st.floats(30, 50), st.floats(28, 32), st.floats(8, 20), st.floats(1, 3).map(lambda value: round(value, 2)))
def test_a_disk_is_found_to_a_tenth_of_a_pixel(x, y, radius, softness):
    outline = matte_outline(disk(x, y, radius, softness))
    away = outline.points - [x, y]
    distance = np.linalg.norm(away, axis=1)
    assert len(outline.points) > 2 * np.pi * radius  # about one where each row and one where each column crosses it
    np.testing.assert_allclose(distance, radius, atol=0.1)
    assert ((away / distance[:, None] * outline.normals).sum(1) > 0.99).all()
    np.testing.assert_allclose(np.linalg.norm(outline.normals, axis=1), 1, atol=1e-6)


def test_the_image_border_is_no_outline():
    outline = matte_outline(disk(0, HEIGHT / 2, 20))
    assert len(outline.points) > 40 and (outline.points[:, 0] < 1).sum() == 2  # where the circle meets the border
    assert not len(matte_outline(np.ones((HEIGHT, WIDTH), np.float32)).points)
    assert not len(matte_outline(np.zeros((HEIGHT, WIDTH), np.float32)).points)


def test_a_hole_points_into_itself():
    ring = disk(40, 30, 22) - disk(40, 30, 8)
    outline = matte_outline(ring)
    away = outline.points - [40, 30]
    inner = np.linalg.norm(away, axis=1) < 15
    outwards = (away * outline.normals).sum(1) > 0
    assert inner.any() and (outwards == ~inner).all()


def test_points_and_normals_are_chosen_together():
    outline = matte_outline(disk(40, 30, 12))
    left = outline.where(outline.points[:, 0] < 40)
    assert 0 < len(left.points) < len(outline.points) and len(left.points) == len(left.normals)
    assert (left.points[:, 0] < 40).all() and left.normals[:, 0].mean() < 0
