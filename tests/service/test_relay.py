"""Whose frame is drawn next, and what becomes of a client that is silent, under a clock of the tests' own."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import zmq

from backend.service.background import Background
from backend.service.framing import messages_of
from backend.service.journal import Event, Job, Journal
from backend.service.ledger import Ledger
from backend.service.poses import Poses
from backend.service.post import Sent
from backend.service.relay import Relay
from backend.service.renders import Renders
from backend.service.same_host import SameHost
from backend.service.session import Session
from backend.service.sessions import Sessions
from backend.service.work import WorkFrame, WorkRender
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.limits import SLOTS
from shared.wire.messages import Frame, FrameCopied, JobInfo, RenderCredit
from tests.service.clock import FakeClock
from tests.service.serving import PATIENCE_S, motion, render_frames, render_live, until


class Sockets:
    """Takes frames, or not, and counts them by client."""

    def __init__(self):
        self.taken, self.ids, self.full = [], [], set()

    def send_parts(self, routing, parts, track=False):
        if routing in self.full:
            return Sent.FULL, None
        header = json.loads(parts[1])
        if header["kind"] == Frame.kind:  # else it is an answer, which goes the same way here
            self.ids.append(header["id"])
            self.taken.append((routing, Frame(**header["body"])))
        return Sent.YES, SimpleNamespace(done=True)

    def send(self, routing, envelope):
        return Sent.YES


class OneWorker:
    """A render worker that draws when the test says so."""

    def __init__(self):
        self.worker = SimpleNamespace(busy="", identity=b"worker", memory=SimpleNamespace(avatars=()))
        self.order, self.hurried = None, ""

    def idle(self, role):
        return [] if self.worker.busy else [self.worker]

    def workers(self, role):
        return [self.worker]

    def engage(self, worker, request):
        worker.busy = request

    def release(self, worker):
        worker.busy = ""

    def hurry(self, worker):
        self.hurried = worker.busy

    def send(self, worker, message, buffers=None):
        assert isinstance(message, WorkRender) and not self.order
        self.order = message

    def trouble(self, role):
        return ""


class Stage:
    """A relay with clients on it."""

    def __init__(self, data):
        self.clock, self.sockets, self.pool = FakeClock(), Sockets(), OneWorker()
        self.journal = Journal(Path(":memory:"))
        self.told: list[Event] = []
        ledger = Ledger(self.journal, lambda owner, event: self.told.append(event), self.clock)
        keys = SimpleNamespace(is_local=lambda owner: True, __contains__=lambda owner: True)
        self.sessions = Sessions(self.sockets, keys, "token", SameHost(data), self.clock)
        library = SimpleNamespace(owned=lambda owner, avatar: None, folder=lambda avatar: data / avatar)
        self.ledger = ledger
        renders = Renders(self.journal, ledger, Poses(data))
        self.background = Background()
        self.relay = Relay(self.sockets, self.sessions, self.pool, renders, library, self.background, data)

    def client(self, name, credit=limits.CREDIT):
        session = Session(name, "ada", True, name.encode(), self.clock(), frames=name.encode())
        self.sessions._by_id[name] = session
        self.relay.credit(session, Envelope(RenderCredit(credit)))
        return session

    def render(self, session, frames):
        asked = render_frames(new_id())
        self.ledger.add(Job(JobInfo(asked.job, "render", "", "queued", 0.0, last_event=1), "ada", "", b""))
        self.relay.take(session, asked, motion(frames))
        return asked.job

    def draw(self):
        """The worker finishes what it is told to draw; returns whether that was anything."""
        self.relay.pump()
        order, self.pool.order = self.pool.order, None
        if order is not None:
            self.relay.frame(self.pool.worker, WorkFrame(order.request, 0, 0, 2, 2, 0.0, 0.0, 1.0))
            self.relay.pump()
        return order is not None

    def work(self):
        """One turn of the loop and of the worker."""
        self.background.collect()
        self.relay.tick()
        self.draw()

    def state(self, job):
        return self.journal.job(job).info.state


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.background.close(1.0)


def test_clients_take_turns_frame_by_frame(stage):
    for name in "abc":
        stage.render(stage.client(name), 4)
    while stage.draw():
        pass
    order = [routing for routing, _ in stage.sockets.taken]
    assert order[:3] != order[:1] * 3 and all(sorted(order[k : k + 3]) == [b"a", b"b", b"c"] for k in (3, 6))
    assert sorted(order) == sorted([b"a", b"b", b"c"] * 4)


def test_24_the_clients_of_one_key_have_one_turn_together(stage):
    for name in "abc":
        stage.render(stage.client(name), 4)
    other = stage.client("d")
    other.owner = "bob"
    stage.render(other, 4)
    while stage.draw():
        pass
    order = b"".join(routing for routing, _ in stage.sockets.taken).decode()
    assert order[:8].count("d") == 4 and {order[k] for k in range(8)} == set("abcd")
    assert len(order) == 16 and "d" not in order[8:]


def test_20_cancelling_a_render_hurries_the_worker_that_draws_it(stage):
    client = stage.client("a")
    drawn, waiting = stage.render(client, 4), stage.render(client, 4)
    stage.relay.pump()
    stage.relay.cancel(stage.journal.job(waiting))
    assert not stage.pool.hurried
    stage.relay.cancel(stage.journal.job(drawn))
    assert stage.pool.hurried == stage.pool.order.request


@pytest.mark.limits("VIEWS")
def test_views_that_wait_are_limited(stage):
    client = stage.client("a")
    stage.pool.worker.busy = "another's"
    views = [new_id() for _ in range(limits.VIEWS)]
    for view in (*views, views[0]):
        stage.relay.live(client, Envelope(render_live("avatar", view), motion(1)))
    with pytest.raises(WireError) as told:
        stage.relay.live(client, Envelope(render_live("avatar"), motion(1)))
    assert (told.value.code, told.value.field, told.value.retryable) == ("busy", "view", True)


def test_24_a_client_that_takes_nothing_holds_nobody_up(stage):
    slow, fast = stage.client("slow"), stage.client("fast")
    stage.sockets.full.add(b"slow")
    stage.render(slow, 4)
    stage.render(fast, 4)
    while stage.draw():
        pass
    assert [routing for routing, _ in stage.sockets.taken] == [b"fast"] * 4
    stage.sockets.full.clear()
    while stage.relay.tick() or stage.draw():
        pass
    assert [message.number for routing, message in stage.sockets.taken if routing == b"slow"] == [0, 1, 2, 3]


def test_live_views_and_renders_of_one_client_take_turns(stage):
    client = stage.client("a")
    stage.render(client, 3)
    view = render_live(new_id())
    for _ in range(6):
        stage.relay.live(client, Envelope(view, motion()))
        stage.draw()
    kinds = ["view" if message.view else "job" for _, message in stage.sockets.taken]
    assert kinds[1:5] in (["view", "job"] * 2, ["job", "view"] * 2)


@pytest.mark.limits("VANISHED_LIVE_S", "VANISHED_STATE_S")
def test_22_live_frames_of_a_silent_client_end_after_six_seconds_and_its_renders_after_sixty(stage):
    client = stage.client("a", credit=2)
    stage.relay.live(client, Envelope(render_live(new_id()), motion()))
    stage.draw()
    stage.relay.live(client, Envelope(render_live(new_id()), motion()))
    stage.relay.pump()  # it is being drawn
    stage.relay.live(client, Envelope(render_live(new_id()), motion()))
    job = stage.render(client, 5)
    stage.clock.pass_(limits.VANISHED_LIVE_S)
    stage.relay.tick()
    assert stage.relay._streams["a"].live
    stage.clock.pass_(0.01)
    stage.relay.tick()
    sent = len(stage.sockets.taken)
    stage.draw()
    assert len(stage.sockets.taken) == sent and stage.state(job) in ("queued", "running")
    stage.sessions.tick()
    assert stage.sessions.get("a") is client
    stage.clock.pass_(limits.VANISHED_STATE_S - limits.VANISHED_LIVE_S - 0.01)
    stage.sessions.tick()
    assert stage.sessions.get("a") is client
    stage.clock.pass_(0.01)
    stage.sessions.tick()
    assert stage.sessions.get("a") is None and stage.state(job) == "interrupted"
    assert stage.journal.job(job).info.retryable


def test_22_what_a_client_held_is_given_back(stage, tmp_path):
    client = stage.client("a")
    stage.render(client, 5)
    stage.draw()
    assert list(tmp_path.glob("ring-*"))
    stage.sessions.free(client)
    stage.draw()
    stage.relay.tick()
    assert not list(tmp_path.glob("ring-*"))


def test_22_a_client_that_never_said_that_it_copied_leaves_no_ring(stage, tmp_path):
    client = stage.client("a")
    client.features = ("mapped",)
    stage.render(client, 5)
    while stage.draw():
        pass
    assert len(stage.sockets.taken) == SLOTS  # the others wait for a slot
    stage.clock.pass_(limits.VANISHED_STATE_S + 1)
    stage.sessions.tick()
    stage.relay.tick()
    assert not list(tmp_path.glob("ring-*"))


def test_24_a_slot_is_drawn_into_again_when_its_client_has_copied_it(stage):
    client = stage.client("a")
    client.features = ("mapped",)
    stage.render(client, 5)
    while stage.draw():
        pass
    stage.relay.copied(client, Envelope(FrameCopied(new_id())))
    assert not stage.draw()
    stage.relay.copied(client, Envelope(FrameCopied(stage.sockets.ids[1])))
    assert stage.draw() and not stage.draw()


def test_23_after_a_reconnect_what_was_not_acknowledged_is_drawn_again_from_there(stage):
    client = stage.client("a", credit=4)
    job = stage.render(client, 6)
    while stage.draw():
        pass
    stage.relay.credit(client, Envelope(RenderCredit(2)))  # two frames were consumed
    stage.draw()  # and one more is under way when the connection breaks
    for call in stage.sessions.greeted:
        call(client)
    del stage.sockets.taken[:]
    stage.draw()
    assert not stage.sockets.taken  # drawn for the old connection, and no credit yet
    stage.relay.credit(client, Envelope(RenderCredit(limits.CREDIT)))
    while stage.draw():
        pass
    assert [message.number for _, message in stage.sockets.taken] == [2, 3, 4, 5]
    stage.relay.credit(client, Envelope(RenderCredit(4)))
    stage.relay.pump()
    assert stage.state(job) == "finished"


def test_23_a_worker_lost_over_a_frame_of_the_connection_before_leaves_no_frame_out(stage):
    client = stage.client("a", credit=4)
    stage.render(client, 3)
    stage.draw()  # the first frame is under way, the second is being drawn
    for call in stage.sessions.greeted:
        call(client)
    del stage.sockets.taken[:]
    stage.pool.order = None
    stage.relay.lost(stage.pool.worker, "it was ended by signal 9")
    stage.relay.credit(client, Envelope(RenderCredit(limits.CREDIT)))
    while stage.draw():
        pass
    assert [message.number for _, message in stage.sockets.taken] == [0, 1, 2]


@pytest.fixture
def slow_packing(monkeypatch):
    """Packing waits until the test says go on."""
    go_on = threading.Event()

    def waiting(shot, drawn):
        go_on.wait(PATIENCE_S)
        return messages_of(shot, drawn)

    monkeypatch.setattr("backend.service.relay.messages_of", waiting)
    yield go_on
    go_on.set()


def remote(stage, name="far"):
    client = stage.client(name)
    client.features, client.local = ("zstd",), False
    return client


def test_while_frames_are_packed_others_are_drawn_and_sent_and_the_order_stays(stage, slow_packing):
    far = stage.render(remote(stage), 5)
    for _ in range(SLOTS):
        assert stage.draw()  # the next one is drawn while one is packed, as far as there are slots
    assert not stage.draw() and not stage.sockets.taken
    slow_packing.set()
    until(lambda: stage.work() or len(stage.sockets.taken) == 5)
    assert [message.number for _, message in stage.sockets.taken] == list(range(5))
    assert stage.state(far) == "running"


def test_what_was_packed_for_a_lost_connection_is_not_sent(stage, slow_packing):
    client = remote(stage)
    job = stage.render(client, 2)
    stage.draw()
    for call in stage.sessions.greeted:
        call(client)
    slow_packing.set()
    stream = stage.relay._streams[client.id]
    until(lambda: stage.background.collect() or not stream.packing)
    assert not stage.sockets.taken and stream.credit == 0
    stage.relay.credit(client, Envelope(RenderCredit(2)))
    until(lambda: stage.work() or len(stage.sockets.taken) == 2)
    assert [message.number for _, message in stage.sockets.taken] == [0, 1] and stage.state(job) == "running"


def test_24_poses_of_all_renders_together_have_a_ceiling(stage, monkeypatch):
    one, other = stage.client("a", credit=1), stage.client("b", credit=1)
    poses = motion(3)
    size = sum(array.nbytes for array in poses.values())
    stage.draw()
    monkeypatch.setattr(limits, "SERVER_BYTES", 2 * size)
    asked = render_frames(new_id())
    stage.relay._pool.worker.busy = "with something else"  # so that no ring is counted
    job = stage.render(one, 3)
    stage.relay.check(other, asked, poses)
    stage.render(other, 3)
    with pytest.raises(WireError) as told:
        stage.relay.check(other, asked, motion(1))
    assert told.value.code == "busy"
    stage.relay.cancel(stage.journal.job(job))
    stage.relay.check(other, asked, poses)


@pytest.mark.limits("SLOTS")
def test_memory_is_bounded_by_slots_whatever_the_credit(stage):
    client = stage.client("a")
    stage.sockets.send_parts = lambda *_, **__: (Sent.YES, zmq.MessageTracker.__new__(zmq.MessageTracker))
    stage.render(client, 10)
    drawn = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zmq.MessageTracker, "done", property(lambda self: False))
        while stage.draw():
            drawn += 1
    assert drawn == 3


@pytest.mark.limits("STREAM_RESTS")
def test_a_client_that_rests_gives_its_slots_back(stage, tmp_path):
    client = stage.client("a")
    stage.relay.live(client, Envelope(render_live(new_id()), motion()))
    stage.draw()
    for _ in range(limits.STREAM_RESTS):
        stage.relay.tick()
    assert list(tmp_path.glob("ring-*"))
    stage.relay.tick()
    assert not list(tmp_path.glob("ring-*"))
