"""How many avatars one key may keep: one more is refused before it is begun, and none is ever deleted for it."""

import pytest

from backend.service.journal import OwnedAvatar
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import AvatarImport, AvatarInfo, JobResume, JobSubmit
from tests.service.test_ended import Archive, a_session
from tests.service.test_hanging import Desk


class Shelf(Archive):
    """A data folder with avatars."""

    def avatar(self, name="Ada", owner="ada"):
        info = AvatarInfo(new_id(), name, created=1000.0 + next(self.count))
        (self.data / "avatars" / info.avatar).mkdir()
        self.journal.put_avatar(OwnedAvatar(info, owner), whole=True)
        return info.avatar

    def resume(self, job):
        return self.desk.resume(a_session("ada"), Envelope(JobResume(job))).info.state


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(limits, "KEPT_AVATARS", 3)


@pytest.mark.limits("KEPT_AVATARS")
@pytest.mark.parametrize("restarted", [False, True])
def test_one_more_build_than_avatars_may_be_kept_is_refused_with_what_to_delete(shelf, restarted):
    first, second = shelf.avatar("First"), shelf.avatar("Second")
    for owner in ("bob", "bob", "bob"):
        shelf.avatar(owner=owner)
    shelf.submit()
    if restarted:
        shelf.restart()
    with pytest.raises(WireError, match=rf"'First' \({first[:8]}\), 'Second' \({second[:8]}\)\.") as told:
        shelf.submit()
    assert (told.value.code, told.value.retryable) == ("busy", True)
    shelf.submit(task="register")
    shelf.library.delete("ada", first)
    shelf.submit()
    assert [info.avatar for info in shelf.library.list("ada")] == [second]


def test_a_build_that_was_accepted_keeps_its_place_and_one_that_ended_asks_again(shelf):
    for _ in range(2):
        shelf.avatar()
    interrupted, failed = (shelf.keep(state=state, retryable=True) for state in ("interrupted", "failed"))
    with pytest.raises(WireError, match="as many as one key may keep"):
        shelf.resume(failed)
    assert shelf.resume(interrupted) == "queued"


def test_a_repeated_submit_is_answered_however_many_avatars_there_are(shelf):
    message = JobSubmit(new_id(), "build", shelf.photo())
    asked = [shelf.desk.submit(a_session("ada"), Envelope(message))]
    for _ in range(3):
        shelf.avatar()
    asked.append(shelf.desk.submit(a_session("ada"), Envelope(message)))
    assert asked[0] == asked[1]


def test_an_import_counts_while_it_is_made_and_not_when_it_failed(shelf, folder, tmp_path):
    for _ in range(2):
        shelf.avatar()
    hall = Desk(tmp_path / "data", shelf.library)

    def adopt(source):
        hall.desk.adopt(a_session("ada"), Envelope(AvatarImport(new_id(), str(source))))

    adopt(folder)
    for refused in (lambda: adopt(folder), shelf.submit):
        with pytest.raises(WireError, match="as many as one key may keep"):
            refused()
    hall.clock.pass_(limits.OPEN_S + 1)
    hall.desk.tick()
    shelf.submit()
