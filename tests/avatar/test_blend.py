import numpy as np

from backend.avatar.blend import AT_ONCE, BLUR, DONORS, blended


def test_one_colour_stays_that_colour_however_many_are_asked():
    rng = np.random.default_rng(0)
    query, places = rng.random((AT_ONCE + 7, 3)), rng.random((DONORS + 9, 3))
    color = np.broadcast_to([0.8, 0.6, 0.5], (len(places), 3))
    np.testing.assert_allclose(blended(query, places, color), np.broadcast_to(color[0], query.shape))
    assert blended(query[:0], places, color).shape == (0, 3)


def test_colours_pass_over_smoothly_from_one_seen_side_to_the_other():
    places = np.stack([np.linspace(-0.1, 0.1, 21), np.zeros(21), np.zeros(21)], axis=1)
    color = np.where(places[:, :1] > 0, 1.0, 0.0) * np.ones(3)
    query = np.stack([np.linspace(-0.1, 0.1, 401), np.full(401, 0.03), np.zeros(401)], axis=1)
    shade = blended(query, places, color)[:, 0]
    assert shade[0] < 0.2 and shade[-1] > 0.8
    assert np.abs(np.diff(shade)).max() < 2 * 0.0005 / BLUR  # half a millimetre changes little
