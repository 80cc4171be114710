"""What render workers are told to open and to close, however often clients ask: frames of others are drawn between."""

from types import SimpleNamespace

import pytest

from backend.service.avatars import AvatarDesk
from backend.service.session import Session
from backend.service.work import WorkClose, WorkMemory, WorkOpen, WorkRefused
from shared.wire.calls import new_id
from shared.wire.codec import Envelope
from shared.wire.messages import AvatarClose, AvatarInfo, AvatarOpen
from tests.service.clock import FakeClock


class Workshop:
    """One render worker that opens when the test says so."""

    def __init__(self, data):
        self.sent, self.ready = [], True
        self.worker = SimpleNamespace(memory=WorkMemory(0, 0))
        pool = SimpleNamespace(
            ready=lambda role: [self.worker] if self.ready else [],
            workers=lambda role: [self.worker],
            send=lambda worker, message: self.sent.append(message),
        )
        library = SimpleNamespace(
            folder=data.joinpath, owned=lambda owner, avatar: SimpleNamespace(info=AvatarInfo(avatar, "Ada", 0.0))
        )
        sessions = SimpleNamespace(unused_for=lambda: 0.0)
        self.desk = AvatarDesk(None, library, sessions, pool, None, None, None, FakeClock())

    def ask(self, message):
        handler = self.desk.open if isinstance(message, AvatarOpen) else self.desk.close
        return handler(Session("s", "ada", True, b"", 0.0), Envelope(message)).info

    def done(self, *avatars):
        """The worker tells what it has open now."""
        self.worker.memory = WorkMemory(0, 0, avatars)
        self.desk.memory_changed(self.worker)

    def told(self):
        sent, self.sent = self.sent, []
        return [(type(message), message.avatar) for message in sent]


@pytest.fixture
def shop(tmp_path):
    return Workshop(tmp_path)


def test_a_worker_opens_one_avatar_after_the_other_in_the_order_of_the_questions(shop):
    first, second, third = (new_id() for _ in range(3))
    for avatar in (first, second, first, third, second):
        shop.ask(AvatarOpen(avatar))
    assert shop.told() == [(WorkOpen, first)]
    shop.desk.tick()
    assert not shop.told()
    shop.done(first)
    assert shop.told() == [(WorkOpen, second)]
    shop.desk.refused(WorkRefused(second, "bad_avatar", "It is none."))
    shop.desk.tick()
    assert shop.told() == [(WorkOpen, third)]
    shop.done(first, third)
    assert not shop.told()


def test_what_is_open_is_not_opened_again_and_what_was_closed_meanwhile_not_at_all(shop):
    first, second = new_id(), new_id()
    shop.done(first)
    assert shop.ask(AvatarOpen(first)).open and not shop.told()
    shop.ready = False
    shop.ask(AvatarOpen(second))
    shop.ask(AvatarClose(second))
    shop.ready = True
    shop.desk.tick()
    assert not shop.told()


def test_a_worker_is_told_once_to_close_what_it_has_open(shop):
    first, second = new_id(), new_id()
    shop.done(first, second)
    for _ in range(100):
        assert not shop.ask(AvatarClose(first)).open
    assert shop.told() == [(WorkClose, first)] and shop.worker.memory.avatars == (second,)
    shop.done(second)
    shop.ask(AvatarOpen(first))
    assert shop.told() == [(WorkOpen, first)]


def test_what_is_closed_while_it_opens_is_closed_once_it_is_open(shop):
    first, second = new_id(), new_id()
    shop.ask(AvatarOpen(first))
    shop.ask(AvatarOpen(second))
    for _ in range(2):
        assert not shop.ask(AvatarClose(first)).open
    assert shop.told() == [(WorkOpen, first)]
    shop.done(first)
    assert shop.told() == [(WorkClose, first), (WorkOpen, second)] and first not in shop.worker.memory.avatars
    shop.done(second)
    assert not shop.told()


def test_what_is_wanted_again_before_it_is_open_stays_open(shop):
    avatar = new_id()
    shop.ask(AvatarOpen(avatar))
    shop.ask(AvatarClose(avatar))
    shop.ask(AvatarOpen(avatar))
    shop.done(avatar)
    assert shop.told() == [(WorkOpen, avatar)] and shop.worker.memory.avatars == (avatar,)


def test_what_was_closed_and_could_not_be_opened_is_opened_when_it_is_asked_for_again(shop):
    avatar = new_id()
    shop.ask(AvatarOpen(avatar))
    shop.ask(AvatarClose(avatar))
    shop.desk.refused(WorkRefused(avatar, "bad_avatar", "It is none."))
    shop.ask(AvatarOpen(avatar))
    shop.done(avatar)
    assert shop.told() == [(WorkOpen, avatar)] * 2
