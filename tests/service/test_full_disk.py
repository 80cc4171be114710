"""Row 15 of the fault table on a running server: files may not grow any more, and later they may again."""

import resource
from contextlib import contextmanager

import numpy as np
import pytest

from shared.wire import calls
from shared.wire.errors import WireError
from shared.wire.messages import Frame, Ping, RenderCredit, StatusGet
from tests.service.serving import drain, motion, render_frames, render_live, submit, until, until_state

LARGE = np.random.default_rng(0).integers(0, 256, 300_000, "u1").tobytes()


@pytest.fixture
def client(server):
    with server.connect() as connected:
        yield connected


@contextmanager
def no_file_over(server, size):
    """The disk of the server's process is full, as far as it can tell."""
    pid, free = server.process.pid, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, free)


def test_15_an_upload_that_does_not_fit_names_path_and_bytes_and_goes_on_later(server, client):
    with no_file_over(server, 100_000), pytest.raises(WireError) as told:
        calls.upload(client, LARGE)
    assert (told.value.code, told.value.retryable) == ("disk_full", True)
    assert str(server.data) in told.value.message and "300,000 bytes" in told.value.message
    assert calls.upload(client, LARGE)


def test_15_frames_without_room_are_refused_and_smaller_ones_go_on(server, client):
    avatar = submit(client)
    until_state(client, avatar, "finished")
    with no_file_over(server, 1_000_000), server.connect() as other:
        other.post(RenderCredit(1))
        asked = other.post(render_live(avatar, size=(2000, 2000)), motion())
        until(lambda: any(came.re == asked and came.message.code == "disk_full" for came in drain(other)))
        with pytest.raises(WireError) as told:
            list(calls.frames(other, render_frames(avatar, size=(2000, 2000)), motion()))
        assert told.value.code == "disk_full"
        assert len(list(calls.frames(client, render_frames(avatar), motion(3)))) == 3
    assert not any(isinstance(came.message, Frame) for came in drain(client))


def test_15_a_journal_that_cannot_grow_refuses_jobs_and_loses_none(server, client):
    job = submit(client, steps=3, size=300)
    until_state(client, job, "running")
    wal = server.data / "journal.sqlite-wal"
    with no_file_over(server, wal.stat().st_size):
        until(lambda: any("journal.sqlite" in note for note in client.call(StatusGet()).message.notes))
        client.call(Ping())
    until_state(client, job, "finished")
    until(lambda: client.call(StatusGet()).message.notes == ("This worker only pretends.",))
