"""Real worker processes under a clock of our own."""

import os
import signal
import sys

import pytest

from backend.service.keys import new_pair
from backend.service.pool import Pool
from backend.service.post import Post
from backend.service.zap import Gate
from shared.wire import limits
from shared.wire.codec import decode
from shared.wire.limits import (
    CANCEL_KILL_S,
    FRAME_S,
    PING_S,
    WORKER_RESTART_S,
    WORKER_SILENCE_S,
    WORKER_START_S,
    WORKER_STARTS,
)
from shared.wire.sockets import CONTROL, ZAP_DOMAIN, bind, new_context, server_socket
from tests.service.clock import FakeClock
from tests.service.serving import FAKE_WORKER, until

DIES_AT_ONCE = (sys.executable, "-c", "raise SystemExit(3)")
NEVER_READY = (sys.executable, "-c", "import time; time.sleep(100)")


class Watched:
    """A pool with its socket, and what it reported."""

    def __init__(self, data, command):
        keys, self.context, self.clock, self.lost = set(), new_context(), FakeClock(), []
        self.gate = Gate(self.context, {ZAP_DOMAIN.encode(): keys})
        pair = new_pair()
        self.socket = server_socket(self.context, CONTROL, pair.secret, linger_s=0)
        endpoint = f"tcp://127.0.0.1:{bind(self.socket, '127.0.0.1')}"
        self.pool = Pool(Post(self.socket), command, endpoint, pair.public, data, self.clock, keys)
        self.pool.lost = lambda worker, reason: self.lost.append((worker.role, reason))
        self.pool.start([""])

    def listen(self):
        while self.gate.socket.poll(0):
            self.gate.answer()
        for worker, parts in self.pool.receive():
            self.pool.take_note(worker, decode(parts).message)

    def ready(self):
        """Both workers, once they are and nothing more of theirs is on its way."""
        self.listen()
        self.pool.tick()
        workers = self.pool.workers()
        return len(workers) == 2 and all(worker.ready and worker.memory.total for worker in workers) and workers

    def close(self):
        self.pool.stop(1.0)
        self.socket.close()
        self.gate.socket.close()
        self.context.term()


@pytest.fixture
def watch(tmp_path):
    made = []

    def start(command=FAKE_WORKER):
        made.append(Watched(tmp_path, command))
        return made[0]

    yield start
    made[0].close()


@pytest.mark.limits("WORKER_SILENCE_S")
def test_19_a_worker_that_is_silent_for_too_long_is_killed_and_replaced(watch):
    watched = watch()
    build, render = until(watched.ready)
    os.kill(build.process.pid, signal.SIGSTOP)
    watched.clock.pass_(WORKER_SILENCE_S)
    watched.pool.tick()
    until(lambda: watched.listen() or render.heard == watched.clock())
    assert not watched.lost
    watched.clock.pass_(0.01)
    watched.pool.tick()
    assert watched.lost == [("build", f"it gave no sign of life for {WORKER_SILENCE_S:.0f} s")]
    assert build.process.returncode == -signal.SIGKILL
    watched.clock.pass_(WORKER_RESTART_S[0])
    assert {worker.process.pid for worker in until(watched.ready)} & {build.process.pid, render.process.pid} == {
        render.process.pid
    }


def test_19_a_worker_that_not_even_a_kill_ends_is_replaced_and_the_loop_goes_on(watch, monkeypatch):
    """As one in a driver, or on a drive, that hangs."""
    monkeypatch.setattr(limits, "WORKERS_END_S", 0.1)
    watched = watch()
    build, render = until(watched.ready)
    os.kill(build.process.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(build.process, "kill", lambda: None)
        watched.pool.give_up(build, "it hangs")
    assert watched.lost == [("build", "it hangs")] and build.process.poll() is None
    watched.clock.pass_(WORKER_RESTART_S[0])
    new, same = until(watched.ready)
    assert new is not build and same is render
    build.process.kill()
    build.process.wait()


@pytest.mark.limits("FRAME_S")
def test_19_a_worker_whose_frame_does_not_end_is_killed_although_it_answers_pings(watch):
    watched = watch()
    _, render = until(watched.ready)
    watched.pool.engage(render, "frame")
    render.heard = watched.clock() + FRAME_S + 2  # its socket's thread lives on
    watched.clock.pass_(FRAME_S)
    watched.pool.tick()
    assert not [lost for lost in watched.lost if lost[0] == "render"]
    watched.clock.pass_(1)
    watched.pool.tick()
    assert ("render", "its frame did not end") in watched.lost


def test_20_a_frame_that_nobody_wants_may_take_a_little_longer_only(watch):
    watched = watch()
    _, render = until(watched.ready)
    watched.pool.engage(render, "frame")
    watched.pool.hurry(render)
    watched.clock.pass_(CANCEL_KILL_S + 0.1)
    watched.pool.tick()
    assert watched.lost == [("render", "its frame did not end")]


def test_a_worker_that_put_its_frame_down_has_all_the_time(watch):
    watched = watch()
    _, render = until(watched.ready)
    watched.pool.engage(render, "frame")
    watched.pool.release(render)
    render.heard = watched.clock() + 10 * FRAME_S
    watched.clock.pass_(2 * FRAME_S)
    watched.pool.tick()
    assert not [lost for lost in watched.lost if lost[0] == "render"]


def test_12_a_killed_worker_is_noticed_at_the_next_look_with_its_signal(watch):
    watched = watch()
    build, _ = until(watched.ready)
    os.kill(build.process.pid, signal.SIGKILL)
    until(lambda: watched.pool.tick() or watched.lost)
    assert watched.lost == [("build", "it was ended by signal 9")]


def test_38_hours_that_a_laptop_slept_kill_no_worker_that_answers(watch):
    watched = watch()
    workers = until(watched.ready)
    for _ in range(3):
        watched.clock.pass_(PING_S + 0.1)
        watched.pool.tick()
        until(lambda: watched.listen() or all(worker.heard == watched.clock() for worker in workers))
    assert not watched.lost


@pytest.mark.limits("WORKER_STARTS", "WORKER_RESTART_S")
def test_starting_is_tried_again_ever_more_rarely_and_then_told(watch):
    watched = watch(DIES_AT_ONCE)
    for tried in range(1, WORKER_STARTS + 1):
        assert not watched.pool.trouble("build")
        until(lambda tried=tried: watched.pool.tick() or len(watched.lost) == 2 * tried)
        watched.pool.tick()
        assert not watched.pool.workers()
        watched.clock.pass_(WORKER_RESTART_S[0] * 2**tried - 0.01)
        watched.pool.tick()
        assert not watched.pool.workers()
        watched.clock.pass_(0.02)
    assert "does not start" in watched.pool.trouble("build")
    assert set(watched.lost) == {(role, "it ended with exit code 3") for role in ("build", "render")}


@pytest.mark.limits("WORKER_START_S")
def test_a_worker_that_never_gets_ready_is_replaced(watch):
    watched = watch(NEVER_READY)
    watched.clock.pass_(WORKER_START_S)
    watched.pool.tick()
    assert not watched.lost
    watched.clock.pass_(0.01)
    watched.pool.tick()
    assert len(watched.lost) == 2


def test_stopping_leaves_no_process(watch):
    watched = watch()
    processes = [worker.process for worker in until(watched.ready)]
    watched.pool.stop(5.0)
    assert all(process.returncode is not None for process in processes) and not watched.pool.workers()


NOISY = (sys.executable, "-c", "import time; print('x' * 3_000_000, flush=True); time.sleep(60)")


def test_what_a_running_worker_prints_does_not_fill_the_disk(watch, tmp_path):
    watch(NOISY)
    logs = [tmp_path / "logs" / f"{role}-0.log" for role in ("build", "render")]
    until(lambda: all(log.with_suffix(".old.log").exists() for log in logs))
    assert all(path.stat().st_size <= limits.LOG_FILE_BYTES for path in (tmp_path / "logs").iterdir())
