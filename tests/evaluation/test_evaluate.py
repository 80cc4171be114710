"""The whole evaluation at a tiny size: every method, every group that has frames, both registrations."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from backend.evaluation.truth import load_truth

KEPT = ("photo", "talk_04", "turn_p60")


@pytest.fixture(scope="module")
def small_truth(truth, tmp_path_factory) -> Path:
    """Subject a with three frames: those missing from params.npz do not exist."""
    folder = tmp_path_factory.mktemp("truth") / "subject_a"
    shutil.copytree(truth / "subject_a", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    with np.load(folder / "params.npz") as archive:
        kept = np.isin(archive["names"], KEPT)
        params = {key: archive[key] if key == "betas" else archive[key][kept] for key in archive.files}
    np.savez(folder / "params.npz", **params)
    assert tuple(frame.name for frame in load_truth(folder.parent)[0].frames) == KEPT
    return folder.parent


@pytest.mark.slow
@pytest.mark.parametrize("registration", ["truth", "fitted"])
def test_every_method_is_measured_in_every_group(small_truth, registration):
    from backend.evaluation.evaluate import evaluate
    from backend.training.settings import TrainingSettings

    settings = TrainingSettings(texture=128, size=256, steps=5, device="cpu")
    evaluation = evaluate(small_truth, settings, registration=registration)
    methods = dict(evaluation.results["subject_a"])
    fit = methods.pop("registration", None)
    assert (fit is not None) == (registration == "fitted")
    assert set(methods) == {"vivant", "textured_body", "textured_mesh", "cutout"}
    for name, groups in methods.items():
        assert set(groups) == {"photo", "talk", "turn", "turn60"}
        assert "depth_mm" in groups["talk"] and "depth_mm" not in groups["turn"]
        assert groups["photo"]["psnr_person"] > 8  # an empty frame has 5.6; stripes forgive no shift of a fit
        assert groups["photo"]["iou"] > (0.7 if name == "textured_body" else 0.9)
    assert methods["textured_mesh"]["talk"]["iou"] > methods["textured_body"]["talk"]["iou"]
    assert evaluation.results["settings"]["registration"] == registration
    assert tuple(evaluation.pictures["subject_a"]) == KEPT
