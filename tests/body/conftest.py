"""The open body, and a file that looks like an official one."""

from importlib import resources

import numpy as np
import pytest

from backend.body.model import BodyModel


@pytest.fixture(scope="session")
def model():
    return BodyModel.load()


@pytest.fixture(scope="session")
def arrays():
    with resources.as_file(resources.files("backend.body.assets") / "open_body.npz") as path, np.load(path) as archive:
        return dict(archive)


@pytest.fixture(scope="session")
def official_file(arrays, tmp_path_factory):
    """Pose correctives, PCA expressions, no part names, and the object arrays that official files carry."""
    own = {key: value for key, value in arrays.items() if not key.startswith("open_")}
    own["posedirs"] = np.random.default_rng(0).normal(0, 1e-3, own["posedirs"].shape).astype(np.float32)
    own["joint2num"] = np.array({"pelvis": 0}, dtype=object)
    path = tmp_path_factory.mktemp("official") / "SMPLX_NEUTRAL.npz"
    np.savez(path, **own)
    return path
