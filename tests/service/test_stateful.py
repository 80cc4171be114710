"""Anything in any order: submit, cancel, resume, go, come back, kill a worker, kill the server. The invariants hold."""

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from backend.service import keys
from backend.service.states import MOVES
from shared.wire.calls import new_id, upload
from shared.wire.client import Client
from shared.wire.errors import WireError
from shared.wire.messages import (
    FINAL_STATES,
    BuildOptions,
    JobCancel,
    JobEvent,
    JobEvents,
    JobList,
    JobResume,
    JobSubmit,
)
from tests.service.fake_worker import DIES, DIES_ALWAYS, FAILS
from tests.service.serving import PATIENCE_S, PHOTO, Serving, drain, until

FATES = st.sampled_from([0, 0, 0, DIES, DIES_ALWAYS, FAILS])
OWNERS = st.sampled_from(["ada", "bob"])


class Owner:
    """One key with one client window, and what its owner knows."""

    def __init__(self, server, pair=None):
        self.server, self.pair, self.session = server, pair, new_id()
        self.client = None
        self.accepted, self.events, self.resumed = set(), {}, set()
        self.come()

    def come(self):
        if self.client is None:
            connection = self.server.connection()
            if self.pair is not None:
                connection = replace(connection, public_key=self.pair.public, secret_key=self.pair.secret)
            self.client = Client(connection, session=self.session)
        until(lambda: self.client.state == "ready")

    def go(self):
        if self.client is not None:
            self.client.close()
            self.client = None

    def listen(self):
        """Take what came: only about own jobs, and what a number tells never changes."""
        for came in drain(self.client) if self.client else ():
            if isinstance(came.message, JobEvent):
                info = came.message.info
                assert info.job in self.accepted, "somebody else's job"
                assert self.events.setdefault((info.job, info.last_event), info) == info

    def ask(self, message):
        """What a user asks may be refused, for the state may not allow it."""
        self.come()
        try:
            self.client.call(message)
        except WireError as error:
            assert error.code == "conflict", error


class Service(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self):
        super().__init__()
        self.data = Path(tempfile.mkdtemp())
        self.server = Serving(self.data).start()
        pair = keys.new_pair()
        keys.allow(self.data, "bob", pair.public)
        until(lambda: _let_in(self.server, pair))
        self.owners = {"ada": Owner(self.server), "bob": Owner(self.server, pair)}

    @rule(target=jobs, owner=OWNERS, fate=FATES, steps=st.integers(1, 3))
    def submit(self, owner, fate, steps):
        one, job = self.owners[owner], new_id()
        one.come()
        one.accepted.add(job)  # its first event may come before the answer
        options = BuildOptions(steps=steps, size=64, seed=fate)
        message = JobSubmit(job, "build", upload(one.client, PHOTO), options=options)
        first = one.client.call(message).message.info
        assert one.client.call(message).message.info.created == first.created
        return multiple((owner, job))

    @rule(job=jobs)
    def cancel(self, job):
        self.owners[job[0]].ask(JobCancel(job[1]))

    @rule(job=jobs)
    def resume(self, job):
        self.owners[job[0]].resumed.add(job[1])
        self.owners[job[0]].ask(JobResume(job[1]))

    @rule(owner=OWNERS)
    def disconnect(self, owner):
        self.owners[owner].go()

    @rule(owner=OWNERS)
    def reconnect(self, owner):
        self.owners[owner].come()

    @rule(job=jobs)
    def meddle_with_anothers(self, job):
        stranger = self.owners["bob" if job[0] == "ada" else "ada"]
        stranger.come()
        with pytest.raises(WireError, match="no such job"):
            stranger.client.call(JobCancel(job[1]))

    @rule()
    def kill_worker(self):
        for pid in _children(self.server.process.pid)[:1]:
            with suppress(ProcessLookupError):  # it just died of its own fate
                os.kill(pid, signal.SIGKILL)

    @rule()
    def restart_server(self):
        self.server.kill(signal.SIGKILL)
        self.server.start()
        for owner in self.owners.values():  # the ports are others now: as Blender, they read the connection file again
            owner.go()

    @invariant()
    def only_own_events_come(self):
        for owner in self.owners.values():
            owner.listen()

    def teardown(self):
        try:
            for owner in self.owners.values():
                owner.come()
                self._all_end(owner)
                self._the_journal_agrees(owner)
        finally:
            for owner in self.owners.values():
                owner.go()
            self.server.kill(signal.SIGTERM)
            shutil.rmtree(self.data)

    def _all_end(self, owner):
        """Every accepted job is there once, and ends: interrupted ones by a wish to cancel."""

        def states():
            infos = owner.client.call(JobList()).message.jobs
            assert sorted(info.job for info in infos) == sorted(owner.accepted)
            return {info.job: info.state for info in infos}

        for job, state in states().items():
            if state == "interrupted":
                owner.ask(JobCancel(job))
        until(lambda: set(states().values()) <= set(FINAL_STATES), patience=PATIENCE_S * (1 + len(owner.accepted)))

    def _the_journal_agrees(self, owner):
        for job in owner.accepted:
            owner.client.call(JobEvents(job))
        owner.listen()
        for job in owner.accepted:
            events = [info for (of, _), info in sorted(owner.events.items()) if of == job]
            assert [info.last_event for info in events] == list(range(1, len(events) + 1))
            for before, after in pairwise(info.state for info in events):
                assert after == before or after in MOVES[before]
                assert before not in FINAL_STATES or job in owner.resumed


def _let_in(server, pair):
    """Whether the running server has noticed the new key."""
    connection = replace(server.connection(), public_key=pair.public, secret_key=pair.secret)
    client = Client(connection)
    until(lambda: client.state in ("ready", "refused"))
    client.close()
    return client.error.code == "closed"


def _children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


QUICK = settings(max_examples=2, stateful_step_count=10)
LONG = settings(max_examples=25, stateful_step_count=40)
COMMON = {"suppress_health_check": list(HealthCheck), "print_blob": False}


def test_20_21_23_27_whatever_happens_each_job_has_one_story():
    run_state_machine_as_test(Service, settings=settings(QUICK, **COMMON))


@pytest.mark.slow
def test_20_21_23_27_whatever_happens_for_long_each_job_has_one_story():
    run_state_machine_as_test(Service, settings=settings(LONG, **COMMON))
