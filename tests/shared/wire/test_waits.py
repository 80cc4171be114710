"""How long a client waits: each time at its limit and a moment past it, under a clock of our own where it can be."""

import os
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from inspect import signature
from itertools import islice
from queue import Empty
from types import SimpleNamespace

import pytest

from shared.wire import calls, limits, sockets
from shared.wire import messages as m
from shared.wire.client import Client, _back_off, _Request
from shared.wire.connection import Connection
from shared.wire.errors import WireError
from shared.wire.link import Link, Waker

ID = "00000000-0000-4000-8000-000000000000"


class Clock:
    def __init__(self, monkeypatch, module):
        self.seconds = 100.0
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=lambda: self.seconds))


@pytest.mark.limits("PING_S", "PINGS_MISSED")
def test_a_link_pings_after_so_much_silence_and_breaks_after_so_many(monkeypatch):
    clock, link, sent = Clock(monkeypatch, "shared.wire.link"), Link.__new__(Link), []
    link._heard = link._spoke = clock.seconds
    link._pinged, link._greeted, link._connection, link.queue = None, True, Connection("127.0.0.1", 1, 2), sent.append
    clock.seconds += limits.PING_S
    link._keep_alive()
    assert not sent
    clock.seconds += 0.001
    link._keep_alive()
    assert len(sent) == 1
    clock.seconds = link._pinged + limits.PING_S * (limits.PINGS_MISSED - 1)
    link._keep_alive()
    clock.seconds += 0.001
    with pytest.raises(WireError, match="broke"):
        link._keep_alive()


@pytest.mark.limits("BACK_OFF_S")
def test_waits_between_tries_double_from_the_first_to_the_longest():
    first, longest = limits.BACK_OFF_S
    waits = list(islice(_back_off(), 9))
    assert waits == [min(first * 2**k, longest) for k in range(9)] and waits[-1] == waits[-2] == longest


@pytest.mark.limits("LOOK_S")
def test_between_tries_a_client_looks_so_often_whether_its_server_has_moved(monkeypatch):
    clock, client, looked = Clock(monkeypatch, "shared.wire.client"), Client.__new__(Client), []

    class Poller:
        def register(self, *_):
            """Nothing comes."""

        def poll(self, milliseconds):
            clock.seconds += milliseconds / 1000

    monkeypatch.setattr("shared.wire.client.zmq.Poller", Poller)
    monkeypatch.setattr(client, "_waker", SimpleNamespace(fileno=lambda: 0), raising=False)
    monkeypatch.setattr(client, "_fail_all", lambda error: None, raising=False)
    monkeypatch.setattr(client, "_has_moved", lambda: looked.append(clock.seconds - 100.0), raising=False)
    client._pause(2.5 * limits.LOOK_S, WireError("lost", "Lost."))
    assert looked == [0, limits.LOOK_S, 2 * limits.LOOK_S]


@pytest.mark.limits("CONNECT_S")
def test_a_greeting_that_nobody_answers_ends_in_time(monkeypatch):
    monkeypatch.setattr(limits, "CONNECT_S", 0.3)
    context, waker = sockets.new_context(), Waker()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        link = Link(context, Connection("127.0.0.1", one.getsockname()[1], other.getsockname()[1]), waker)
        began = time.monotonic()
        with pytest.raises(WireError, match="does not answer"):
            link.greet(m.Hello(ID))
        assert 0.3 <= time.monotonic() - began < 5
    link.close(farewell=False)
    waker.close()
    context.destroy(linger=0)


@pytest.mark.limits("REPLY_S")
def test_a_question_waits_so_long_for_its_answer(monkeypatch):
    clock, client = Clock(monkeypatch, "shared.wire.client"), Client.__new__(Client)
    assert signature(Client.send).parameters["timeout"].default == limits.REPLY_S
    answer = Future()
    client._waiting = {"asked": _Request("asked", [], clock.seconds + limits.REPLY_S, answer)}
    clock.seconds += limits.REPLY_S
    client._expire()
    assert not answer.done()
    clock.seconds += 0.001
    client._expire()
    assert answer.exception().code == "timeout" and not client._waiting


@pytest.mark.limits("JOB_SILENCE_S", "COME_BACK_S")
@pytest.mark.parametrize("state", ["ready", "lost"])
def test_whoever_waits_for_a_job_or_a_server_waits_so_long(state):
    waited = []

    def get(timeout):
        waited.append(timeout)
        raise Empty

    client = SimpleNamespace(inbox=SimpleNamespace(get=get), state=state, error=None)
    if state == "ready":
        assert calls._next(client) is None
    else:
        with pytest.raises(WireError, match="did not come back"):
            calls._next(client)
    assert waited == [limits.JOB_SILENCE_S if state == "ready" else limits.COME_BACK_S]


@pytest.mark.limits("CLOSE_S")
def test_closing_waits_for_the_thread_so_long_and_no_longer():
    client = Client.__new__(Client)
    client._pid, client._lock, client._over = os.getpid(), threading.Lock(), None
    client._waker, stuck = Waker(), threading.Event()
    client._thread = threading.Thread(target=stuck.wait)
    client._thread.start()
    began = time.monotonic()
    client.close(0.1)
    assert 0.1 <= time.monotonic() - began < 5 and client._thread.is_alive()
    assert signature(Client.close).parameters["timeout"].default == limits.CLOSE_S
    stuck.set()
    client._thread.join()
    client._waker.close()


class Socket:
    """Notes how long it was waited for."""

    def __init__(self):
        self.waited = []
        self.poll = self.close = self.waited.append

    def send(self, part, flags=0, copy=True):
        """It takes everything."""

    def disable_monitor(self):
        """It has none."""


@pytest.mark.limits("LAST_WORDS_S", "FAREWELL_S")
def test_a_connection_that_ends_waits_so_long_for_last_words_and_for_its_farewell(monkeypatch):
    link = Link.__new__(Link)
    link._control, link._frames, link._monitors = Socket(), Socket(), ["monitor"]
    link._maps, link._unsent, link._poller = None, deque(), SimpleNamespace(modify=lambda *_: None)
    monkeypatch.setattr(link, "_poll", lambda seconds: {"monitor": 1}, raising=False)
    monkeypatch.setattr(link, "_judge", lambda ready: None, raising=False)
    monkeypatch.setattr(link, "_keep_alive", lambda: None, raising=False)
    link.turn(0)
    link._monitors, link._greeted = [], True
    link.close(farewell=True)
    assert link._control.waited == [1000 * limits.LAST_WORDS_S, 1000 * limits.FAREWELL_S]


@pytest.mark.limits("IMPORT_S")
def test_a_client_waits_longer_for_an_import_than_the_server_may_take():
    assert limits.IMPORT_S > limits.OPEN_S
