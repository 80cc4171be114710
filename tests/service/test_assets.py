"""Uploads as the service keeps them: how many, for how long, and over restarts."""

import errno
import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest

from backend.service.assets import Assets
from backend.service.journal import Job, Journal
from backend.service.kept import Kept
from backend.service.orders import packed
from backend.service.session import Session
from shared.wire import calls, limits
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import AssetPut, JobInfo, JobSubmit
from tests.service.at_once import AtOnce, InTime


def photo(number):
    """Eight bytes."""
    return f"{number:08d}".encode()


def name_of(data):
    return hashlib.sha256(data).hexdigest()


class Store:
    """The assets of a data folder, and how clients fill them."""

    def __init__(self, data):
        self.data, self.age, self.background, self.answers = data, 10_000, AtOnce(), []
        self.restart()

    def restart(self):
        self.journal = Journal(self.data / "journal.sqlite")
        kept = Kept(self.data, self.journal, AtOnce(), lambda owner: True)
        self.assets = Assets(self.data, self.journal, kept, self.background, self.answer, self.answer)
        self.assets.sweep()

    def answer(self, session, envelope, outcome, *buffers):
        """What is answered later, well or not."""
        self.answers.append(outcome)

    def put(self, data, first=0, last=8, owner="ada", name=""):
        """A part of an upload; later ones are younger. Returns how far it is now, None where that is told later."""
        chunk = {"data": np.frombuffer(data[first:last], "u1")} if last > first else {}
        put = AssetPut(name or name_of(data), len(data), first)
        answer = self.assets.put(Session("s", owner, True, b"", 0.0), Envelope(put, chunk))
        self.age -= 1
        for path in self.data.glob(f"assets/*{name_of(data)}*"):
            os.utime(path, times=(time.time() - self.age,) * 2)
        if answer is None and type(self.background) is AtOnce:
            answer = self.answers.pop()
        return answer and answer.offset

    def held(self, data, owner="ada"):
        """How much of an upload is there."""
        return self.put(data, 0, 0, owner)

    def use(self, data, owner="ada"):
        """A job for a photo."""
        info = JobInfo(calls.new_id(), "build", "", "finished", 0.0, last_event=1)
        self.journal.add(Job(info, owner, "", packed(JobSubmit(info.job, "build", name_of(data)), {})))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.mark.limits("UPLOADS")
def test_more_uploads_at_once_than_digests_are_kept_all_arrive_whole(store):
    photos = [(photo(number), f"owner {number % 2}") for number in range(limits.UPLOADS + 1)]
    for first, last in ((0, 4), (4, 8)):  # the first one's digest is gone when its second half comes
        for data, owner in photos:
            assert store.put(data, first, last, owner) == last


def test_however_many_uploads_are_asked_about_no_file_is_read(store, monkeypatch):
    """To hash 64 MiB for each such question kept the server from everybody else for seconds."""
    for number in range(limits.SPARE_UPLOADS):
        store.put(photo(number), 0, 4)
    store.restart()
    monkeypatch.setattr(Path, "open", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    assert [store.held(photo(number)) for number in range(limits.SPARE_UPLOADS + 9)] == [4] * limits.SPARE_UPLOADS + [
        0
    ] * 9


@pytest.mark.limits("SPARE_UPLOADS")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("begun", [slice(0, 0), slice(0, 4), slice(3, 60)])
def test_of_the_uploads_that_no_job_uses_the_newest_stay(store, begun, restarted):
    spare = [photo(number) for number in range(limits.SPARE_UPLOADS)]
    used, anothers = photo(1000), photo(0)
    store.put(used)
    store.use(used)
    store.put(anothers, owner="bob")
    for data in spare:
        store.put(data, 0, 4 if data in spare[begun] else 8)
    if restarted:
        store.restart()
    held = [store.held(data) for data in spare]
    assert held == [4 if data in spare[begun] else 8 for data in spare]
    store.put(photo(1001), 0, 1)
    assert [store.held(data) for data in spare] == [0, *held[1:]]
    assert store.held(used) == store.held(anothers, "bob") == 8
    assert store.put(photo(1001), 1, 8) == 8  # and going on with one takes nothing from the others
    assert [store.held(data) for data in spare] == [0, *held[1:]]


def test_an_upload_under_way_outlives_older_ones_and_one_that_made_room_begins_anew(store):
    under_way, left = photo(1000), photo(1001)
    store.put(under_way, 0, 1)
    store.put(left, 0, 2)
    for number in range(limits.SPARE_UPLOADS - 2):
        store.put(photo(number))
    store.put(under_way, 1, 2)
    store.put(photo(1002))
    assert store.held(under_way) == 2
    assert store.put(left, 2, 8) == 0
    assert store.put(left) == 8 and (store.data / "assets" / name_of(left)).read_bytes() == left


def test_an_upload_that_made_room_is_not_taken_for_a_job(store):
    for number in range(limits.SPARE_UPLOADS + 1):
        store.put(photo(number))
    store.assets.path("ada", name_of(photo(1)))
    with pytest.raises(WireError, match="Upload it first"):
        store.assets.path("ada", name_of(photo(0)))
    assert len(list((store.data / "assets").iterdir())) == limits.SPARE_UPLOADS


def test_a_photo_that_a_crash_left_without_an_owner_goes_at_the_next_start(store):
    store.put(photo(0))
    orphan = store.data / "assets" / name_of(photo(1))
    orphan.write_bytes(photo(1))
    store.restart()
    assert not orphan.exists() and store.held(photo(0)) == 8


def test_a_client_that_uploads_without_end_fills_no_disk(server):
    with server.connect() as client:
        names = [calls.upload(client, photo(number)) for number in range(limits.SPARE_UPLOADS + 1)]
    kept = {path.name for path in (server.data / "assets").iterdir()}
    assert len(kept) == limits.SPARE_UPLOADS and kept < set(names) and names[-1] in kept


@pytest.fixture
def slow(store):
    """What is done beside the loop waits for the test."""
    store.background = InTime()
    store.restart()
    return store


@pytest.mark.parametrize("restarted", [False, True])
def test_an_upload_is_hashed_and_synced_beside_the_loop_and_answered_then(slow, monkeypatch, restarted):
    """To hash 64 MiB of which a restart had made the digest unknown took 80 ms of the loop, and more to sync them."""
    slow.put(photo(0), 0, 4)
    if restarted:
        slow.restart()
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", None)
        patch.setattr(Path, "read_bytes", None)
        assert slow.put(photo(0), 4, 8) is slow.put(photo(0)) is slow.held(photo(0)) is None
    assert not slow.answers
    slow.background.do()
    assert [answer.offset for answer in slow.answers] == [8, 8, 8] and slow.held(photo(0)) == 8
    assert slow.assets.path("ada", name_of(photo(0))).read_bytes() == photo(0)


def test_what_is_being_checked_is_not_written_to(slow):
    slow.put(photo(0))
    longer = photo(0) + b"more"
    slow.put(longer, 8, 12, name=name_of(photo(0)))
    slow.background.do()
    assert slow.assets.path("ada", name_of(photo(0))).read_bytes() == photo(0)


def test_whoever_asks_about_an_upload_with_another_hash_is_told_and_it_begins_anew(slow):
    for _ in range(2):
        slow.put(photo(0), name=name_of(photo(1)))
    slow.background.do()
    assert [answer.code for answer in slow.answers] == ["wrong_hash"] * 2
    assert slow.held(photo(1)) == 0 and not list((slow.data / "assets").iterdir())


def test_an_upload_that_makes_room_while_it_is_checked_is_not_taken_for_the_next_try(slow):
    slow.put(photo(0))
    for number in range(1, limits.SPARE_UPLOADS + 1):
        slow.put(photo(number), 0, 4)
    slow.put(photo(0), 0, 4)
    slow.background.do()
    assert [(answer.code, answer.retryable) for answer in slow.answers] == [("unknown_file", True)]
    assert slow.held(photo(0)) == 4


def test_15_an_upload_that_cannot_be_synced_is_refused_and_checked_again(slow, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    slow.put(photo(0))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        slow.background.do()
    assert [(answer.code, answer.retryable) for answer in slow.answers] == [("disk_full", True)]
    slow.held(photo(0))
    slow.background.do()
    assert slow.answers[1].offset == 8
