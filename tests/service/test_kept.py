"""How many bytes one key may keep on the disk: what counts, what is refused, what the refusal says, over restarts."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from backend.service import keys
from backend.service.journal import OwnedAvatar
from backend.service.kept import bytes_in
from shared.wire import limits
from shared.wire.calls import connect, new_id
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import AssetPut, AvatarDelete, AvatarInfo, JobForget, JobResume
from tests.service.serving import serving, submit, until_state
from tests.service.test_ended import Archive, a_session


class Shelf(Archive):
    """A data folder whose things have sizes. A job here has no photo but the one that it is given."""

    def job(self, size, state="finished", owner="ada"):
        """One that left so many bytes."""
        job = self.keep("register", state, owner, photo="0" * 64, retryable=True)
        (self.data / "jobs" / job / "result").mkdir()
        (self.data / "jobs" / job / "result" / "fit").write_bytes(bytes(size))
        self.kept.measure(job)
        return job

    def avatar(self, size, owner="ada"):
        info = AvatarInfo(new_id(), "Ada", created=1000.0, size=size)
        (self.data / "avatars" / info.avatar).mkdir()
        self.journal.put_avatar(OwnedAvatar(info, owner), whole=True)
        return info.avatar

    def upload(self, size, owner="ada", of=0):
        """A photo of so many bytes, or the beginning of a larger one; its name."""
        data = np.full(size, next(self.count), "u1")
        name = hashlib.sha256(data.tobytes()).hexdigest()
        self.assets.put(a_session(owner), Envelope(AssetPut(name, of or size), {"data": data}))
        return name

    def resume(self, job):
        return self.desk.resume(a_session("ada"), Envelope(JobResume(job))).info.state


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """One key holds exactly as much as it may, and another more than that."""
    monkeypatch.setattr(limits, "KEPT_BYTES", 1000)
    shelf = Shelf(tmp_path)
    shelf.avatar(5000, owner="bob")
    shelf.job(5000, owner="bob")
    return shelf


@pytest.mark.limits("KEPT_BYTES")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("more", [0, 1])
def test_at_the_limit_a_job_goes_on_and_with_one_byte_more_none_does(shelf, more, restarted):
    photo, avatar, job = shelf.upload(100), shelf.avatar(600 + more), shelf.job(300, "interrupted")
    if restarted:
        shelf.restart()
    steps = (lambda: shelf.submit(photo=photo), lambda: shelf.resume(job))
    if not more:
        assert all(step() for step in steps)
        return
    for step in steps:
        with pytest.raises(WireError, match="Delete avatars or forget jobs") as told:
            step()
        assert (told.value.code, told.value.retryable) == ("busy", True)
        assert f"The largest are avatar {avatar[:8]} (0 MB), job {job[:8]}" in told.value.message
    shelf.library.delete("ada", avatar)
    assert all(step() for step in steps)


@pytest.mark.parametrize("more", [0, 1])
def test_an_upload_is_refused_before_its_first_byte_where_not_all_of_it_has_room(shelf, more):
    shelf.upload(100)
    shelf.upload(50, of=200)
    shelf.job(500 + more)
    if not more:
        shelf.upload(10, of=350)
        return
    with pytest.raises(WireError, match="One key may keep"):
        shelf.upload(10, of=350)
    assert len(list((shelf.data / "assets").iterdir())) == 2


def test_a_forgotten_job_makes_room_even_if_it_was_still_being_measured(shelf):
    shelf.avatar(900)
    job = shelf.job(200)
    with pytest.raises(WireError):
        shelf.kept.check("ada")
    shelf.desk.forget(a_session("ada"), Envelope(JobForget(job)))
    shelf.kept.check("ada")
    shelf.kept.measure(job)
    assert job not in shelf.kept._folders


def test_what_is_asked_for_each_message_reads_no_folder(shelf, monkeypatch):
    shelf.upload(100)
    shelf.job(200)
    monkeypatch.setattr("os.walk", None)
    monkeypatch.setattr("os.scandir", None)
    monkeypatch.setattr("os.listdir", None)
    shelf.kept.check("ada")


def test_this_computers_own_key_has_no_limit_but_the_disk(shelf):
    shelf.avatar(5000, owner="local")
    shelf.job(5000, owner="local")
    shelf.submit("local", photo=shelf.upload(5000, "local"))


def test_what_goes_while_it_is_measured_does_not_count(tmp_path, monkeypatch):
    (tmp_path / "there").write_bytes(bytes(10))
    monkeypatch.setattr("os.walk", lambda folder: [(folder, [], ["there", "gone"])])
    assert bytes_in(tmp_path) == 10


def test_a_key_that_fills_the_disk_is_told_and_others_go_on(tmp_path):
    with serving(tmp_path, LIMITS=json.dumps({"KEPT_BYTES": 8000})) as server:
        pair = keys.new_pair()
        keys.allow(server.data, "remote", pair.public)
        there = replace(server.connection(), public_key=pair.public, secret_key=pair.secret)
        with server.connect() as own, connect(there, "remote") as remote:
            first, second = submit(remote, steps=3, size=300), submit(remote)  # the second waits for the first
            until_state(remote, first, "finished")
            failed = until_state(remote, second, "failed")
            assert failed.error_code == "busy" and failed.retryable and first[:8] in failed.error
            with pytest.raises(WireError, match=f"avatar {first[:8]}"):
                submit(remote)
            for _ in range(2):
                until_state(own, submit(own), "finished")
            remote.call(AvatarDelete(first))
            until_state(remote, submit(remote), "finished")
