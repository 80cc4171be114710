"""Jobs that have ended, as the disk and the list keep them: how many, which, and over restarts."""

import hashlib
import itertools

import numpy as np
import pytest

from backend.service.assets import Assets
from backend.service.ended import Ended
from backend.service.jobs import JobDesk
from backend.service.journal import Job, Journal
from backend.service.kept import Kept
from backend.service.ledger import Ledger
from backend.service.library import Library
from backend.service.orders import packed
from backend.service.session import Session
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import AssetPut, JobInfo, JobResume, JobSubmit
from tests.service.at_once import AtOnce

LIMITS = {"build": "ENDED_JOBS", "register": "ENDED_JOBS", "render": "ENDED_RENDERS"}


class Archive:
    """The jobs of a data folder."""

    def __init__(self, data):
        self.data = data
        (data / "jobs").mkdir()
        self.count = itertools.count()
        self.restart()

    def restart(self):
        self.journal = Journal(self.data / "journal.sqlite")
        self.kept = kept = Kept(self.data, self.journal, AtOnce(), lambda owner: owner == "local")
        self.assets = Assets(self.data, self.journal, kept, AtOnce(), lambda *_: None, None)
        self.ended = Ended(self.data, self.journal, self.assets, kept, AtOnce())
        ledger = Ledger(self.journal, lambda owner, event: None, lambda: 0.0)
        self.library = library = Library(self.data, self.journal)
        rooms = (ledger, None, None, None, self.assets, None, self.ended, library, kept)
        self.desk = JobDesk(self.data, self.journal, *rooms)
        self.ended.sweep()
        kept.recover()

    def photo(self, owner="ada"):
        data = f"photo {next(self.count)}".encode()
        name = hashlib.sha256(data).hexdigest()
        self.assets.put(a_session(owner), Envelope(AssetPut(name, len(data)), {"data": np.frombuffer(data, "u1")}))
        return name

    def keep(self, task="build", state="finished", owner="ada", fit="", photo="", retryable=False):
        """A job that has come so far, with its folder and photo; its id."""
        info = JobInfo(new_id(), task, "", state, 0.0, last_event=1, retryable=retryable)
        request = b""
        if task != "render":
            request = packed(JobSubmit(info.job, task, photo or self.photo(owner), registration=fit), {})
            (self.data / "jobs" / info.job).mkdir()
            (self.data / "jobs" / info.job / "log.txt").touch()
        self.journal.add(Job(info, owner, "", request))
        return info.job

    def submit(self, owner="ada", task="build", fit="", photo=""):
        """One more by the desk."""
        message = JobSubmit(new_id(), task, photo or self.photo(owner), registration=fit)
        self.desk.submit(a_session(owner), Envelope(message))
        return message.job

    def make_room(self, task="build"):
        """As for one more job."""
        request = b"" if task == "render" else packed(JobSubmit(new_id(), task, "0" * 64), {})
        self.ended.make_room(Job(JobInfo(new_id(), task, "", "queued", 0.0), "ada", "", request))

    def jobs(self, owner="ada"):
        return [job.id for job in self.journal.jobs_of(owner)][::-1]

    def folders(self):
        return {path.name for path in (self.data / "jobs").iterdir()}

    def photos(self):
        return len(list((self.data / "assets").iterdir()))


def a_session(owner):
    return Session("s", owner, True, b"", 0.0)


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


@pytest.mark.limits("ENDED_JOBS", "ENDED_RENDERS")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("task", LIMITS)
def test_of_the_jobs_that_have_ended_so_many_stay_and_the_oldest_goes(archive, monkeypatch, task, restarted):
    monkeypatch.setattr(limits, LIMITS[task], 3)
    anothers, other_kind = archive.keep(task, owner="bob"), archive.keep("build" if task == "render" else "render")
    ended = [archive.keep(task, state) for state in ("failed", "cancelled", "finished")]
    if restarted:
        archive.restart()
    archive.make_room(task)
    assert archive.jobs() == [other_kind, *ended]
    newest = archive.keep(task)
    if restarted:
        archive.restart()
    archive.make_room(task)
    assert archive.jobs() == [other_kind, *ended[1:], newest] and archive.jobs("bob") == [anothers]
    if task != "render":
        assert ended[0] not in archive.folders() and set(ended[1:]) <= archive.folders()


def test_room_is_made_when_a_job_is_submitted_and_what_runs_or_waits_is_never_forgotten(archive, monkeypatch):
    monkeypatch.setattr(limits, "ENDED_JOBS", 1)
    going_on = [archive.keep(state=state) for state in ("queued", "running", "interrupted")]
    old, new = archive.keep(), archive.keep()
    newest = archive.submit()
    assert archive.jobs() == [*going_on, new, newest] and old not in archive.folders()
    assert archive.photos() == 5


def test_a_photo_stays_as_long_as_a_job_uses_it(archive, monkeypatch):
    monkeypatch.setattr(limits, "ENDED_JOBS", 1)
    photo = archive.photo()
    archive.keep(photo=photo)
    archive.keep(photo=photo)
    archive.make_room()
    assert archive.photos() == 1
    archive.keep()
    archive.make_room()
    assert archive.photos() == 1 and not (archive.data / "assets" / photo).exists()


def test_the_photo_and_the_fit_of_the_job_that_makes_others_go_stay(archive, monkeypatch):
    monkeypatch.setattr(limits, "ENDED_JOBS", 2)
    photo = archive.photo()
    fit, old, *_ = archive.keep("register"), archive.keep(photo=photo), archive.keep(), archive.keep()
    build = archive.submit(photo=photo, fit=fit)
    assert fit in archive.jobs() and build in archive.jobs() and old not in archive.jobs()
    assert archive.assets.path("ada", photo).exists()


def test_a_fit_stays_for_the_build_that_waits_and_goes_when_that_has_ended(archive, monkeypatch):
    monkeypatch.setattr(limits, "ENDED_JOBS", 1)
    fit = archive.keep("register")
    build = archive.submit(fit=fit)
    for _ in range(3):
        archive.keep()
    archive.submit()
    assert fit in archive.jobs()
    archive.journal.record(JobInfo(build, "build", "", "finished", 0.0, last_event=1))
    archive.submit()
    assert fit not in archive.jobs()


def test_where_no_room_can_be_made_the_job_is_refused_and_not_kept_all_the_same(archive, monkeypatch):
    """A render that was refused so waited for good: it was in the journal, and nobody drew it."""
    monkeypatch.setattr(limits, "ENDED_JOBS", 1)
    old = [archive.keep(), archive.keep()]

    def full(jobs):
        raise WireError("disk_full", "Cannot write the journal.", retryable=True)

    with monkeypatch.context() as patch:
        patch.setattr(archive.journal, "forget", full)
        with pytest.raises(WireError, match="Cannot write"):
            archive.submit()
    assert archive.jobs() == old
    assert archive.submit() in archive.jobs()


@pytest.mark.parametrize("state", ["cancelled", "failed", "interrupted"])
def test_a_build_whose_fit_is_gone_is_not_resumed(archive, state):
    fit = archive.keep("register")
    build = archive.keep(state=state, fit=fit, retryable=True)
    archive.ended.forget([archive.journal.job(fit)], archive.journal.jobs_of("ada"))
    with pytest.raises(WireError, match="Register the photo") as told:
        archive.desk.resume(a_session("ada"), Envelope(JobResume(build)))
    assert told.value.code == "unknown_job" and archive.journal.job(build).info.state == state


def test_a_build_whose_avatar_did_not_reach_its_place_is_neither_forgotten_nor_swept(archive, monkeypatch):
    monkeypatch.setattr(limits, "ENDED_JOBS", 1)
    build = archive.keep(state="failed", retryable=True)
    (archive.data / "jobs" / build / "result").mkdir()
    (archive.data / "jobs" / build / "result" / "avatar.json").touch()
    for _ in range(3):
        archive.keep()
    archive.submit()
    assert archive.jobs()[0] == build and len(archive.jobs()) == 3
    (archive.data / "journal.sqlite").rename(archive.data / "another.sqlite")
    archive.restart()
    assert archive.folders() == {build}


def test_a_folder_that_a_crash_left_without_a_job_goes_at_the_next_start(archive):
    kept = archive.keep()
    (archive.data / "jobs" / new_id()).mkdir()
    archive.restart()
    assert archive.folders() == {kept}


@pytest.mark.parametrize("room", ["jobs", "avatars"])
@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db"])
def test_what_a_file_manager_left_keeps_no_server_from_starting(archive, room, name):
    (archive.data / room / name).touch()
    archive.library.recover()
    archive.restart()
    assert (archive.data / room / name).exists()
