"""Frames through mapped memory between a real server and its clients. Numbers are rows of the fault table."""

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import zmq

from backend.service import keys
from shared.wire import calls, limits
from shared.wire.client import Client
from shared.wire.codec import Envelope, decode, encode
from shared.wire.messages import Error, Frame, Hello, Join, RenderCredit, StatusGet, Welcome
from shared.wire.sockets import CONTROL, FRAMES, client_socket, connect, new_context
from tests.service.serving import ROOT, drain, motion, render_frames, render_live, serving, submit, until, until_state
from tests.shared.wire.proxy import Proxy

SIZE = (256, 192)


def mapped_clients(client):
    return client.call(StatusGet()).message.mapped


def rings(server):
    return set(server.data.glob("ring-[0-9]*"))


def through(server, features):
    """The frames of one job, and how many bytes came for them over the frames socket."""
    own = server.connection()
    with (
        Proxy((own.host, own.frames_port)) as proxy,
        calls.connect(replace(own, frames_port=proxy.port), "test", features) as client,
    ):
        job = submit(client)
        until_state(client, job, "finished")
        before = proxy.passed
        frames = list(calls.frames(client, render_frames(job, size=SIZE), motion(5)))
        return frames, proxy.passed - before, mapped_clients(client)


def test_with_the_feature_pixels_stay_out_of_the_socket_and_are_the_same(server):
    plain, many, without = through(server, ())
    mapped, few, with_one = through(server, ("mapped",))
    assert few < many / 50 and (without, with_one) == (0, 1)
    for (number, rgba, depth), (other, other_rgba, other_depth) in zip(plain, mapped, strict=True):
        assert number == other
        np.testing.assert_array_equal(rgba, other_rgba)
        np.testing.assert_array_equal(depth, other_depth)


def test_a_client_that_cannot_read_the_key_has_its_frames_in_messages(server, avatar):
    """As behind a tunnel: the address is this computer's, the files are not."""
    key = server.data / "ring-key"
    key.rename(server.data / "ring-key.away")
    try:
        with server.connect() as client:
            assert "mapped" in client.welcome.features and mapped_clients(client) == 0
            assert calls.live(client, render_live(avatar), motion(x=9))[0][5, 5, 0] == 9
    finally:
        (server.data / "ring-key.away").rename(key)


def test_a_listed_remote_key_is_not_offered_it(server):
    pair = keys.new_pair()
    keys.allow(server.data, "remote", pair.public)
    with calls.connect(replace(server.connection(), public_key=pair.public, secret_key=pair.secret)) as client:
        assert client.welcome.mapped == "" and "mapped" not in client.welcome.features


def test_8_a_wrong_proof_is_refused(server):
    connection, session = server.connection(), calls.new_id()
    context = new_context()
    control, frames = (client_socket(context, channel, connection) for channel in (CONTROL, FRAMES))

    def ask(socket, channel, message):
        connect(socket, channel, connection)
        assert socket.poll(5000, zmq.POLLOUT)
        socket.send_multipart(encode(Envelope(message, session=session)))
        assert socket.poll(5000)
        return decode(socket.recv_multipart()).message

    welcome = ask(control, CONTROL, Hello(session, features=("mapped",)))
    assert isinstance(welcome, Welcome) and welcome.mapped
    told = ask(frames, FRAMES, Join(session, welcome.ticket, "0" * 64))
    assert isinstance(told, Error) and (told.code, told.field) == ("not_allowed", "proof")
    context.destroy(linger=0)


def test_only_the_user_may_read_key_and_rings(server, avatar):
    with server.connect() as client:
        calls.live(client, render_live(avatar), motion())
        files = [server.data / "ring-key", *rings(server)]
        assert len(files) > 1 and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)


def test_credit_counts_as_it_does_for_messages(server, avatar):
    """More frames than slots come without an acknowledgement: copied is not consumed."""
    with server.connect() as client:
        request = render_frames(avatar, size=SIZE)
        client.call(request, motion(20))
        client.post(RenderCredit(limits.CREDIT))
        came = []
        until(lambda: came.extend(_frames(client)) or len(came) == limits.CREDIT)
        assert not _frames(client, 0.3)
        for one in came:  # what was drawn later did not change what came before
            assert (one.buffers["depth"] == one.message.number).all()


def _frames(client, seconds=0.0):
    return [one for one in drain(client, seconds) if isinstance(one.message, Frame)]


def test_strips_of_a_frame_share_its_slot(server, avatar):
    size = (2600, 2400)
    assert size[0] * size[1] * 12 > limits.FRAME_PART_BYTES
    with server.connect() as client:
        for number, rgba, depth in calls.frames(client, render_frames(avatar, size=size), motion(5, x=1.0)):
            assert (rgba[1:-1, 1:-1] == number + 1).all() and (depth[1:-1, 1:-1] == number + 1).all()


def test_a_larger_picture_gets_a_larger_ring_and_the_old_one_goes(server, avatar):
    others = rings(server)
    with server.connect() as client:
        for size in ((64, 48), (640, 480), (1280, 960), (64, 48)):
            rgba, _ = calls.live(client, render_live(avatar, size=size), motion(x=5))
            client.post(RenderCredit(1))
            assert rgba[5, 5, 0] == 5
        assert len(rings(server) - others) == 1
    until(lambda: rings(server) <= others)


LOOKING = """
import sys, time
from tests.service.serving import *
from shared.wire.messages import RenderCredit
client = Serving(sys.argv[1]).connect()
client.call(render_frames(sys.argv[2], size=(640, 480)), motion(5000, delay=0.005))
client.post(RenderCredit(16))
while True:
    drain(client, 0.01)
    client.post(RenderCredit(1))
    print("looking", flush=True)
"""


@pytest.mark.slow  # a session is kept for a minute
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_22_24_a_client_that_dies_or_freezes_while_it_copies_slows_nobody_and_leaves_no_ring(tmp_path, number):
    with serving(tmp_path) as server, server.connect() as other:
        avatar = submit(other)
        until_state(other, avatar, "finished")
        command = [sys.executable, "-c", LOOKING, str(server.data), avatar]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            for _ in range(5):
                process.stdout.readline()
            os.kill(process.pid, number)
            assert rings(server)
            frames = list(calls.frames(other, render_frames(avatar, size=SIZE), motion(10)))
            assert [int(rgba[5, 5, 0]) for _, rgba, _ in frames] == list(range(10))
            process.kill()
        other.close()
        patience = limits.VANISHED_STATE_S + 30
        until(lambda: not rings(server), "the rings to go", patience)


def test_23_a_window_that_takes_a_session_over_gets_a_ring_of_its_own(server, avatar):
    """The older one may still be copying when its slots would be used again."""
    with server.connect() as first:
        calls.live(first, render_live(avatar, size=SIZE), motion(x=3))
        first.post(RenderCredit(3))
        others = rings(server)
        with Client(server.connection(), session=first.session) as second:
            until(lambda: second.state == "ready")
            assert calls.live(second, render_live(avatar, size=SIZE), motion(x=4))[0][5, 5, 0] == 4
            assert mapped_clients(second) == 1
            assert len(rings(server)) <= len(others)


def test_two_clients_have_a_ring_each_and_their_own_frames(server, avatar):
    others = rings(server)
    with server.connect() as one, server.connect() as two:
        for grey in range(1, 30):
            for client, value in ((one, grey), (two, 100 + grey)):
                rgba, _ = calls.live(client, render_live(avatar, size=SIZE), motion(x=value))
                assert (rgba[1:-1, 1:-1] == value).all()
        assert len(rings(server) - others) == 2


def test_the_key_goes_with_the_server(tmp_path):
    with serving(tmp_path) as server:
        assert (server.data / "ring-key").exists()
    assert not list(tmp_path.glob("ring-*"))
