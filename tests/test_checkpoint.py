from dataclasses import fields, replace

import numpy as np
import pytest

from backend.checkpoint import load_observations, save_observations
from backend.stages import Landmarks, Observations
from shared.errors import VivantError


@pytest.fixture
def observations():
    rng = np.random.default_rng(0)
    parts = {
        name: Landmarks(rng.normal(0, 100, (count, 2)), rng.uniform(0, 1, count))
        for name, count in (("body", 33), ("face", 478), ("left_hand", 21), ("right_hand", 21))
    }
    return Observations(
        rgb=rng.integers(0, 256, (20, 30, 3), dtype=np.uint8),
        foreground=rng.integers(0, 256, (20, 30, 3), dtype=np.uint8),
        alpha=rng.uniform(0, 1, (20, 30)).astype(np.float32),
        box=(1, 2, 28, 19),
        focal=812.5,
        body_world=rng.normal(0, 1, (33, 3)),
        providers={"matte": "mediapipe 0.10.21 + pymatting"},
        notes=("Linke Hand nicht gefunden: entspannte Haltung.",),
        **parts,
    )


@pytest.mark.parametrize("change", [{}, {"focal": None, "notes": (), "providers": {}, "licences": {"matte": "MIT"}}])
def test_what_is_saved_is_loaded(observations, tmp_path, change):
    saved = replace(observations, **change)
    save_observations(tmp_path / "observations.npz", saved)
    loaded = load_observations(tmp_path / "observations.npz")
    for field in fields(Observations):
        before, after = getattr(saved, field.name), getattr(loaded, field.name)
        if isinstance(before, Landmarks):
            np.testing.assert_array_equal(after.points, before.points)
            np.testing.assert_array_equal(after.confidence, before.confidence)
        else:
            np.testing.assert_array_equal(after, before)
            assert type(after) is type(before) and getattr(after, "dtype", None) == getattr(before, "dtype", None)


def test_it_is_written_whole_or_not_at_all(observations, tmp_path):
    save_observations(tmp_path / "observations.npz", observations)
    assert [path.name for path in tmp_path.iterdir()] == ["observations.npz"]
    (tmp_path / "file").write_text("")
    with pytest.raises(VivantError, match="Cannot write"):
        save_observations(tmp_path / "file" / "observations.npz", observations)
