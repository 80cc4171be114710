"""Renders that outlive their server, their worker and their client. Numbers are rows of the fault table."""

import os
import signal
import socket
import subprocess
from contextlib import suppress

import pytest

from shared.wire import calls, limits
from shared.wire.errors import WireError
from shared.wire.messages import FINAL_STATES, Bye, Frame, JobCancel, JobForget, JobList, JobResume, RenderCredit
from tests.service.serving import Serving, drain, motion, render_frames, serving, state_of, submit, until, until_state


def poses(server):
    """Names of the renders whose poses are kept."""
    return {path.name for path in (server.data / "poses").iterdir()}


def numbers(client, seconds=0.0, credit=True):
    """Of the frames that come; each is acknowledged."""
    found = [came.message.number for came in drain(client, seconds) if isinstance(came.message, Frame)]
    for _ in found if credit else ():
        client.post(RenderCredit(1))
    return found


def left_behind(server, avatar, consumed, frames=10):
    """A render whose client took some frames and went."""
    with server.connect() as client:
        request = render_frames(avatar)
        client.call(request, motion(frames))
        client.post(RenderCredit(consumed))
        came = []
        until(lambda: came.extend(numbers(client, credit=False)) or len(came) == consumed)
        client.post(RenderCredit(consumed))  # which lets as many more come, that nobody consumes
        until(lambda: state_of(client, request.job).step == consumed)
        client.call(Bye())
    return request.job


def test_13_a_render_goes_on_over_killed_servers_and_workers_and_each_frame_comes_once(tmp_path):
    port = two_free_ports()
    server = Serving(tmp_path).start(str(port))
    with server.connect() as client:
        avatar = submit(client)
        until_state(client, avatar, "finished")
        seen, request = [], render_frames(avatar, first=5)
        for number, rgba, depth in calls.frames(client, request, motion(40, delay=0.01)):
            seen.append(number)
            assert depth[5, 5] == rgba[5, 5, 0] == number - 5
            if len(seen) in (7, 25):
                server.kill()
                server.start(str(port))
            if len(seen) in (12, 18):
                for pid in _children(server.process.pid):
                    os.kill(pid, signal.SIGKILL)
        assert seen == list(range(5, 45))
        assert until_state(client, request.job, "finished").step == 40
        assert not poses(server)
    server.kill(signal.SIGTERM)


def two_free_ports():
    """The first of two neighbours, for a server that shall come back where its client looks for it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            with suppress(OSError), socket.create_server(("127.0.0.1", port + 1)):
                return port


def _children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def test_13_renders_that_ran_or_waited_are_interrupted_by_a_restart_and_keep_their_poses(tmp_path):
    server = Serving(tmp_path).start()
    with server.connect() as client:
        avatar = submit(client)
        until_state(client, avatar, "finished")
        jobs = [render_frames(avatar) for _ in range(3)]
        for job in jobs:
            client.call(job, motion(50, delay=0.01))
        client.post(RenderCredit(2))
        until(lambda: numbers(client, 0.1, credit=False))
        server.kill()
    (tmp_path / "poses" / "of no job").write_bytes(b"")
    with serving(tmp_path) as again, again.connect() as client:
        for job in jobs:
            info = state_of(client, job.job)
            assert (info.state, info.retryable, info.total) == ("interrupted", True, 50)
        assert poses(again) == {job.job for job in jobs}
        client.call(JobCancel(jobs[0].job))
        assert poses(again) == {job.job for job in jobs[1:]}


def test_22_the_frames_that_nobody_consumed_come_to_who_resumes(server, avatar):
    job = left_behind(server, avatar, 4)
    with server.connect() as client:
        info = state_of(client, job)
        assert (info.state, info.step) == ("interrupted", 4)
        client.post(RenderCredit(3))
        client.call(JobResume(job))
        came = []
        until(lambda: came.extend(numbers(client)) or state_of(client, job).state == "finished")
        assert came == [4, 5, 6, 7, 8, 9] and job not in poses(server)


@pytest.mark.parametrize(("done", "first"), [(2, 4), (7, 7), (9, 9)])
def test_who_consumed_more_than_the_server_knows_says_so(server, avatar, done, first):
    job = left_behind(server, avatar, 4)
    with server.connect() as client:
        client.post(RenderCredit(16))
        client.call(JobResume(job, done))
        came = []
        until(lambda: came.extend(numbers(client)) or state_of(client, job).state == "finished")
        assert came == list(range(first, 10))


def test_a_render_that_was_consumed_to_its_end_is_finished_when_it_is_resumed(server, avatar):
    job = left_behind(server, avatar, 4)
    with server.connect() as client:
        client.call(JobResume(job, 10))
        assert until_state(client, job, "finished").step == 10


def test_poses_go_with_their_job(server, avatar):
    with server.connect() as client:
        request = render_frames(avatar)
        client.call(request, motion(3))
        assert request.job in poses(server)
        client.call(JobCancel(request.job))
        client.call(JobForget(request.job))
        assert request.job not in poses(server)


def test_14_poses_that_were_damaged_are_not_drawn(server, avatar):
    job = left_behind(server, avatar, 1)
    path = server.data / "poses" / job
    path.write_bytes(path.read_bytes()[:-1])
    with server.connect() as client:
        with pytest.raises(WireError, match="poses of this render are lost"):
            client.call(JobResume(job))
        info = state_of(client, job)
        assert (info.state, info.error_code) == ("failed", "unknown_file") and not path.exists()
        with pytest.raises(WireError) as told:
            client.call(JobResume(job))
        assert told.value.code == "conflict"


@pytest.mark.limits("INTERRUPTED_RENDERS")
def test_of_renders_left_behind_the_newest_are_kept(server, avatar):
    jobs = [left_behind(server, avatar, 1, frames=3) for _ in range(limits.INTERRUPTED_RENDERS + 1)]
    with server.connect() as client:
        states = {info.job: info.state for info in client.call(JobList()).message.jobs}
        assert [states[job] for job in jobs] == ["failed"] + ["interrupted"] * limits.INTERRUPTED_RENDERS
        assert poses(server) == set(jobs[1:])
        for job in jobs[1:]:
            client.call(JobCancel(job))
        assert not poses(server)


def test_a_range_of_any_length_comes_in_order(server, avatar, monkeypatch):
    monkeypatch.setattr(limits, "JOB_FRAMES", 7)
    with server.connect() as client:
        before = len(client.call(JobList()).message.jobs)
        came = [number for number, _, _ in calls.frames(client, render_frames(avatar, first=-4), motion(20))]
        jobs = client.call(JobList()).message.jobs
        assert came == list(range(-4, 16))
        assert len(jobs) == before + 3 and all(job.state in FINAL_STATES for job in jobs[1:3])
