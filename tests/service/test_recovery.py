"""The server dies at each of its named points, and another one goes on. Numbers are rows of the fault table."""

import contextlib
import re
import signal

import pytest

from shared.wire.calls import new_id, upload
from shared.wire.errors import WireError
from shared.wire.messages import (
    FINAL_STATES,
    AvatarDelete,
    AvatarList,
    BuildOptions,
    FilesList,
    JobEvents,
    JobList,
    JobResume,
    JobSubmit,
)
from tests.service.serving import PHOTO, ROOT, Serving, drain, serving, state_of, submit, until, until_state

BUILD_POINTS = (
    "assets:checked",
    "assets:renamed",
    "journal:before_commit",
    "journal:after_commit",
    "foreman:begun",
    "foreman:done",
    "library:announced",
    "library:renamed",
    "foreman:adopted",
)
QUICK = ("journal:after_commit", "foreman:begun", "library:renamed")
DELETE_POINTS = ("library:aside",)


def test_the_tests_know_every_point():
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "backend" / "service").glob("*.py"))
    named = {point for text in texts for point in re.findall(r'crash_point\("([\w:]+)"\)', text)}
    assert named == {*BUILD_POINTS, *DELETE_POINTS}


def left_over(data):
    """Files with names that only work in progress has."""
    return [path.name for folder in ("avatars", "assets") for path in (data / folder).glob(".*")]


def finish(client, job):
    """Bring a job to its end, whatever became of it: as a user would, by its id."""
    photo = upload(client, PHOTO)
    client.call(JobSubmit(job, "build", photo, "Ada", options=BuildOptions(steps=1, size=64)))
    if state_of(client, job).state == "interrupted":
        client.call(JobResume(job))
    return until_state(client, job, *FINAL_STATES)


@pytest.mark.parametrize(
    "point", [point if point in QUICK else pytest.param(point, marks=pytest.mark.slow) for point in BUILD_POINTS]
)
def test_13_14_a_build_survives_a_crash_of_the_server_at(tmp_path, point):
    job = new_id()
    server = Serving(tmp_path, ABORT_AT=point).start()
    client = server.client()
    until(lambda: client.state == "ready")
    with contextlib.suppress(WireError):  # the server goes away in the middle of it
        finish(client, job)
    assert server.wait() == 70
    client.close()
    with serving(tmp_path) as again, again.connect() as client:
        assert finish(client, job).state == "finished"
        assert [avatar.avatar for avatar in client.call(AvatarList()).message.avatars] == [job]
        names = {file.name for file in client.call(FilesList(job)).message.files}
        assert {"avatar.json", "gaussians.safetensors", "registration.npz"} <= names
        client.call(JobEvents(job))
        numbers = [came.message.info.last_event for came in drain(client)]
        assert sorted(set(numbers)) == list(range(1, state_of(client, job).last_event + 1))
        assert not left_over(tmp_path)


@pytest.mark.parametrize("point", DELETE_POINTS)
def test_14_a_deletion_that_a_crash_cut_short_is_finished(tmp_path, point):
    with serving(tmp_path, ABORT_AT=point) as server:
        client = server.client()
        until(lambda: client.state == "ready")
        job = submit(client)
        until_state(client, job, "finished")
        with pytest.raises(WireError):
            client.call(AvatarDelete(job))
        assert server.wait() == 70
        client.close()
    with serving(tmp_path) as server, server.connect() as client:
        assert client.call(AvatarList()).message.avatars == ()
        assert not left_over(tmp_path) and not (tmp_path / "avatars" / job).exists()


@pytest.mark.parametrize("stage", ["photo", "training"])
def test_13_a_server_killed_during_a_job_leaves_it_interrupted_and_resume_goes_on(tmp_path, stage):
    server = Serving(tmp_path).start()
    with server.connect() as client:
        job = submit(client, steps=1000, size=100)
        waiting = submit(client)
        until(lambda: state_of(client, job).state == "running" and (stage == "photo" or state_of(client, job).step > 2))
        seen = state_of(client, job).last_event
        server.kill(signal.SIGKILL)
    with serving(tmp_path) as again, again.connect() as client:
        info = state_of(client, job)
        assert (info.state, info.retryable) == ("interrupted", True) and info.last_event > seen
        until_state(client, waiting, "finished")  # what only waited goes on by itself
        client.call(JobResume(job))
        until(lambda: state_of(client, job).stage == "training" and state_of(client, job).state == "running")
        assert len(client.call(JobList()).message.jobs) == 2
