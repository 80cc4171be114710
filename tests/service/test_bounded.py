"""What one client can make the server hold: requests, answers, parts. Numbers are rows of the fault table."""

import hashlib
import json
import subprocess
import sys
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import zmq

from backend.memory import peak_mb
from backend.service.house import later
from backend.service.post import Parcel, Sent
from backend.service.same_host import SameHost
from backend.service.session import Session
from backend.service.sessions import Sessions
from shared.wire import limits
from shared.wire.calls import download, new_id
from shared.wire.codec import Envelope, decode, encode
from shared.wire.connection import connection_file
from shared.wire.errors import WireError
from shared.wire.messages import FileGet, Hello, JobEvents, JobLog, Ok, Ping, Welcome
from shared.wire.sockets import CONTROL, client_socket, connect, new_context
from tests.service.serving import PATIENCE_S, ROOT, drain, resident, serving, submit, until, until_state


@pytest.fixture
def client(server):
    with server.connect() as connected:
        yield connected


@pytest.fixture
def raw(server):
    """A client that reads when the test says so."""
    context = new_context()
    sock = client_socket(context, CONTROL, server.connection())
    sock.set(zmq.RCVHWM, 1)
    sock.set(zmq.RCVBUF, 4096)
    connect(sock, CONTROL, server.connection())
    say(sock, Hello(new_id()))
    assert isinstance(heard(sock), Welcome)
    yield sock
    context.destroy(linger=0)


def say(sock, message):
    sock.send_multipart(encode(envelope := Envelope(message)))
    return envelope.id


def heard(sock):
    assert sock.poll(1000 * PATIENCE_S)
    return decode(sock.recv_multipart()).message


@pytest.fixture(scope="module")
def large(server, avatar):
    """A file of five chunks in an avatar's folder."""
    data = np.random.default_rng(1).integers(0, 256, 5 * limits.CHUNK_BYTES - 7, "u1").tobytes()
    (server.data / "avatars" / avatar / "large.bin").write_bytes(data)
    return data


def test_a_thousand_questions_at_once_are_all_answered(client):
    answers = [client.send(Ping(), timeout=PATIENCE_S) for _ in range(1000)]
    wait(answers, PATIENCE_S)
    assert all(answer.exception() is None for answer in answers)


def test_chunks_asked_for_all_at_once_come_one_after_the_other(server, client, avatar, large):
    client.call(FileGet(avatar, "large.bin"))  # now it is hashed
    before = resident(server.process.pid)
    asked = [client.send(FileGet(avatar, "large.bin", k * limits.CHUNK_BYTES), timeout=PATIENCE_S) for k in range(5)]
    data = b"".join(answer.result().buffers["data"].tobytes() for answer in asked)
    assert hashlib.sha256(data).digest() == hashlib.sha256(large).digest()
    assert download(client, avatar, "large.bin") == large
    assert resident(server.process.pid) - before < 8 * limits.CHUNK_BYTES


def test_24_chunks_that_a_client_does_not_take_are_not_read(server, raw, avatar, large):
    before = resident(server.process.pid)
    for _ in range(limits.REQUESTS):
        say(raw, FileGet(avatar, "large.bin"))
    with server.connect() as other:
        assert download(other, avatar, "large.bin") == large  # one that takes nothing holds nobody up
    assert resident(server.process.pid) - before < 8 * limits.CHUNK_BYTES
    assert [heard(raw).kind for _ in range(5)] == ["file.chunk"] * 5


@pytest.mark.parametrize("answer", [None, Ok()])
@pytest.mark.limits("REQUESTS")
def test_so_many_requests_may_wait_for_answers_and_no_more(answer):
    session = Session(new_id(), "ada", True, b"", 0.0)
    handler = later(lambda session, envelope: answer)
    for _ in range(limits.REQUESTS):
        handler(session, Envelope(Ping()))
    if answer is not None:
        assert not session.asked
        return
    with pytest.raises(WireError) as told:
        handler(session, Envelope(Ping()))
    assert (told.value.code, told.value.retryable) == ("busy", True)
    session.asked -= 1
    handler(session, Envelope(Ping()))


@pytest.mark.limits("UNSENT")
def test_so_many_answers_wait_for_a_client_and_no_more(tmp_path):
    sent, full = [], True
    post = SimpleNamespace(
        send_parts=lambda routing, parts, track: (Sent.FULL, None) if full else (sent.append(parts) or Sent.YES, None)
    )
    keys = SimpleNamespace(is_local=lambda owner: True)
    sessions = Sessions(post, keys, "token", SameHost(tmp_path), lambda: 0.0)
    hello = Hello(new_id())
    for count in (limits.UNSENT, limits.UNSENT + 1):
        session, _ = sessions.hello(Parcel(b"ada", "", []), replace(hello, token="token"))
        for _ in range(count):
            sessions.send(session, Ok())
        sessions.tick()
        assert (sessions.get(session.id) is session) == (count == limits.UNSENT)
        assert sessions.offer(session, Ok()) is Sent.FULL  # events do not overtake answers
    session, _ = sessions.hello(Parcel(b"ada", "", []), replace(hello, token="token"))
    sessions.send(session, Ok())
    full = False
    sessions.flush()
    assert len(sent) == 1 and not sessions.pending()


def test_24_a_client_that_asks_and_takes_no_answer_is_forgotten_and_may_come_back(server, raw, client):
    job = submit(client)
    until_state(client, job, "finished")
    (server.data / "jobs" / job / "log.txt").write_text("x" * limits.LOG_BYTES)
    for _ in range(3 * limits.UNSENT):
        say(raw, JobLog(job))
    until(lambda: "takes no answers" in (server.data / "logs" / "server.log").read_text())
    client.call(Ping())
    while raw.poll(500):
        raw.recv_multipart()
    say(raw, Ping())
    assert heard(raw).code == "unknown_session"
    say(raw, Hello(new_id()))
    assert isinstance(heard(raw), Welcome)


def test_23_questions_for_events_all_end_and_are_limited(raw, server, client):
    job = submit(client, steps=20, size=64)
    until_state(client, job, "finished")
    for _ in range(20):
        client.call(JobEvents(job))
    assert len(drain(client))
    asked = [client.send(JobEvents(job, since), timeout=PATIENCE_S) for since in range(40)]
    assert all(isinstance(answer.result().message, Ok) for answer in asked)


def test_05_ten_thousand_parts_are_one_error(raw):
    raw.send_multipart([b"VIVANT/1", *[b""] * 10_000])
    assert heard(raw).code == "malformed"
    say(raw, Ping())
    assert heard(raw).kind == "pong"


def test_an_answer_that_fails_no_longer_counts(client):
    for _ in range(limits.REQUESTS + 1):
        with pytest.raises(WireError, match="no avatar"):
            client.call(FileGet(new_id(), "large.bin"))


FLOOD = """
import sys, zmq
from pathlib import Path
from shared.wire.connection import load_connection
from shared.wire.sockets import CONTROL, client_socket, connect, new_context
connection = load_connection(Path(sys.argv[1]))
sock = client_socket(new_context(), CONTROL, connection)
connect(sock, CONTROL, connection)
for _ in range(600):
    sock.send(bytes(1 << 20), zmq.SNDMORE)
sock.send(b"")
print("sent", flush=True)
sys.stdin.read()
"""
"""One message of 600 MB in parts of one, each well under its limit."""


def test_04_a_message_without_end_is_cut_and_work_goes_on(tmp_path):
    with serving(tmp_path, LIMITS=json.dumps({"PROCESS_BYTES": 150_000_000})) as server, server.connect() as client:
        job = submit(client, steps=20, size=100)
        until_state(client, job, "running")
        command = [sys.executable, "-c", FLOOD, str(connection_file(tmp_path))]
        with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT) as flood:
            until(lambda: "message without end" in (tmp_path / "logs" / "server.log").read_text())
            until(lambda: client.state == "ready" and resident(server.process.pid) < 150_000_000)
            assert peak_mb(server.process.pid) < 500
            flood.kill()
        with suppress(WireError):  # the connection may be found to be lost only now
            client.call(Ping())
        until(lambda: client.state == "ready")
        assert until_state(client, job, "finished")
        assert "lost" not in (tmp_path / "logs" / "server.log").read_text()  # no worker
