"""The example client does what it says, in fewer than 60 lines."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from shared.mock import MockServer
from tests.conftest import EXAMPLES, ROOT

CLIENT = EXAMPLES / "client.py"


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """What the example saved."""
    folder = tmp_path_factory.mktemp("example")
    Image.new("RGB", (90, 130), (128, 128, 128)).save(folder / "photo.png")
    server = MockServer(folder / "data", pace=0.02)
    server.start()
    command = [sys.executable, CLIENT, folder / "photo.png", folder / "frames"]
    environment = {"VIVANT_DATA": str(folder / "data"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, timeout=120, capture_output=True, text=True)
    server.stop()
    assert done.returncode == 0, done.stderr
    assert "finished Done" in done.stderr
    return [np.asarray(Image.open(path)) for path in sorted((folder / "frames").iterdir())]


def test_it_saves_ten_frames_of_a_head_that_turns(frames):
    assert len(frames) == 10
    assert all(frame.shape == (130, 90, 4) and frame[..., 3].max() == 255 for frame in frames)
    assert all((one != other).any() for one, other in pairwise(frames))


def test_its_soft_edges_keep_their_colour(frames):
    """A PNG with premultiplied colours has a dark rim."""
    frame = frames[0].astype(float)
    soft = (frame[..., 3] > 50) & (frame[..., 3] < 200)
    whole = frame[..., 3] == 255
    assert soft.sum() > 20 and frame[soft][:, :3].mean() > 0.6 * frame[whole][:, :3].mean()


def test_it_is_short():
    assert len(CLIENT.read_text(encoding="utf-8").splitlines()) < 60
