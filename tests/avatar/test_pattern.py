import numpy as np
import pytest

from backend.avatar.pattern import level_direction

AXIS = np.array([1.0, 0.0, 0.0])


def sleeve(sideways, forward, seed=0):
    """Half a sleeve along x, as a photo from the front shows it, with stripes whose planes tilt by two slopes."""
    random = np.random.default_rng(seed)
    angle, along = random.uniform(0, np.pi, 4000), random.uniform(0, 0.3, 4000)
    position = np.stack([along, 0.05 * np.cos(angle), 0.05 * np.sin(angle)], axis=1)
    normal = np.array([1.0, -sideways, forward])  # sideways is -y: from the axis towards the camera, z
    striped = (position @ normal / 0.03 % 1.0 < 0.5).astype(float)
    return position, np.clip(0.1 + 0.8 * striped[:, None] + random.normal(0, 0.05, (4000, 3)), 0, 1)


@pytest.mark.parametrize(("sideways", "forward"), [(0.0, 0.0), (-0.075, 0.125), (0.125, -0.025)])
def test_a_tilt_between_those_tried_is_found(sideways, forward):
    level = level_direction([sleeve(sideways, forward)], [sleeve(sideways, forward)], AXIS)
    slopes = -level[1] / level[0], level[2] / level[0]
    np.testing.assert_allclose(slopes, (sideways, forward), atol=0.02)


def test_few_other_texels_change_the_tilt_little():
    position, color = sleeve(-0.075, 0.125)
    left_out = [slice(40 * k, 40 * k + 40) for k in range(4)]
    some = [[(np.delete(position, out, 0), np.delete(color, out, 0))] for out in left_out]
    tilts = [level_direction(swatch, swatch, AXIS) for swatch in some]
    assert np.ptp(tilts, axis=0).max() < 0.01


def test_noise_and_plain_cloth_have_no_pattern():
    position, color = sleeve(0.0, 0.0)
    for other in (np.random.default_rng(1).permutation(color), np.full_like(color, 0.5)):
        assert level_direction([(position, other)], [(position, color)], AXIS) is None


def test_outlines_tell_the_tilt_though_what_is_plain_says_that_there_is_a_pattern():
    position, color = sleeve(0.0, 0.2)
    plain = position[:, 2] > 0.04
    dark = color * np.where(plain, 1.0, 0.8)[:, None]  # another light on the outlines
    level = level_direction([(position[plain], color[plain])], [(position, dark)], AXIS)
    np.testing.assert_allclose(level[2] / level[0], 0.2, atol=0.03)
