"""Workers that hang over an avatar, on a real server whose limits are shorter. Numbers are rows of the fault table."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest

from backend.service.avatars import AvatarDesk
from backend.service.sessions import Session
from shared.wire import calls, limits
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import AvatarImport, AvatarList, AvatarOpen
from tests.service.clock import FakeClock
from tests.service.serving import motion, render_live, serving


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
        client.call(AvatarOpen(bad))
        with pytest.raises(WireError, match="worker was lost"):
            calls.live(client, render_live(good), motion())
        assert calls.live(client, render_live(good), motion(x=3), timeout=30)[0][5, 5, 0] == 3
        assert {avatar.avatar for avatar in client.call(AvatarList()).message.avatars} >= {good, bad}


class Desk:
    """Nobody has a worker, and copying ends when the test says so."""

    def __init__(self, data):
        self.clock, self.refused, self.finish = FakeClock(), [], None
        pool = SimpleNamespace(ready=lambda role: [], trouble=lambda role: "", workers=lambda role: [])
        library = SimpleNamespace(folder=lambda name: data / name)
        journal = SimpleNamespace(avatar=lambda avatar: None, job=lambda job: None)
        background = SimpleNamespace(run=self.run)
        sessions = SimpleNamespace(unused_for=lambda: 0.0)
        self.desk = AvatarDesk(journal, library, sessions, pool, background, None, self.refuse, self.clock)

    def run(self, work, then, failed):
        self.finish = lambda: then(work())

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
    if not copied:
        hall.finish()
    assert not list((tmp_path / "data").iterdir()) and len(hall.refused) == 1
