"""Folds on a sheet of cloth."""

import numpy as np
import pytest

from backend.avatar.folds import folds

LEVEL = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def sheet():
    """Shades [120, 120] of samples 4 mm apart: round the limb, then along it."""
    x, y = np.meshgrid(*[np.arange(120) * 0.004] * 2, indexing="ij")
    points = np.stack([x, y, 0.1 * np.sin(3 * x)], axis=-1)
    return folds(points.reshape(-1, 3), LEVEL).reshape(x.shape)


def test_light_and_dark_hold_each_other_the_balance(sheet):
    assert abs(sheet.mean()) < 0.3 and 0.5 < sheet.std() < 1.3


def test_folds_run_round_the_limb(sheet):
    assert np.abs(np.diff(sheet, axis=0)).mean() < 0.7 * np.abs(np.diff(sheet, axis=1)).mean()
