"""Which colours are a cloth's own, on the seen half of a sleeve that is painted in different ways."""

import numpy as np
import pytest

from backend.avatar.limbs import Bone
from backend.avatar.recurring import met_among, recurring, skin_like

RADIUS, LENGTH, COUNT = 0.12, 0.5, 20_000
ORANGE, WHITE, BLUE, PURPLE = np.array([[0.9, 0.4, 0.15], [0.95, 0.95, 0.9], [0.2, 0.3, 0.6], [0.3, 0.15, 0.55]])
BONE = Bone(np.zeros(3), np.array([0.0, 1.0, 0.0]))


@pytest.fixture(scope="module")
def sleeve():
    """Where the texels are: metres round the bone from the middle, metres along it, and in space."""
    rng = np.random.default_rng(0)
    angle, height = rng.uniform(-1.2, 1.2, COUNT), rng.uniform(0, LENGTH, COUNT)
    return RADIUS * angle, height, np.stack([RADIUS * np.sin(angle), height, RADIUS * np.cos(angle)], axis=1)


def lit(color, around):
    """Brighter on one side than on the other, and grainy."""
    light = 0.75 + 1.5 * around[:, None]
    return np.clip(color * light + np.random.default_rng(1).normal(0, 0.02, color.shape), 0, 1)


def test_plain_cloth_is_cloth_in_light_and_in_shade(sleeve):
    around, _, position = sleeve
    assert recurring(position, lit(np.tile(ORANGE, (COUNT, 1)), around), BONE).mean() > 0.95


def test_a_badge_is_no_cloth_nor_is_the_white_in_it_that_a_strap_has_too(sleeve):
    around, height, position = sleeve
    away = np.hypot(around + 0.07, height - 0.25)
    strap = np.abs(around - 0.08) < 0.015
    color = np.where(strap[:, None], WHITE, ORANGE)
    color = np.where(away[:, None] < 0.04, PURPLE, color)
    color = np.where(away[:, None] < 0.015, WHITE, color)
    cloth = recurring(position, lit(color, around), BONE)
    assert not cloth[away < 0.035].any()
    assert cloth[strap].mean() < 0.1
    assert cloth[(away > 0.075) & (np.abs(around - 0.08) > 0.05)].mean() > 0.95


@pytest.mark.parametrize("pattern", ["stripes", "checks"])
def test_what_is_met_again_all_round_is_cloth(sleeve, pattern):
    around, height, position = sleeve
    dark = height % 0.04 < 0.012
    if pattern == "checks":
        dark = (around % 0.05 < 0.025) == (height % 0.05 < 0.025)
    color = np.where(dark[:, None], BLUE, WHITE)
    assert recurring(position, lit(color, around), BONE).mean() > 0.9


def test_either_side_of_a_hem_is_cloth(sleeve):
    around, height, position = sleeve
    color = np.where(height[:, None] < 0.27, ORANGE, BLUE)
    assert recurring(position, lit(color, around), BONE).mean() > 0.9


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_few_texels_are_judged_too(sleeve, count):
    around, _, position = sleeve
    assert recurring(position[:count], lit(np.tile(ORANGE, (count, 1)), around[:count]), BONE).shape == (count,)


def test_a_few_of_another_colour_are_not_met(sleeve):
    around, _, _ = sleeve
    mostly = lit(np.where(np.arange(COUNT)[:, None] % 100 == 0, PURPLE, ORANGE), around)
    np.testing.assert_array_equal(met_among(np.array([ORANGE, 0.6 * ORANGE, PURPLE, WHITE]), mostly), [1, 1, 0, 0])
    assert not met_among(mostly, np.zeros((0, 3))).any() and met_among(np.zeros((0, 3)), mostly).shape == (0,)


def test_skin_is_known_in_less_light_and_told_from_cloth():
    face = np.tile([0.8, 0.6, 0.5], (9, 1))
    colors = np.stack([face[0], 0.7 * face[0], ORANGE, WHITE, BLUE, [0.4, 0.4, 0.4]])
    np.testing.assert_array_equal(skin_like(colors, face), [True, True, False, False, False, False])
