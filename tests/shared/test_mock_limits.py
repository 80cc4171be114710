"""The mock keeps as much as a server keeps on its disk: uploads, jobs that have ended, avatars."""

import hashlib
import itertools

import numpy as np
import pytest

from shared.mock.desk import Desk
from shared.mock.jobs import PretendedJob
from shared.mock.streams import Stream
from shared.wire import limits
from shared.wire import messages as m
from shared.wire.calls import new_id
from shared.wire.errors import WireError


class Client:
    """Of a mock without sockets, whose jobs end at once."""

    def __init__(self):
        self.desk, self.stream, self.count = Desk("mock", 0.0, lambda: 1), Stream(), itertools.count()

    def call(self, message, buffers=None):
        answer = self.desk.answer(message, buffers or {}, self.stream, lambda *_: None)
        return answer[0] if isinstance(answer, tuple) else answer

    def upload(self, data=b""):
        data = data or b"photo %d" % next(self.count)
        name = hashlib.sha256(data).hexdigest()
        self.call(m.AssetPut(name, len(data)), {"data": np.frombuffer(data, "u1")})
        return name

    def held(self, name):
        return self.call(m.AssetPut(name, 100)).offset

    def submit(self, task="register", photo="", **more):
        job = new_id()
        self.call(m.JobSubmit(job, task, photo or self.upload(), **more))
        return job

    def finish(self, job):
        """As if all its steps had been made."""
        job = self.desk._jobs[job]
        job.files = {"overlay.png": b"overlay"}
        job.change(lambda *_: None, state="finished")
        if isinstance(job, PretendedJob):
            self.desk._keep(job)
        return job.info.job

    def render(self, avatar):
        motion = {"full_pose": np.zeros((1, 165), "f4")}
        return self.call(m.RenderFrames(new_id(), avatar, 8, 8), motion).info.job

    def jobs(self):
        return {info.job for info in self.call(m.JobList()).jobs}


@pytest.fixture
def client():
    return Client()


@pytest.mark.limits("SPARE_UPLOADS")
def test_of_the_uploads_that_no_job_uses_the_newest_stay(client, monkeypatch):
    monkeypatch.setattr(limits, "SPARE_UPLOADS", 3)
    used = client.upload()
    client.submit(photo=used)
    spare = [client.upload() for _ in range(3)]
    assert all(client.held(name) for name in spare)
    client.held(spare[0])  # asking touches it
    client.upload()
    assert [bool(client.held(name)) for name in spare] == [True, False, True] and client.held(used)


def test_an_upload_grows_no_further_than_it_is_announced(client):
    name = hashlib.sha256(b"ab").hexdigest()
    client.call(m.AssetPut(name, 3), {"data": np.frombuffer(b"ab", "u1")})
    with pytest.raises(WireError) as told:
        client.call(m.AssetPut(name, 3, 2), {"data": np.frombuffer(b"cdef", "u1")})
    assert told.value.code == "wrong_hash" and client.held(name) == 0
    client.upload(b"ab")
    assert client.call(m.AssetPut(name, 2, 2), {"data": np.frombuffer(b"cd", "u1")}).offset == 2


@pytest.mark.limits("ENDED_JOBS")
def test_of_the_jobs_that_have_ended_the_newest_stay_and_what_others_held_goes(client, monkeypatch):
    monkeypatch.setattr(limits, "ENDED_JOBS", 2)
    photos = [client.upload() for _ in range(3)]
    first, second, third = (client.finish(client.submit(photo=photo)) for photo in photos)
    assert client.jobs() == {first, second, third}
    waiting = client.submit("build", registration=second)
    assert client.jobs() == {second, third, waiting} and not client.held(photos[0])
    with pytest.raises(WireError, match="Nothing finished"):
        client.call(m.FilesList(first))
    client.finish(client.submit())
    client.submit()
    assert second in client.jobs(), "the build that waits begins from it"
    client.finish(waiting)
    client.submit()
    assert second not in client.jobs() and client.call(m.FilesList(waiting)).files


@pytest.mark.limits("ENDED_RENDERS")
def test_of_the_renders_that_have_ended_the_newest_stay(client, monkeypatch):
    monkeypatch.setattr(limits, "ENDED_RENDERS", 2)
    avatar = client.finish(client.submit("build"))
    ended = [client.render(avatar) for _ in range(3)]
    for job in ended:
        client.call(m.JobCancel(job))
    last = client.render(avatar)
    assert client.jobs() == {avatar, *ended[1:], last}


@pytest.mark.limits("KEPT_AVATARS")
def test_one_more_build_than_avatars_are_kept_is_refused(client, monkeypatch):
    monkeypatch.setattr(limits, "KEPT_AVATARS", 2)
    avatar, waiting = client.finish(client.submit("build")), client.submit("build")
    with pytest.raises(WireError, match="delete one") as told:
        client.submit("build")
    assert told.value.code == "busy"
    client.submit()
    client.call(m.JobCancel(waiting))
    other = client.submit("build")
    with pytest.raises(WireError, match="delete one"):
        client.call(m.JobResume(waiting))
    client.call(m.AvatarDelete(avatar))
    client.call(m.JobResume(waiting))
    assert {waiting, other} < client.jobs()
