"""A standing person, photographed; jobs that find the photo observed and fitted already; a server with tiny workers."""

from dataclasses import replace

import numpy as np
import pytest

from backend.pipeline import BuildSettings, build
from backend.registration.files import save_registration
from backend.registration.wearer import wearer_of
from backend.training.settings import TrainingSettings
from tests.service.fake_worker import write_avatar
from tests.service.serving import serving, submit, until_state
from tests.standing import photograph, standing


@pytest.fixture(scope="session")
def fit(model):
    return replace(standing(model, height=160), confidence={"body": 0.9})


@pytest.fixture(scope="session")
def observations(fit, model):
    wearer = wearer_of(fit, model)
    colors = np.clip(0.5 + wearer.vertices * [0.6, 0.4, 3.0], 0, 1)
    return photograph(wearer, np.zeros_like(wearer.vertices), colors, fit.camera)


@pytest.fixture(scope="session")
def avatar_folder(tmp_path_factory, observations, fit):
    """A tiny avatar of 128 x 128 texels."""
    place = tmp_path_factory.mktemp("avatar")
    (place / "photo.png").write_bytes(b"a photo")
    save_registration(place / "fit.npz", fit)
    training = TrainingSettings(texture=128, size=160, steps=2, device="cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.pipeline.observe", lambda *_, **__: observations)
        return build(place / "photo.png", place / "avatar", BuildSettings(training, registration=place / "fit.npz"))


@pytest.fixture
def folder(tmp_path):
    """An avatar folder as the command line leaves it, by its outside."""
    made = tmp_path / "Ada Lovelace"
    made.mkdir()
    write_avatar(made)
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real one, for all tests of a file."""
    with serving(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def avatar(server):
    """The id of an avatar that it has built."""
    with server.connect() as client:
        job = submit(client)
        until_state(client, job, "finished")
        return job
