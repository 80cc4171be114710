"""Connections of which nobody makes use: how many there are, for how long, and what is told of them. Row 8."""

import logging
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import zmq

from backend.service.connections import Connections
from backend.service.session import Session
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.codec import Envelope, encode
from shared.wire.messages import Hello, JobLog, Ping
from shared.wire.sockets import CONTROL, client_socket, connect, new_context
from tests.service.clock import FakeClock
from tests.service.serving import PATIENCE_S, ROOT, serving, submit, until, until_state

MOMENT_S = 0.01


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def connections(clock):
    return Connections(clock)


def door(number):
    return ("control", number)


def a_session(name="ada"):
    return Session(name, "ada", True, name.encode(), 0.0)


@pytest.mark.limits("STRANGERS")
def test_of_too_many_connections_of_nobody_the_oldest_are_cut(connections):
    for number in range(limits.STRANGERS):
        connections.accept(door(number))
    assert not connections.surplus()
    connections.begin(door(0), a_session())
    connections.accept(door(1000))
    assert not connections.surplus()
    connections.accept(door(1001))
    assert connections.surplus() == [door(1)]
    connections.end(door(1))
    assert not connections.surplus()


@pytest.mark.limits("GREETING_S")
def test_who_does_not_greet_in_time_is_cut_and_so_is_what_a_session_left(connections, clock):
    left, kept = a_session("left"), a_session("kept")
    for number, session in enumerate((None, left, kept)):
        connections.accept(door(number))
        if session:
            connections.begin(door(number), session)
    clock.pass_(limits.GREETING_S)
    assert not connections.surplus()
    connections.leave(left)
    clock.pass_(MOMENT_S)
    assert connections.surplus() == [door(0)]
    clock.pass_(limits.GREETING_S)
    assert connections.surplus() == [door(0), door(1)]


def test_who_greets_before_the_connection_is_noticed_stays(connections, clock):
    connections.begin(door(1), a_session())
    connections.accept(door(1))
    connections.caught_up()
    clock.pass_(limits.GREETING_S + MOMENT_S)
    assert not connections.surplus()


def test_the_descriptor_of_who_had_gone_before_the_greeting_was_read_is_never_cut(connections, clock, caplog):
    """The system had given it to a worker, or to a client at the other door, who then lost each connection."""
    gone = a_session("gone")
    connections.accept(door(1))
    connections.end(door(1))
    connections.begin(door(1), gone)
    connections.caught_up()
    connections.leave(gone)
    clock.pass_(limits.GREETING_S + MOMENT_S)
    assert not connections.surplus()
    connections.tell({"gone"})
    assert "session gone" in caplog.text


@pytest.mark.limits("STRANGERS_TOLD_S")
def test_strangers_fill_no_log(connections, clock, caplog):
    caplog.set_level(logging.INFO)

    def some_end():
        for number in range(3):
            connections.accept(door(number))
            connections.end(door(number))
        connections.tell({})
        return [record.getMessage()[-3:] for record in caplog.records]

    assert some_end() == [" 3."]
    clock.pass_(limits.STRANGERS_TOLD_S - MOMENT_S)
    assert some_end() == [" 3."]
    clock.pass_(MOMENT_S)
    assert some_end() == [" 3.", " 6."]


def test_what_ends_after_its_session_is_not_told(connections, caplog):
    session = a_session()
    for number in range(2):
        connections.accept(door(number))
        connections.begin(door(number), session)
    connections.leave(session)
    for number in range(2):
        connections.end(door(number))
    connections.tell({})
    assert not caplog.records


def test_a_farewell_that_comes_after_the_end_of_the_other_connection_is_waited_for(connections, clock, caplog):
    for number, session in enumerate((a_session("says bye"), a_session("is cut"))):
        connections.accept(door(number))
        connections.begin(door(number), session)
        connections.end(door(number))
    clock.pass_(limits.LAST_WORDS_S - MOMENT_S)
    connections.tell({"says bye", "is cut"})
    assert not caplog.records
    clock.pass_(2 * MOMENT_S)
    connections.tell({"is cut"})
    assert len(caplog.records) == 1 and "session is cut" in caplog.text


def test_one_descriptor_at_two_doors_is_two_connections(connections, clock, caplog):
    """The system gave it out again before the end at the other door was read."""
    connections.accept(("control", 7))
    connections.begin(("control", 7), a_session("old"))
    connections.accept(("frames", 7))
    connections.begin(("frames", 7), a_session("new"))
    connections.end(("control", 7))
    clock.pass_(limits.LAST_WORDS_S + MOMENT_S)
    connections.tell({"old", "new"})
    assert len(caplog.records) == 1 and "session old" in caplog.text


def descriptors(server):
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


@contextmanager
def closing(context):
    try:
        yield context
    finally:
        context.destroy(linger=0)


FEW = '{"STRANGERS": 20, "GREETING_S": 1.5}'


def test_08_silent_connections_without_end_take_few_descriptors_and_no_client_notices(tmp_path):
    """A server that had no descriptor left for its next look at its own memory ended."""
    with serving(tmp_path, LIMITS=FEW) as server, server.connect() as client, ExitStack() as stack:
        before, port = descriptors(server), server.connection().control_port
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        until(lambda: descriptors(server) <= before + 24)
        client.call(Ping())
        with server.connect() as other:  # the oldest made room for it
            other.call(Ping())
        log = Path(tmp_path / "logs" / "server.log")
        until(lambda: "nobody had said hello" in log.read_text())


def test_08_who_greets_and_goes_while_the_server_hangs_is_known_to_have_gone(tmp_path):
    """Its greeting is read after its end."""
    with serving(tmp_path) as server, server.connect() as client, closing(new_context()) as context:
        connection = server.connection()
        job = submit(client)
        until_state(client, job, "finished")
        sock = client_socket(context, CONTROL, connection)
        proven = sock.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        connect(sock, CONTROL, connection)
        assert proven.poll(round(1000 * PATIENCE_S))
        sock.disable_monitor()
        proven.close()
        log = tmp_path / "jobs" / job / "log.txt"
        log.unlink()
        os.mkfifo(log)
        asked, before = client.send(JobLog(job), timeout=PATIENCE_S), descriptors(server)
        time.sleep(0.3)  # it hangs now
        sock.send_multipart(encode(Envelope(hello := Hello(new_id()))))
        sock.close(linger=1000)
        until(lambda: descriptors(server) < before)
        log.write_bytes(b"")
        until(asked.done)
        until(lambda: f"session {hello.session}) ended" in (tmp_path / "logs" / "server.log").read_text())


def test_08_connections_with_a_key_that_never_greet_are_cut_in_time(tmp_path):
    with serving(tmp_path, LIMITS=FEW) as server, server.connect() as client:
        before, context, connection = descriptors(server), new_context(), server.connection()
        with closing(context):
            silent = [client_socket(context, CONTROL, connection) for _ in range(30)]
            for sock in silent:
                connect(sock, CONTROL, connection)
            until(lambda: before + 10 < descriptors(server) <= before + 24)  # workers may just have come
            began = time.monotonic()
            until(lambda: descriptors(server) <= before + 4)
            assert time.monotonic() - began < limits.HANDSHAKE_S
            client.call(Ping())


ASKING = """
import resource, sys
from backend.service.open_files import raise_limit
from shared.wire import limits
soft, hard, limits.OPEN_FILES = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
raise_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.limits("OPEN_FILES")
@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "got"), [(100, 300, 200, 200), (100, 300, 301, 300), (250, 300, 200, 250)]
)
def test_the_server_asks_for_descriptors_and_takes_none_away(soft, hard, wanted, got):
    words = [sys.executable, "-c", ASKING, *map(str, (soft, hard, wanted))]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split() == [str(got), str(hard)]
