"""Frames travel packed to other computers, whole and the same, and raw on one's own, where packing costs more."""

from dataclasses import replace

import numpy as np
import pytest

from backend.service import keys
from shared.mock.png import png
from shared.wire import calls, compression
from shared.wire import messages as m
from tests.service.serving import motion, serving
from tests.shared.wire.proxy import Proxy

pytestmark = pytest.mark.skipif(not compression.FEATURES, reason="zstandard is not installed")

SIZE, FRAMES = (128, 96), 4  # large enough for both buffers to be packed


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data")) as server:
        yield server


def rendered(connection):
    """The frames, and how many bytes came for them."""
    with (
        Proxy((connection.host, connection.frames_port)) as proxy,
        calls.connect(replace(connection, frames_port=proxy.port), features=("zstd",)) as client,
    ):
        photo = calls.upload(client, png(np.zeros((64, 64, 3), np.uint8)))
        avatar, render = calls.new_id(), calls.new_id()
        client.call(m.JobSubmit(avatar, "build", photo, options=m.BuildOptions(steps=1, size=64)))
        calls.finish(client, avatar)
        before = proxy.passed
        frames = list(calls.frames(client, m.RenderFrames(render, avatar, *SIZE), motion(FRAMES)))
        return frames, proxy.passed - before


def test_a_listed_client_gets_fewer_bytes_and_the_same_frames(server):
    pair = keys.new_pair()
    keys.allow(server.data, "remote", pair.public)
    own = server.connection()
    raw, many = rendered(own)
    packed, few = rendered(replace(own, public_key=pair.public, secret_key=pair.secret))
    assert few < many / 4
    for (number, rgba, depth), (other_number, other_rgba, other_depth) in zip(raw, packed, strict=True):
        assert number == other_number
        np.testing.assert_array_equal(rgba, other_rgba)
        np.testing.assert_array_equal(depth, other_depth)
