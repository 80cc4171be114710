"""Who may connect while many are connected: keys share the places, and none shuts another out."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.service.journal import Journal
from backend.service.post import Parcel, Sent
from backend.service.same_host import SameHost
from backend.service.sessions import Sessions
from backend.service.status import StatusDesk
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.codec import Envelope, decode, encode
from shared.wire.errors import WireError
from shared.wire.mapped import FEATURE as MAPPED
from shared.wire.messages import Hello
from tests.service.clock import FakeClock

LOCAL = "local"
FULL = limits.PLACES // limits.CLIENTS


class Hall:
    """Sessions of any key under a clock of our own."""

    def __init__(self, data):
        self.clock = FakeClock()
        post = SimpleNamespace(send=lambda *_: Sent.YES)
        self.sessions = Sessions(post, Keys(), "", SameHost(data), self.clock)

    def come(self, owner, count=1):
        """So many clients with this key; the last one's session."""
        for _ in range(count):
            session = new_id()
            found, _ = self.sessions.hello(Parcel(session.encode(), owner, []), Hello(session))
        return found

    def refused(self, owner):
        with pytest.raises(WireError) as told:
            self.come(owner)
        assert (told.value.code, told.value.retryable) == ("busy", True)
        return told.value.message

    def is_there(self, session):
        return self.sessions.get(session.id) is session


class Keys:
    def __contains__(self, owner):
        return True

    def is_local(self, owner):
        return owner == LOCAL


@pytest.fixture
def hall(tmp_path):
    return Hall(tmp_path)


@pytest.mark.limits("CLIENTS")
@pytest.mark.parametrize("owner", [LOCAL, "ada"])
def test_one_key_has_so_many_places_and_what_it_takes_is_nobody_elses(hall, owner):
    hall.come(owner, limits.CLIENTS)
    assert "with this key already. Close" in hall.refused(owner)
    for other in {LOCAL, "ada", "bob"} - {owner}:
        hall.come(other, limits.CLIENTS)


@pytest.mark.limits("PLACES")
def test_all_keys_together_have_so_many_places_and_the_computers_own_key_has_its_own(hall):
    for number in range(FULL):
        last = hall.come(f"key {number}", limits.CLIENTS)
    assert "as many as this server takes. Try again" in hall.refused("one more key")
    hall.come(LOCAL, limits.CLIENTS)
    hall.sessions.free(last)
    hall.come("one more key")
    hall.refused("one more key")


def test_a_session_that_comes_back_needs_no_other_place(hall):
    last = hall.come("ada", limits.CLIENTS)
    hall.sessions.hello(Parcel(b"elsewhere", "ada", []), Hello(last.id))
    assert hall.is_there(last) and len(hall.sessions) == limits.CLIENTS


def test_where_a_key_has_no_place_left_its_own_vanished_session_makes_room_and_no_other_does(hall):
    others = hall.come("bob")
    vanished = hall.come("ada")
    hall.clock.pass_(1.0)
    hall.come("ada", limits.CLIENTS - 1)
    hall.clock.pass_(limits.VANISHED_LIVE_S - 1.0)
    hall.refused("ada")
    hall.clock.pass_(0.1)
    hall.come("ada")
    assert not hall.is_there(vanished) and hall.is_there(others)
    hall.refused("ada")


def test_where_no_place_is_left_a_vanished_session_of_the_same_key_makes_room_first_and_then_anyones(hall):
    for number in range(FULL - 1):
        hall.come(f"key {number}", limits.CLIENTS)
    longest = hall.come("bob", limits.CLIENTS - 1)
    hall.clock.pass_(0.1)
    own = hall.come("ada")
    hall.clock.pass_(limits.VANISHED_LIVE_S + 0.1)
    longest.heard -= 1.0
    hall.come("ada")
    assert not hall.is_there(own) and hall.is_there(longest)
    hall.come("ada")
    assert not hall.is_there(longest)


def test_a_status_tells_of_as_many_as_its_message_holds(hall, tmp_path):
    for owner in ("ada", "bob"):
        for _ in range(limits.CLIENTS):
            session = hall.come(owner)
            session.frames, session.features = b"frames", (MAPPED,)
    pool = SimpleNamespace(workers=lambda: [], trouble=lambda role: "")
    status = StatusDesk(tmp_path, Journal(Path(":memory:")), hall.sessions, pool, None).status()
    assert (status.clients, status.mapped) == (limits.CLIENTS, limits.CLIENTS)
    assert decode(encode(Envelope(status))).message == status
