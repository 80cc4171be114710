"""The client's lifetimes: it comes back, leaves nothing behind, and never makes anybody wait."""

import contextlib
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq

from shared.errors import VivantError
from shared.mock import MockServer, views
from shared.mock.png import png
from shared.wire import calls, limits, sockets
from shared.wire import messages as m
from shared.wire.client import Client, StateChange
from shared.wire.connection import Connection, load_connection, save_connection
from shared.wire.errors import WireError
from tests.conftest import ROOT
from tests.shared.wire.proxy import Proxy
from tests.shared.wire.small_server import SmallServer

PATIENCE_S = 20.0


def until(condition, seconds=PATIENCE_S):
    """Wait for it, generously: the machine may be busy."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def changes(client):
    """State changes so far; takes the inbox."""
    found = []
    while not client.inbox.empty():
        came = client.inbox.get()
        if isinstance(came, StateChange):
            found.append((came.state, came.error and came.error.code))
    return found


@contextlib.contextmanager
def proxied(connection):
    """The connection by way of two cutting proxies."""
    with (
        Proxy((connection.host, connection.control_port)) as control,
        Proxy((connection.host, connection.frames_port)) as frames,
    ):
        yield replace(connection, control_port=control.port, frames_port=frames.port), control, frames


@contextlib.contextmanager
def through_proxies(connection):
    """A client that is ready, and the proxies in its way."""
    with proxied(connection) as (changed, control, frames), calls.connect(changed) as client:
        yield client, control, frames


def echo(envelope):
    return m.AssetHave("0" * 64, envelope.message.total)


def refusal(future):
    return future.exception(PATIENCE_S)


# Greeting


def test_a_client_is_made_at_once_and_becomes_ready():
    with SmallServer() as server, Client(server.connection(), program="test") as client:
        assert client.state in ("connecting", "ready")
        client.call(m.Ping())
        assert client.state == "ready" and client.welcome.boot == server.boot
        hello = server.seen[0].message
        assert (hello.session, hello.program, hello.token) == (client.session, "test", "")
        assert isinstance(server.seen[1].message, m.Join)
        assert changes(client) == [("ready", None)]


def test_row_25_without_a_server_calls_fail_with_a_sentence_and_nothing_waits(quiet_client):
    with pytest.raises(WireError, match="vivant serve") as raised:
        quiet_client.call(m.StatusGet())
    assert raised.value.code == "no_server" and raised.value.retryable
    assert quiet_client.state == "lost"
    began = time.monotonic()
    with pytest.raises(WireError):
        quiet_client.call(m.StatusGet())
    quiet_client.close()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("host", ["no such host", "", "127.0.0.1/x"])
def test_a_host_that_is_none_is_refused_in_words(host):
    with SmallServer() as server, Client(server.connection(host=host, server_key="x" * 0)) as client:
        error = refusal(client.send(m.Ping()))
        assert error.code in ("insecure", "no_server") and client.state in ("refused", "lost")


def test_row_8_a_key_that_is_not_allowed_is_refused_and_told_what_to_do():
    public, secret = (key.decode() for key in zmq.curve_keypair())
    with SmallServer() as server, Client(server.connection(public_key=public, secret_key=secret)) as client:
        error = refusal(client.send(m.Ping()))
        assert error.code == "not_allowed" and "vivant keys allow" in str(error)
        assert client.state == "refused" and server.seen == []


def test_row_8_another_server_s_key_gets_no_answer_and_tells_that_keys_may_have_changed():
    public, _ = (key.decode() for key in zmq.curve_keypair())
    with SmallServer() as server, Client(server.connection(server_key=public)) as client:
        error = refusal(client.send(m.Ping()))
        assert error.code == "no_server" and "other keys" in str(error) and server.seen == []


def test_an_address_elsewhere_without_keys_is_never_tried():
    bare = Connection("192.0.2.1", 9, 9)
    with Client(bare) as client:
        assert refusal(client.send(m.Ping())).code == "insecure"
        assert client.state == "refused"


def test_without_curve_the_token_stands_in_the_greeting(monkeypatch, tmp_path):
    monkeypatch.setattr(sockets, "has_curve", lambda: False)
    monkeypatch.setattr("shared.mock.server.has_curve", lambda: False)
    server = MockServer(tmp_path)
    connection = server.start()
    assert connection.token and not connection.server_key
    with calls.connect(connection) as client:
        assert client.welcome.mock
    with Client(replace(connection, token="wrong")) as client:
        assert refusal(client.send(m.Ping())).code == "not_allowed" and client.state == "refused"
    server.stop()


def test_without_curve_a_server_with_keys_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(sockets, "has_curve", lambda: False)
    with SmallServer() as server, Client(server.connection()) as client:
        assert "pyzmq" in str(refusal(client.send(m.Ping())))


def test_row_6_another_major_version_stops_the_client_with_a_sentence(monkeypatch):
    with SmallServer() as server:
        monkeypatch.setattr("tests.shared.wire.small_server.encode", lambda envelope: [b"VIVANT/2", b"{}"])
        with Client(server.connection()) as client:
            error = refusal(client.send(m.Ping()))
            assert error.code == "version" and "version 2" in str(error) and client.state == "refused"
            seen = len(server.seen)
            time.sleep(2 * limits.BACK_OFF_S[0])
            assert len(server.seen) == seen


def test_a_busy_server_is_tried_again():
    answers = iter([m.Error("busy", "Full.", retryable=True)] * 2)

    class Busy(SmallServer):
        def _reply(self, one, peer, envelope):
            first = next(answers, None) if isinstance(envelope.message, m.Hello) else None
            return first or super()._reply(one, peer, envelope)

    with Busy() as server, Client(server.connection()) as client:
        until(lambda: client.state == "ready")
        assert changes(client) == [("lost", "busy"), ("ready", None)]


# Asking


def test_answers_find_their_questions_whatever_their_order():
    with SmallServer(echo) as server, Client(server.connection()) as client:
        futures = [client.send(m.AssetPut("0" * 64, k)) for k in range(1, 101)]
        assert [future.result(PATIENCE_S).message.offset for future in reversed(futures)] == list(range(100, 0, -1))


def test_many_threads_may_ask_at_once():
    wrong = []

    def ask(k):
        for _ in range(20):
            if client.call(m.AssetPut("0" * 64, k)).message.offset != k:
                wrong.append(k)

    with SmallServer(echo) as server, Client(server.connection()) as client:
        threads = [threading.Thread(target=ask, args=(k,)) for k in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not wrong and not any(thread.is_alive() for thread in threads)


def test_an_error_is_raised_where_the_question_was_asked():
    with SmallServer(lambda envelope: m.Error("conflict", "No.", "job", True)) as server:
        with Client(server.connection()) as client, pytest.raises(WireError, match=r"No\.") as raised:
            client.call(m.StatusGet())
        assert (raised.value.code, raised.value.field, raised.value.retryable) == ("conflict", "job", True)


def test_silence_is_a_time_out_and_leaves_nothing_waiting():
    with SmallServer(lambda envelope: None) as server, Client(server.connection()) as client:
        client.call(m.Ping())
        assert refusal(client.send(m.StatusGet(), timeout=0.1)).code == "timeout"
        assert client._waiting == {} and client.state == "ready"


def test_arrays_may_change_as_soon_as_they_are_handed_over():
    with SmallServer(lambda envelope: m.Ok()) as server, Client(server.connection()) as client:
        data = np.zeros(100_000, np.uint8)
        future = client.send(m.AssetPut("0" * 64, 100_000), {"data": data})
        data[:] = 7
        future.result(PATIENCE_S)
        assert not server.seen[-1].buffers["data"].any()


def test_a_posted_message_s_error_comes_to_the_inbox_with_its_id():
    with (
        SmallServer(lambda envelope: m.Error("unknown_avatar", "None.")) as server,
        Client(server.connection()) as client,
    ):
        client.call(m.Ping())
        asked = client.post(m.RenderCredit(1))
        until(lambda: client.inbox.qsize() == 2)
        client.inbox.get()
        assert client.inbox.get().re == asked


def test_an_answer_that_comes_too_late_is_dropped():
    def late(envelope):
        time.sleep(0.6)
        return m.Ok()

    with SmallServer(late) as server, Client(server.connection()) as client:
        client.call(m.Ping())
        client.inbox.get()
        assert refusal(client.send(m.StatusGet(), timeout=0.1)).code == "timeout"
        client.call(m.Ping(), timeout=PATIENCE_S)
        assert client.inbox.empty()


def test_what_nobody_asked_for_comes_to_the_inbox_in_order():
    with SmallServer() as server, Client(server.connection()) as client:
        client.call(m.Ping())
        client.inbox.get()
        info = m.JobInfo(calls.new_id(), "build", "", "running", 0.0)
        for k in range(20):
            server.tell(m.JobEvent(replace(info, last_event=k)))
        until(lambda: client.inbox.qsize() == 20)
        assert [client.inbox.get().message.info.last_event for _ in range(20)] == list(range(20))


def test_a_frame_s_memory_is_free_as_soon_as_its_consumer_lets_go_of_it(monkeypatch):
    monkeypatch.setattr(limits, "PING_S", 2 * PATIENCE_S)  # nothing else comes that could take its place
    with SmallServer() as server, Client(server.connection()) as client:
        client.call(m.Ping())
        client.inbox.get()
        pixels = {"rgba": np.zeros((2, 2, 4), np.uint8), "depth": np.zeros((2, 2), np.uint16)}
        server.tell(m.Frame(2, 2, 0, 0, view=calls.new_id()), pixels)
        frame = weakref.ref(client.inbox.get(timeout=PATIENCE_S).buffers["rgba"])
        until(lambda: frame() is None)


def test_row_7_a_kind_of_a_newer_server_is_passed_over(monkeypatch):
    with SmallServer() as server, Client(server.connection()) as client:
        client.call(m.Ping())
        client.inbox.get()
        monkeypatch.setattr(m.Pong, "kind", "avatar.danced")
        server.tell(m.Pong())
        time.sleep(0.1)
        monkeypatch.undo()
        client.call(m.Ping())
        assert client.inbox.empty() and client.state == "ready"


# Losing and coming back


def test_row_23_a_cut_connection_comes_back_with_the_same_session():
    with SmallServer() as server, through_proxies(server.connection()) as (client, control, frames):
        for one in (control, frames, control):
            one.cut()
            until(lambda: client.state == "lost")
            until(lambda: client.state == "ready")
        sessions = [envelope.message.session for envelope in server.seen if isinstance(envelope.message, m.Hello)]
        assert sessions == [client.session] * 4
        assert changes(client) == [("ready", None), *[("lost", "lost"), ("ready", None)] * 3]


def test_questions_under_way_fail_when_the_connection_breaks():
    with SmallServer(lambda envelope: None) as server, through_proxies(server.connection()) as (client, control, _):
        futures = [client.send(m.StatusGet()) for _ in range(5)]
        until(lambda: len(server.seen) == 8)
        control.cut()
        assert {refusal(future).code for future in futures} == {"lost"}


def test_the_last_answer_of_a_server_that_ends_is_heard(monkeypatch):
    """`vivant serve --stop` told of a broken connection now and then: the frames socket's end overtook the answer."""
    monkeypatch.setattr("shared.wire.limits.LAST_WORDS_S", PATIENCE_S)

    def answer(envelope):
        frames.cut()
        return m.Ok()

    with SmallServer(answer) as server, through_proxies(server.connection()) as (client, control, frames):
        control.delay = 0.1
        assert client.call(m.ServerStop(), timeout=PATIENCE_S).message == m.Ok()
        control.delay = 0.0


def test_a_server_that_starts_late_is_found():
    keys = (zmq.curve_keypair(), zmq.curve_keypair())
    with SmallServer(keys=keys) as server:
        connection = server.connection()
    with Client(connection) as client:
        until(lambda: client.state == "lost")
        assert client.post(m.RenderCredit(1)) and client._requests.empty()  # nothing is kept for later
        with FixedPorts(connection, keys):
            until(lambda: client.state == "ready")


class FixedPorts(SmallServer):
    """A server where another one was."""

    def __init__(self, connection, keys):
        super().__init__(keys=keys)
        self._ports = (connection.control_port, connection.frames_port)


def test_a_restarted_server_is_seen_by_its_boot_id():
    keys = (zmq.curve_keypair(), zmq.curve_keypair())
    with SmallServer(keys=keys) as server:
        client = Client(server.connection())
        client.call(m.Ping())
        before = client.welcome.boot
    until(lambda: client.state == "lost")
    with FixedPorts(server.connection(), keys):
        until(lambda: client.state == "ready")
        assert client.welcome.boot != before
        client.close()


def test_row_25_a_server_that_came_back_at_other_ports_is_found_by_its_connection_file(tmp_path):
    file = tmp_path / "connection.json"
    with SmallServer() as server:
        save_connection(file, server.connection())
        client = calls.connect(file)
        before = client.welcome.boot
    until(lambda: client.state == "lost")
    with SmallServer() as moved:  # with other keys, too
        save_connection(file, moved.connection())
        until(lambda: client.state == "ready")
        assert client.welcome.boot == moved.boot != before
        client.call(m.Ping())
        client.close()


def test_a_connection_file_that_is_missing_is_told_at_once(tmp_path):
    with pytest.raises(VivantError, match="vivant serve"):
        Client(tmp_path / "connection.json")


def test_a_server_that_forgot_the_session_is_greeted_again():
    answers = iter([m.Error("unknown_session", "Say hello first.")])
    with SmallServer(lambda envelope: next(answers, m.Ok())) as server, Client(server.connection()) as client:
        client.call(m.Ping())
        assert refusal(client.send(m.StatusGet())).code == "lost"
        until(lambda: client.state == "ready")
        client.call(m.StatusGet())


def test_row_11_a_session_taken_over_stops_the_older_client(mock):
    with Client(mock.connection) as first:
        first.call(m.Ping())
        with Client(mock.connection, session=first.session) as second:
            second.call(m.Ping())
            until(lambda: first.state == "refused")
            assert first.error.code == "superseded"
            assert refusal(first.send(m.Ping())).code == "superseded"
            time.sleep(2 * limits.BACK_OFF_S[0])
            assert second.call(m.Ping()) and second.state == "ready"


@pytest.mark.parametrize("manner", ["trickle", "half_close", "cut_after"])
def test_a_bad_line_ends_in_a_working_connection(mock, manner):
    with through_proxies(mock.connection) as (client, control, _):
        if manner == "trickle":
            control.trickle = 7
        if manner == "half_close":
            control.half_close()
        if manner == "cut_after":
            control.cut_after = 100_000
        data, sent = os.urandom(60_000 if manner == "trickle" else 300_000), ""
        while not sent:
            with contextlib.suppress(WireError):
                sent = calls.upload(client, data)
            control.cut_after = None
        assert client.call(m.AssetPut(sent, len(data))).message.offset == len(data)


def test_row_25_a_frozen_line_is_found_by_its_silence(monkeypatch):
    monkeypatch.setattr(limits, "PING_S", 0.2)
    with SmallServer() as server, through_proxies(server.connection()) as (client, control, _):
        control.frozen = True
        until(lambda: client.state == "lost")
        control.frozen = False
        until(lambda: client.state == "ready")


def test_a_quiet_connection_is_kept_by_pings(monkeypatch):
    monkeypatch.setattr(limits, "PING_S", 0.05)
    with SmallServer() as server, Client(server.connection()) as client:
        client.call(m.Ping())
        pings = len(server.seen)
        time.sleep(1.0)
        assert client.state == "ready" and len(server.seen) - pings >= 2
        assert changes(client) == [("ready", None)]


def test_a_client_that_only_listens_is_heard_too(monkeypatch):
    """A server forgets who is silent for a minute; the events of a long build must not keep a client from pinging."""
    monkeypatch.setattr(limits, "PING_S", 0.1)
    with SmallServer() as server, Client(server.connection()) as client:
        client.call(m.Ping())
        before = len(server.seen)
        for _ in range(60):
            server.tell(m.JobEvent(m.JobInfo(calls.new_id(), "build", "", "running", 0.0)))
            time.sleep(0.02)
        assert len(server.seen) - before >= 3


def test_row_23_each_missed_event_comes_once_and_in_order(tmp_path):
    server = MockServer(tmp_path, pace=0.5)
    with through_proxies(server.start()) as (client, control, frames):
        job = calls.new_id()
        client.call(m.JobSubmit(job, "register", calls.upload(client, _photo())))
        numbers = []
        for event in calls.follow(client, job):
            numbers.append(event.info.last_event)
            if len(numbers) in (2, 6):
                (control if len(numbers) == 2 else frames).cut()
        assert numbers == list(range(1, len(numbers) + 1)) and event.info.state == "finished"
    server.stop()


def test_row_23_a_render_goes_on_after_a_cut_without_losing_or_doubling_a_frame(mock):
    with through_proxies(mock.connection) as (client, control, frames):
        avatar = calls.new_id()
        client.call(m.JobSubmit(avatar, "build", calls.upload(client, _photo())))
        calls.finish(client, avatar)
        numbers = []
        for number, _, _ in calls.frames(client, m.RenderFrames(calls.new_id(), avatar, 64, 48), _motion(12)):
            numbers.append(number)
            if number in (2, 7):
                (control if number == 2 else frames).cut()
        assert numbers == list(range(12))


def _photo():
    return png(np.full((96, 64, 3), 128, np.uint8))


def _motion(frames):
    camera = views.photo_camera(64, 48)
    return {
        "full_pose": np.zeros((frames, 165), "f4"),
        "transl": np.zeros((frames, 3), "f4"),
        "expression": np.zeros((frames, 0), "f4"),
        "K": camera.K[None].astype("f4"),
        "world_to_camera": camera.world_to_camera[None].astype("f4"),
    }


# Ending


def test_closing_ends_all_that_waits():
    with SmallServer(lambda envelope: None) as server:
        client = Client(server.connection())
        client.call(m.Ping())
        futures = [client.send(m.StatusGet()) for _ in range(3)]
        client.close()
        assert {refusal(future).code for future in futures} == {"closed"}
        assert refusal(client.send(m.Ping())).code == "closed" and not client._thread.is_alive()
        until(lambda: isinstance(server.seen[-1].message, m.Bye))
        client.close()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors as Linux does")
def test_200_cycles_leave_no_socket_thread_or_descriptor_behind(mock):
    def cycle(k):
        client = Client(mock.connection)
        if k % 4:  # now and then it is closed before it is ready
            client.call(m.Ping())
        client.close()
        assert not client._thread.is_alive()

    for k in range(8):  # what is made once
        cycle(k)
    gc.collect()
    before, threads, memory = descriptors(), threading.active_count(), resident_bytes()
    for k in range(200):
        cycle(k)
    gc.collect()
    until(lambda: descriptors() <= before + 2 and threading.active_count() <= threads)
    assert resident_bytes() - memory < 16 * 2**20  # a context that stayed would take 0.1 MB and more, each time


SERVE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from shared.mock import MockServer
server = MockServer(Path(sys.argv[2]))
server.start()
print("ready", flush=True)
server.wait()
"""


@contextlib.contextmanager
def process(tmp_path):
    """A mock server in a process of its own."""
    with subprocess.Popen([sys.executable, "-c", SERVE, ROOT, tmp_path], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout.readline().strip() == b"ready"
            yield server, load_connection(tmp_path / "connection.json")
        finally:
            server.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process as POSIX does")
def test_row_25_a_stopped_server_delays_nobody_and_is_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "PING_S", 0.3)
    with process(tmp_path) as (server, connection), calls.connect(connection) as client:
        server.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        client.send(m.StatusGet())
        assert time.monotonic() - began < 0.5
        until(lambda: client.state == "lost")
        other = Client(connection)
        began = time.monotonic()
        other.close()
        assert time.monotonic() - began < 1.5 and not other._thread.is_alive()
        server.send_signal(signal.SIGCONT)
        until(lambda: client.state == "ready")
        server.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        client.close()
        assert time.monotonic() - began < 1.5 and not client._thread.is_alive()


SLEEPER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from shared.wire import calls, limits, messages
from shared.wire.connection import load_connection
limits.PING_S = 0.1
client = calls.connect(load_connection(Path(sys.argv[2])))
print("ready", flush=True)
input()
while client.state != "ready":
    pass
print(type(client.call(messages.Ping()).message).__name__, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process as POSIX does")
def test_row_38_a_client_that_slept_longer_than_its_time_outs_is_there_again(tmp_path):
    with process(tmp_path) as (_, _connection):
        command = [sys.executable, "-c", SLEEPER, ROOT, tmp_path / "connection.json"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout.readline() == "ready\n"
            client.send_signal(signal.SIGSTOP)
            time.sleep(1.0)
            client.send_signal(signal.SIGCONT)
            answer, _ = client.communicate("\n", timeout=PATIENCE_S)
            assert answer == "Pong\n"


def test_row_25_a_killed_server_is_noticed_at_once(tmp_path):
    with process(tmp_path) as (server, connection), calls.connect(connection) as client:
        server.kill()
        until(lambda: client.state == "lost", 2.0)


def test_row_26_a_program_ends_although_its_client_was_never_closed(tmp_path):
    code = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from shared.wire import calls
from shared.wire.connection import Connection, load_connection
client = calls.connect(load_connection(Path(sys.argv[2])))
"""
    with process(tmp_path) as (_, _connection):
        done = subprocess.run(
            [sys.executable, "-c", code, ROOT, tmp_path / "connection.json"], timeout=PATIENCE_S, capture_output=True
        )
        assert (done.returncode, done.stderr) == (0, b"")


def _forked(client, pipe):
    try:
        client.call(m.Ping())
    except WireError as error:
        pipe.send(error.code)
    client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_row_39_a_forked_process_may_not_use_the_client_and_does_not_end_it(mock):
    with calls.connect(mock.connection) as client:
        near, far = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=_forked, args=(client, far))
        child.start()
        assert near.poll(PATIENCE_S) and near.recv() == "forked"
        child.join(PATIENCE_S)
        assert child.exitcode == 0
        client.call(m.Ping())


# The connection file


def test_a_connection_file_comes_back_and_is_the_owner_s_alone(mock, tmp_path):
    path = tmp_path / "deep" / "connection.json"
    save_connection(path, mock.connection)
    assert load_connection(path) == mock.connection
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["connection.json"]
    assert mock.connection.secret_key not in repr(mock.connection)


SHORT_KEY = '{"host": "x", "control_port": 1, "frames_port": 2, "server_key": "short"}'
NO_PORT = '{"host": "x", "control_port": 0, "frames_port": 1}'


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", NO_PORT, SHORT_KEY, "[" * 100_000])
def test_a_file_that_is_no_connection_is_refused_in_words(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(VivantError, match=r"[Ss]tart the server again"):
        load_connection(tmp_path / "c.json")
