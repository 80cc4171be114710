"""Workers and drives that hang, on a real server whose limits are shorter. Numbers are rows of the fault table."""

import json
import os
import shutil
import signal
import time
from types import SimpleNamespace

import pytest

from backend.service.avatars import AvatarDesk
from backend.service.importing import copied
from backend.service.session import Session
from shared.wire import calls, limits
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import AvatarClose, AvatarImport, AvatarList, AvatarOpen, FilesList
from tests.service.clock import FakeClock
from tests.service.serving import motion, render_live, serving, until


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("data"), LIMITS=json.dumps({"OPEN_S": 2})) as running:
        yield running


def make_it_hang(folder):
    about = json.loads((folder / "avatar.json").read_text())
    (folder / "avatar.json").write_text(json.dumps({**about, "hangs": True}))


def test_19_a_worker_that_hangs_over_an_import_is_replaced_and_the_client_told(impatient, folder):
    good = shutil.copytree(folder, folder.with_name("good"))
    make_it_hang(folder)
    with impatient.connect() as client:
        with pytest.raises(WireError, match=r"did not open within .*Try again") as told:
            client.call(AvatarImport(calls.new_id(), str(folder)))
        assert told.value.code == "worker_died"
        assert not list((impatient.data / "avatars").glob(".*"))
        client.call(AvatarImport(calls.new_id(), str(good)), timeout=limits.IMPORT_S)


def test_19_a_worker_that_hangs_over_an_avatar_is_replaced(impatient, folder):
    with impatient.connect() as client:
        good, bad = calls.new_id(), calls.new_id()
        for avatar in (good, bad):
            client.call(AvatarImport(avatar, str(folder)))
        make_it_hang(impatient.data / "avatars" / bad)
        client.call(AvatarClose(bad))
        client.call(AvatarOpen(bad))
        with pytest.raises(WireError, match="worker was lost"):
            calls.live(client, render_live(good), motion())
        assert calls.live(client, render_live(good), motion(x=3), timeout=30)[0][5, 5, 0] == 3
        assert {avatar.avatar for avatar in client.call(AvatarList()).message.avatars} >= {good, bad}


@pytest.fixture
def far(folder, tmp_path):
    """An avatar folder on a drive that hangs."""
    drive = tmp_path / "drive"
    drive.mkdir()
    os.mkfifo(drive / "gate")
    return shutil.copytree(folder, drive / "far")


def test_a_drive_that_hangs_stops_imports_alone_and_these_until_it_answers(impatient, folder, far):
    with impatient.connect() as client:
        avatar = client.call(AvatarImport(calls.new_id(), str(folder))).message.info.avatar
        hanging = client.send(AvatarImport(calls.new_id(), str(far)), timeout=limits.IMPORT_S)
        assert client.call(FilesList(avatar)).message.files
        assert calls.live(client, render_live(avatar), motion(x=3))[0][5, 5, 0] == 3
        assert (hanging.exception().code, hanging.exception().retryable) == ("timeout", True)
        with pytest.raises(WireError, match=r"still reads .*far.*then try again") as told:
            client.call(AvatarImport(calls.new_id(), str(folder)))
        assert (told.value.code, told.value.retryable) == ("busy", True)
        assert client.call(FilesList(avatar)).message.files
        (far.parent / "gate").write_bytes(b"")
        until(lambda: imports(client, folder))
        assert not list((impatient.data / "avatars").glob(".*"))


def imports(client, folder):
    """Whether the server is ready for that."""
    try:
        return client.call(AvatarImport(calls.new_id(), str(folder)), timeout=limits.IMPORT_S)
    except WireError as error:
        assert error.code == "busy"
        return None


def test_a_server_ends_while_a_drive_hangs(tmp_path, far):
    with serving(tmp_path / "data") as server:
        with server.connect() as client:
            client.post(AvatarImport(calls.new_id(), str(far)))
            client.call(AvatarList())
        began = time.monotonic()
        assert server.kill(signal.SIGTERM) == 0
        assert time.monotonic() - began < limits.STOP_S


class Desk:
    """Nobody has a worker, and copying ends when the test says so."""

    def __init__(self, data, library=None):
        self.clock, self.refused, self.finish = FakeClock(), [], None
        pool = SimpleNamespace(ready=lambda role: [], trouble=lambda role: "", workers=lambda role: [])
        library = library or SimpleNamespace(folder=data.joinpath, check_room=lambda owner: None, coming={})
        journal = SimpleNamespace(avatar=lambda avatar: None, job=lambda job: None)
        background = SimpleNamespace(run=self.run)
        sessions = SimpleNamespace(unused_for=lambda: 0.0)
        self.desk = AvatarDesk(journal, library, sessions, pool, background, None, self.refuse, self.clock)

    def run(self, work, then, failed, lane):
        def finish():
            try:
                outcome = work()
            except WireError as error:
                failed(error)
            else:
                then(outcome)

        self.finish = finish

    def refuse(self, session, envelope, error):
        self.refused.append(error)


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.limits("OPEN_S")
def test_19_an_import_that_takes_too_long_is_refused_and_leaves_nothing(tmp_path, folder, copied):
    hall = Desk(tmp_path / "data")
    os.mkdir(tmp_path / "data")
    hall.desk.adopt(Session("s", "ada", True, b"", 0.0), Envelope(AvatarImport(calls.new_id(), str(folder))))
    if copied:
        hall.clock.pass_(limits.OPEN_S)
        hall.finish()  # and then no worker starts
    hall.clock.pass_(limits.OPEN_S)
    hall.desk.tick()
    assert not hall.refused
    hall.clock.pass_(0.1)
    hall.desk.tick()
    (error,) = hall.refused
    assert error.code == "timeout" and ("Starting a worker" if copied else "Copying") in error.message
    again = Envelope(AvatarImport(calls.new_id(), "/elsewhere"))
    if not copied:
        with pytest.raises(WireError, match="slow, or hangs"):
            hall.desk.adopt(Session("s", "ada", True, b"", 0.0), again)
        hall.finish()
    hall.desk.adopt(Session("s", "ada", True, b"", 0.0), again)
    assert not list((tmp_path / "data").iterdir()) and len(hall.refused) == 1


def test_what_nobody_waits_for_any_more_is_not_copied(tmp_path, folder, monkeypatch):
    hall, read = Desk(tmp_path / "data"), []
    os.mkdir(tmp_path / "data")
    monkeypatch.setattr("backend.service.importing._plain_files", lambda source: read.append(source) or [])
    hall.desk.adopt(Session("s", "ada", True, b"", 0.0), Envelope(AvatarImport(calls.new_id(), str(folder))))
    hall.clock.pass_(limits.OPEN_S + 0.1)  # for those before it in the queue
    hall.desk.tick()
    hall.finish()
    assert not read and not hall.desk._late


def test_a_copy_ends_before_the_next_file_when_nobody_waits_for_it_any_more(tmp_path, folder):
    answers = iter([True, True, False])
    with pytest.raises(WireError) as told:
        copied(folder, tmp_path / "copy", calls.new_id(), "Ada", lambda: next(answers))
    assert told.value.code == "timeout" and len(list((tmp_path / "copy").iterdir())) == 1
