"""Crops: the way into a detector's picture and back is the identity, corners at 0 and pixel centres at +0.5."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backend.photo.crops import Box, Crop
from backend.photo.mirror import BODY_MIRROR, FACE_MIRROR

coordinates = st.floats(-100, 500)


@given(coordinates, coordinates, st.floats(20, 400), st.floats(20, 400), st.integers(16, 800), st.booleans())
def test_to_photo_inverts_the_crop(x, y, width, height, longer, mirrored):
    crop = Crop.fit(Box(x, y, x + width, y + height), (300, 400), longer)
    crop = crop.mirror() if mirrored else crop
    points = np.random.default_rng(0).uniform([crop.x0, crop.y0], [crop.x1, crop.y1], (20, 2))
    fractions = (points - (crop.x0, crop.y0)) / (max(crop.x1 - crop.x0, 1), max(crop.y1 - crop.y0, 1))
    if mirrored:
        fractions[:, 0] = 1 - fractions[:, 0]
    if not crop.empty:
        assert np.allclose(crop.to_photo(fractions), points)


@given(st.integers(4, 60), st.integers(4, 60), st.sampled_from([120, 240, 333, 480]), st.booleans())
def test_a_dot_is_found_where_it_was(column, row, longer, mirrored):
    """The whole way through pixels: crop, resize, mirror, find, map back. Half a pixel of bias would show."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[row - 2 : row + 3, column - 2 : column + 3] = 255  # centred on the pixel centre (column + 0.5, row + 0.5)
    crop = Crop.fit(Box(0, 0, 64, 64), image.shape, longer)
    crop = crop.mirror() if mirrored else crop
    seen = crop.cut(image)[..., 0].astype(float)
    rows, columns = np.indices(seen.shape)
    centroid = np.array(
        [
            [
                (seen * (axis + 0.5)).sum() / seen.sum() / size
                for axis, size in ((columns, seen.shape[1]), (rows, seen.shape[0]))
            ]
        ]
    )
    expected = np.argwhere(image[..., 0])[:, ::-1].mean(axis=0) + 0.5
    assert np.abs(crop.to_photo(centroid)[0] - expected).max() < 0.1


@given(st.booleans())
def test_paste_puts_a_picture_back(mirrored):
    image = np.random.default_rng(0).random((50, 70)).astype(np.float32)
    crop = Crop.fit(Box(10, 5, 60, 45), image.shape, 50)
    crop = crop.mirror() if mirrored else crop
    canvas = np.zeros_like(image)
    crop.paste(crop.cut(image), canvas)
    assert np.allclose(canvas[5:45, 10:60], image[5:45, 10:60], atol=1e-5)
    canvas[5:45, 10:60] = 0
    assert not canvas.any()


def test_boxes():
    a, b = Box(0, 0, 10, 10), Box(5, 0, 15, 10)
    assert a.overlap(b) == 50 / 150 and a.overlap(Box(20, 20, 30, 30)) == 0
    assert a.union(b) == Box(0, 0, 15, 10) and a.scaled(2) == Box(-5, -5, 15, 15)
    assert a.scaled(2).pixels((8, 12)) == (0, 0, 12, 8)


def test_mirror_tables_are_their_own_inverse():
    for table in (FACE_MIRROR, BODY_MIRROR):
        assert np.array_equal(table[table], np.arange(len(table)))
    assert (FACE_MIRROR[[33, 61, 1, 468]] == [263, 291, 1, 473]).all()  # eye corners, mouth corners, nose tip, irises
    assert (BODY_MIRROR[[0, 11, 15, 31]] == [0, 12, 16, 32]).all()
