"""Row 41: the server's own drive hangs, and answers again after longer than anybody may be silent."""

import os
from types import SimpleNamespace

import pytest

from backend.service.served_time import ServedTime
from shared.wire import limits
from shared.wire.messages import AvatarList, JobLog, RenderCredit
from tests.service.clock import FakeClock
from tests.service.serving import PATIENCE_S, motion, render_frames, serving, state_of, submit, until, until_state


@pytest.mark.limits("TURN_S")
def test_a_turn_counts_as_long_as_it_took_and_no_longer_than_its_limit(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr("backend.service.served_time.time", SimpleNamespace(monotonic=clock))
    served = ServedTime()
    for took, counted in ((0.05, 0.05), (limits.TURN_S, limits.TURN_S), (limits.TURN_S + 1, limits.TURN_S)):
        before = served()
        clock.pass_(took)
        assert served() == before
        served.turn()
        assert served() - before == pytest.approx(counted)


def test_41_a_drive_that_hangs_ends_no_session_no_worker_and_no_job(tmp_path):
    """By the server's clock for an hour, so that nobody waits here and no limit is met by a hair."""
    with serving(tmp_path) as server, server.connect() as client:
        avatar = submit(client)
        until_state(client, avatar, "finished")
        job, request = submit(client, steps=30, size=100), render_frames(avatar)
        client.call(request, motion(5))
        until(lambda: state_of(client, job).stage == "training")
        log = tmp_path / "jobs" / avatar / "log.txt"
        log.unlink()
        os.mkfifo(log)
        asked = client.send(JobLog(avatar), timeout=PATIENCE_S)
        (tmp_path / "hung").write_text("3600")
        log.write_bytes(b"")
        until(lambda: asked.done() and client.state == "ready")
        until_state(client, job, "finished")
        assert state_of(client, request.job).state == "queued"
        client.post(RenderCredit(5))
        until_state(client, request.job, "running", "finished")
        assert "lost" not in (tmp_path / "logs" / "server.log").read_text()


def test_41_clients_are_told_of_it_and_come_back_by_themselves(tmp_path):
    with serving(tmp_path) as server, server.connect() as client:
        avatar = submit(client)
        until_state(client, avatar, "finished")
        log = tmp_path / "jobs" / avatar / "log.txt"
        log.unlink()
        os.mkfifo(log)
        asked = client.send(JobLog(avatar), timeout=PATIENCE_S)
        assert asked.exception(PATIENCE_S).code == "lost"
        log.write_bytes(b"")
        until(lambda: client.state == "ready")
        assert client.call(AvatarList()).message.avatars[0].avatar == avatar
