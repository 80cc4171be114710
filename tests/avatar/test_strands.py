"""Unseen hair on a ball whose front is hair above a face."""

import numpy as np
import pytest

from backend.avatar.strands import hair_colors, is_hair

CENTRE, RADIUS = np.array([0.01, 1.6, 0.02]), 0.1
BROWN = np.array([0.4, 0.25, 0.15])


@pytest.fixture(scope="module")
def ball():
    """Directions from the head's centre, evenly spread."""
    rows = np.arange(4000) + 0.5
    y, turn = 1 - 2 * rows / 4000, np.pi * (1 + 5**0.5) * rows
    across = np.sqrt(1 - y * y)
    return np.stack([across * np.cos(turn), y, across * np.sin(turn)], axis=1)


def grained(count, deviation):
    shade = np.random.default_rng(0).normal(0, deviation, count)
    return BROWN * np.exp(shade)[:, None]


def coloured(ball, deviation, tint=1.0):
    front = (ball[:, 2] > 0.3) & (ball[:, 1] > 0.3)
    seen, unseen = CENTRE + RADIUS * ball[front], CENTRE + RADIUS * ball[ball[:, 2] < 0]
    color = grained(len(seen), deviation) * np.where(seen[:, :1] > CENTRE[0], tint, 1.0)
    return unseen, hair_colors(unseen, seen, color, CENTRE)


def test_unseen_hair_has_the_seen_hairs_colour_and_its_variety(ball):
    _, color = coloured(ball, 0.15)
    np.testing.assert_allclose(np.median(color, axis=0), BROWN, atol=0.04)
    assert 0.06 < np.log(color.mean(1)).std() < 0.3


def test_even_hair_stays_even(ball):
    _, color = coloured(ball, 0.0)
    np.testing.assert_allclose(color, np.broadcast_to(BROWN, color.shape), atol=1e-6)


def test_light_on_one_side_only_is_not_carried_behind(ball):
    unseen, color = coloured(ball, 0.0, tint=1.8)
    left = unseen[:, 0] > CENTRE[0]
    assert np.abs(np.median(color[left], axis=0) - np.median(color[~left], axis=0)).max() < 0.02


@pytest.fixture(scope="module")
def back(ball):
    """Log brightness [200, 60] behind a head: samples 0.9 mm apart round it, 1.0 mm down it."""
    turn, level = np.meshgrid(np.linspace(2.2, 4.0, 200), np.linspace(-0.03, 0.03, 60), indexing="ij")
    grid = CENTRE + np.stack([RADIUS * np.sin(turn), level, RADIUS * np.cos(turn)], axis=-1)
    front = CENTRE + RADIUS * ball[ball[:, 2] > 0.3]
    color = hair_colors(grid.reshape(-1, 3), front, grained(len(front), 0.2), CENTRE)
    return np.log(color.mean(1)).reshape(turn.shape)


def test_strands_run_down(back):
    """Neighbours below each other are more alike than neighbours beside each other."""
    assert np.abs(np.diff(back, axis=0)).mean() > 1.5 * np.abs(np.diff(back, axis=1)).mean()


def test_strands_do_not_become_stripes(back):
    """Four centimetres farther down, nothing tells any more what shade it was."""
    assert abs(np.corrcoef(back[:, :20].ravel(), back[:, 40:].ravel())[0, 1]) < 0.2


def test_the_back_is_hair_and_a_cheek_is_not(ball):
    hair = CENTRE + RADIUS * ball[(ball[:, 2] > 0.2) & (ball[:, 1] > 0.6)]
    skin = CENTRE + RADIUS * ball[(ball[:, 2] > 0.2) & (ball[:, 1] < 0.4)]
    back, cheek = CENTRE + np.array([[0, -0.05, -0.08], [0.09, -0.04, 0.01]])
    np.testing.assert_array_equal(is_hair(np.stack([back, cheek]), hair, skin, CENTRE), [True, False])


def test_cropped_hair_covers_the_sides_of_a_head_down_to_the_ears(ball):
    head = CENTRE + RADIUS * ball
    front = ball[:, 2] > 0.5
    hair, skin = head[front & (ball[:, 1] > 0.75)], head[front & (ball[:, 1] < 0.75)]
    side, temple, lobe = CENTRE + np.array([[0.08, 0.06, 0.0], [0.06, 0.05, 0.06], [0.09, 0.0, 0.02]])
    np.testing.assert_array_equal(is_hair(np.stack([side, temple, lobe]), hair, skin, CENTRE), [True, False, False])


def test_none_grows_under_the_ears_before_the_nape(ball):
    hair = CENTRE + RADIUS * ball
    jaw, nape = CENTRE + np.array([[0.06, -0.05, 0.02], [0.04, -0.05, -0.06]])
    for skin in (hair[:0], hair[:1]):
        np.testing.assert_array_equal(is_hair(np.stack([jaw, nape]), hair, skin, CENTRE), [False, True])
