"""A slot is never drawn into while somebody may read it, in whatever order readers end."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from backend.service.budget import Budget
from backend.service.slots import Loan, Slots, sweep
from shared.wire import limits
from shared.wire.errors import WireError
from shared.wire.mapped import Maps


class Readers(RuleBasedStateMachine):
    """A server draws frame after frame, a client copies them out of the file, in any order, now or later or never."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "ring-key").write_bytes(b"")
        self.maps = Maps(self.folder / "ring-key")
        self.slots, self.drawn, self.sent, self.number, self.old = (
            Slots(self.folder, Budget().share("ada")),
            [],
            {},
            0,
            [],
        )

    @rule(size=st.integers(1, 20_000))
    def draw(self, size):
        slot = self.slots.take(size)
        if slot is None:
            assert self.drawn or self.sent or self.old, "a slot must be free when nobody has one"
            return
        self.number += 1
        slot.bytes()[:size] = bytes([self.number % 256]) * size
        self.drawn.append((slot, size, self.number))

    @precondition(lambda self: self.drawn)
    @rule(data=st.data())
    def send(self, data):
        slot, size, number = self.drawn.pop(data.draw(st.integers(0, len(self.drawn) - 1)))
        loan = Loan()
        slot.lend(loan)
        slot.give_back()
        self.sent[number] = (slot.place(0), size, loan)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def copy(self, data):
        number = data.draw(st.sampled_from(sorted(self.sent)))
        place, size, loan = self.sent.pop(number)
        assert self.maps.read(place, size) == bytes([number % 256]) * size
        loan.done = True

    @precondition(lambda self: self.drawn)
    @rule()
    def drop(self):
        self.drawn.pop()[0].give_back()

    @rule()
    def the_client_comes_back(self):
        """Under a new connection: what the old one held is lost to it."""
        self.slots.retire()
        for _, _, loan in self.sent.values():
            loan.done = True
        self.sent.clear()
        self.old, self.drawn = self.old + self.drawn, []

    @precondition(lambda self: self.old)
    @rule()
    def what_was_drawn_for_the_old_connection_ends(self):
        self.old.pop()[0].give_back()

    @rule()
    def rest(self):
        self.slots.release()

    @invariant()
    def one_ring_at_most_and_three_slots(self):
        assert len(list(self.folder.glob("ring-[0-9]*"))) <= 1 + bool(self.old)
        assert len(self.drawn) + len(self.sent) <= limits.SLOTS

    def teardown(self):
        for slot, _, _ in self.drawn + self.old:
            slot.give_back()
        for _, _, loan in self.sent.values():
            loan.done = True
        assert self.slots.release() and not list(self.folder.glob("ring-[0-9]*"))
        self.maps.close()
        shutil.rmtree(self.folder)


def test_24_a_slot_that_may_be_read_is_never_drawn_into():
    run_state_machine_as_test(Readers, settings=settings(max_examples=40, stateful_step_count=40))


def test_a_slot_is_as_large_as_asked_and_no_frame_reaches_into_the_next(tmp_path):
    slots = Slots(tmp_path, Budget().share("ada"))
    first, second = slots.take(5000), slots.take(5000)
    assert len(first.bytes()) == 5000 and second.place(0).offset - first.place(0).offset >= 5000
    with pytest.raises(ValueError, match="assign"):
        first.bytes()[:5001] = bytes(5001)


def test_15_a_frame_too_large_for_the_disk_is_an_error_and_leaves_no_ring(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SERVER_BYTES", 2**60)
    monkeypatch.setattr(limits, "KEY_BYTES", 2**60)
    budget = Budget()
    with pytest.raises(WireError) as told:
        Slots(tmp_path, budget.share("ada")).take(2**55)
    assert told.value.code == "disk_full" and not list(tmp_path.iterdir()) and budget.used == 0


@pytest.mark.limits("SERVER_BYTES")
def test_24_all_clients_together_have_so_much_memory_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "SERVER_BYTES", 2 * limits.SLOTS * 1000)
    budget = Budget()
    one, two, three = (Slots(tmp_path, budget.share(owner)) for owner in ("ada", "bob", "eve"))
    first = one.take(1000)
    two.take(1000)
    assert budget.used == limits.SERVER_BYTES
    with pytest.raises(WireError) as told:
        three.take(1)
    assert (told.value.code, told.value.retryable) == ("busy", True)
    first.give_back()
    assert one.release() and three.take(1000)
    assert budget.used == limits.SERVER_BYTES


@pytest.mark.limits("KEY_BYTES")
def test_24_the_clients_of_one_key_have_so_much_memory_and_leave_the_rest_to_others(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "KEY_BYTES", 2 * limits.SLOTS * 1000)
    budget = Budget()
    one, two, three, others = (Slots(tmp_path, budget.share(owner)) for owner in ("ada", "ada", "ada", "bob"))
    first = one.take(1000)
    two.take(1000)
    assert budget.used == limits.KEY_BYTES
    with pytest.raises(WireError, match=r"Your clients have .*end other renders") as told:
        three.take(1)
    assert (told.value.code, told.value.retryable) == ("busy", True)
    others.take(2000)
    first.give_back()
    assert one.release() and three.take(1000)


def test_one_client_may_have_the_largest_frames_and_others_some_then():
    largest = limits.SLOTS * limits.RENDER_SIZE**2 * (8 + 4)  # half floats, and depth
    assert largest < limits.KEY_BYTES < limits.SERVER_BYTES


def test_14_rings_of_a_dead_server_are_swept(tmp_path):
    Slots(tmp_path, Budget().share("ada")).take(100)
    (tmp_path / "ring-key").write_bytes(b"key")
    sweep(tmp_path)
    assert not list(tmp_path.iterdir())
