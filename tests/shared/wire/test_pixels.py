"""Frames go over the wire and back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from shared.wire.pixels import DEPTH_STEPS, box_of, cut, depth_from_u2, depth_range, depth_to_u2, paste, strips

ALPHAS = npst.arrays(
    np.uint8, npst.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from((0, 0, 0, 1, 255))
)


@given(ALPHAS)
def test_what_is_cut_and_pasted_is_the_picture_again(alpha):
    x, y, width, height = box = box_of(alpha)
    back = np.zeros_like(alpha)
    paste(back, cut(alpha, box), x, y)
    np.testing.assert_array_equal(back, alpha)
    assert width * height == 0 or (alpha[y].any() and alpha[:, x].any())
    assert width * height == 0 or (alpha[y + height - 1].any() and alpha[:, x + width - 1].any())


@given(ALPHAS, st.integers(1, 200))
def test_strips_cover_each_row_once(alpha, at_most):
    row_bytes = alpha.shape[1] * 6
    pieces = strips(alpha.shape[0], row_bytes, at_most)
    assert [row for first, last in pieces for row in range(first, last)] == list(range(alpha.shape[0]))
    assert all((last - first) * row_bytes <= max(at_most, row_bytes) for first, last in pieces)


def test_an_empty_picture_is_one_strip():
    assert strips(0, 0, 100) == [(0, 0)]


@given(st.floats(0.1, 50), st.floats(0, 30), st.integers(0, DEPTH_STEPS))
def test_depth_comes_back_to_within_half_a_step(near, extent, step):
    far = near + extent
    depth = np.array([[near, far, near + extent * step / DEPTH_STEPS]], "f4")
    back = depth_from_u2(depth_to_u2(depth, near, far), near, far)
    assert np.abs(back - depth).max() <= 0.5 * extent / DEPTH_STEPS + 4e-6 * far


def test_depth_where_nothing_is_does_no_harm():
    depth, alpha = np.array([[np.nan, np.inf, -np.inf, 2.0]], "f4"), np.array([[0, 0, 0, 255]], "u1")
    assert depth_range(depth, alpha) == (2.0, 2.0)
    assert depth_from_u2(depth_to_u2(depth, 2.0, 2.0), 2.0, 2.0)[0, 3] == 2.0
    assert depth_range(depth, np.zeros_like(alpha)) == (0.0, 0.0)
