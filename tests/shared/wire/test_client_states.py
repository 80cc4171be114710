"""Whatever line and server do, each question gets one answer, and the client comes back when they do."""

import time

import pytest
import zmq
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.wire import limits
from shared.wire import messages as m
from shared.wire.client import Client
from shared.wire.errors import CODES, WireError
from tests.shared.wire.small_server import SmallServer
from tests.shared.wire.test_client import FixedPorts, proxied, until

STATES = {"connecting", "ready", "lost", "refused"}
ANSWERS = {
    "ok": m.Ok(),
    "error": m.Error("conflict", "No."),
    "silence": None,
    "forgotten": m.Error("unknown_session", "?"),
}


class ClientLife(RuleBasedStateMachine):
    """A client behind proxies, a server that answers as the rules want, and all questions that were asked."""

    def __init__(self):
        super().__init__()
        self.keys = (zmq.curve_keypair(), zmq.curve_keypair())
        self.manner = "ok"
        self.server = SmallServer(self.answer, keys=self.keys).__enter__()
        self.real = self.server.connection()
        self.line = proxied(self.real)
        connection, self.control, self.frames = self.line.__enter__()
        self.client = Client(connection)
        self.futures = []

    def answer(self, envelope):
        return ANSWERS[self.manner]

    @rule(manner=st.sampled_from(sorted(ANSWERS)))
    def answer_so(self, manner):
        self.manner = manner

    @rule(count=st.integers(1, 5))
    def ask(self, count):
        self.futures += [self.client.send(m.StatusGet(), timeout=0.5) for _ in range(count)]

    @rule()
    def post(self):
        self.client.post(m.RenderCredit(1))

    @rule(which=st.sampled_from(("control", "frames")))
    def cut(self, which):
        getattr(self, which).cut()

    @rule(frozen=st.booleans())
    def freeze(self, frozen):
        self.control.frozen = frozen

    @rule(seconds=st.sampled_from((0.01, 0.3)))
    def wait(self, seconds):
        time.sleep(seconds)

    @precondition(lambda self: self.server)
    @rule()
    def end_server(self):
        self.server.__exit__()
        self.server = None

    @precondition(lambda self: not self.server)
    @rule()
    def start_server(self):
        self.server = FixedPorts(self.real, self.keys)
        self.server.answer = self.answer
        self.server.__enter__()

    @invariant()
    def its_state_is_one_of_four(self):
        assert self.client.state in STATES - {"refused"} and self.client._thread.is_alive()
        assert (self.client.state == "lost") <= (self.client.error is not None)

    def teardown(self):
        self.manner, self.control.frozen = "ok", False
        if not self.server:
            self.start_server()
        until(lambda: self.client.state == "ready")
        until(lambda: answered(self.client))
        for future in self.futures:
            error = future.exception(20)
            assert error is None or (isinstance(error, WireError) and error.code in CODES)
        assert not self.client._waiting
        self.client.close()
        assert not self.client._thread.is_alive()
        self.line.__exit__(None, None, None)
        self.server.__exit__()


def answered(client):
    try:
        return client.call(m.StatusGet())
    except WireError:
        return None


@pytest.mark.slow
def test_each_question_gets_one_answer_whatever_happens(monkeypatch):
    monkeypatch.setattr(limits, "PING_S", 0.2)
    ClientLife.TestCase.settings = settings(
        max_examples=25, stateful_step_count=15, suppress_health_check=list(HealthCheck)
    )
    case = ClientLife.TestCase("runTest")
    case.runTest()
