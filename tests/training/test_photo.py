from dataclasses import replace

import numpy as np
import pytest

from backend.registration.wearer import wearer_of
from backend.training.photo import MARGIN, photo_target


def test_a_large_target_is_the_crop_itself(observations, registration):
    target = photo_target(observations, registration.camera, 1000)
    height, width = target.alpha.shape
    assert (target.camera.height, target.camera.width) == (height, width)
    shown = target.alpha.numpy() > 0.5
    assert shown.sum() == (observations.alpha > 0.5).sum()
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    assert MARGIN <= rows[0] <= MARGIN + 1 and MARGIN <= columns[0] <= MARGIN + 1  # room for a halo to cost
    expected = (
        observations.foreground[observations.alpha > 0.5] / 255 * observations.alpha[observations.alpha > 0.5, None]
    )
    np.testing.assert_allclose(target.rgb.numpy()[shown], expected, atol=1e-6)


@pytest.mark.parametrize("size", [64, 100, 173])
def test_a_small_target_shows_the_same_from_the_same_camera(observations, registration, model, size):
    target = photo_target(observations, registration.camera, size)
    assert max(target.alpha.shape) == size
    assert (target.rgb <= target.alpha[..., None] + 1e-5).all()
    full = photo_target(observations, registration.camera, 1000)
    assert target.alpha.mean().item() == pytest.approx(full.alpha.mean().item(), rel=0.02)
    wearer = wearer_of(registration, model)
    pixels, _ = target.camera.project(wearer.posed(np.zeros_like(wearer.vertices)))
    column, row = np.clip(pixels.astype(int), 0, [target.camera.width - 1, target.camera.height - 1]).T
    assert (target.alpha.numpy()[row, column] > 0).mean() > 0.98  # vertices project onto the person


def test_the_photos_border_limits_the_crop(observations, registration):

    half = {name: getattr(observations, name)[:150] for name in ("rgb", "foreground", "alpha")}
    camera = registration.camera.cropped(0, 0, registration.camera.width, 150)
    target = photo_target(replace(observations, **half), camera, 1000)
    assert target.alpha[-1].max() == 1
    assert target.alpha[0].max() == 0
