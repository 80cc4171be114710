"""A worker's link to its server, used by two threads at once."""

import socket
import sys
import threading
import time
import uuid

import pytest
import zmq

from backend.service.link import Contact, Link
from backend.service.work import WorkCancel, WorkClose, WorkMemory, WorkPing, WorkPong, WorkReady
from shared.wire import limits
from tests.service.employer import Employer

SILENCE, TALK = (str(uuid.UUID(int=number)) for number in range(2))
PINGS, ROUNDS = 200, 300


def main():
    """A worker that is silent, then talks without a pause, each until that is cancelled, then answers its orders."""
    link = Link(sys.argv[4], Contact.read(sys.stdin))
    link.send(WorkReady("build", 0, "cpu", "none"))
    while not link.cancelled(SILENCE):
        time.sleep(0.01)
    number = 0
    while not link.cancelled(TALK):
        link.send(WorkMemory(number, 0))
        number += 1
    link.send(WorkMemory(number, 1))
    for order in link.work():
        link.send(WorkMemory(int(order.message.avatar), 1))


@pytest.fixture
def worker():
    employer = Employer("build", ("-m", "tests.service.test_link"))
    yield employer
    employer.close()


@pytest.mark.limits("WORKER_LOOK_S")
def test_pings_are_answered_while_the_main_thread_is_busy(worker):
    for _ in range(3):
        worker.send(WorkPing())
        began = time.monotonic()
        assert worker.receive(timeout_s=20.0).message == WorkPong()
        assert time.monotonic() - began < limits.WORKER_SILENCE_S / 2


def test_pings_are_answered_while_the_main_thread_sends_without_a_pause_and_nothing_is_lost_or_doubled(worker):
    worker.send(WorkCancel(SILENCE))
    for _ in range(PINGS):
        worker.send(WorkPing())
    pongs, talk, done = [], [], False
    while not done:
        came = worker.receive(timeout_s=20.0)
        if isinstance(came.message, WorkPong):
            pongs.append(came.re)
        else:
            talk.append(came.message.used)
            done = came.message.total == 1
        if isinstance(came.message, WorkPong) and len(pongs) == PINGS:
            worker.send(WorkCancel(TALK))
    assert len(set(pongs)) == len(pongs) == PINGS
    assert talk == list(range(len(talk)))


def test_what_comes_in_the_moment_of_an_answer_is_not_left_until_something_else_comes(worker):
    for told in (SILENCE, TALK):
        worker.send(WorkCancel(told))
    worker.expect(WorkMemory, until=lambda memory: memory.total == 1)
    for number in range(ROUNDS):
        worker.send(WorkClose(str(number)))
        time.sleep(number * 2e-6)
        worker.send(WorkPing())
        came = [worker.receive(timeout_s=20.0).message for _ in range(2)]
        assert WorkPong() in came and WorkMemory(number, 1) in came


class Shared:
    """In the place of the link's socket: always worth a look, and who sends stays until another thread comes too."""

    def __init__(self):
        self.users, self.met = threading.Semaphore(1), threading.Event()
        self.near, self.far = socket.socketpair()

    def connect(self, endpoint):
        """Nowhere."""

    def get(self, option):
        self.use(0.0)
        return self.far.fileno() if option == zmq.FD else 0

    def send(self, data):
        self.use(0.2)

    def use(self, seconds):
        if self.users.acquire(blocking=False):
            self.met.wait(seconds)
            self.users.release()
        else:
            self.met.set()


def test_two_threads_never_use_the_socket_at_once(monkeypatch):
    """It is not safe for threads: two of them in it end the process, some day."""
    shared = Shared()
    monkeypatch.setattr("backend.service.link._dealer", lambda context, contact: shared)
    link = Link("", None)
    for number in range(3):
        link.send(WorkMemory(number, 0))
    assert not shared.met.is_set()


if __name__ == "__main__":
    main()
