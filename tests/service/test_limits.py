"""The limits of the server itself, at the limit and one past it. What clients meet is tested with them."""

import hashlib
import json
import mmap
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import zmq

from backend.progress import Event as Step
from backend.service import commands, keys, own_memory
from backend.service import doors as doors_module
from backend.service.assets import Assets
from backend.service.avatars import AvatarDesk
from backend.service.doors import Doors
from backend.service.downloads import Hashes
from backend.service.front import Front, as_message
from backend.service.house import House
from backend.service.importing import copied
from backend.service.journal import Event, Journal, OwnedAvatar
from backend.service.painter import Painter
from backend.service.pool import Pool
from backend.service.post import Sent
from backend.service.previews import small
from backend.service.replay import Replays
from backend.service.reporter import Reporter
from backend.service.same_host import SameHost
from backend.service.server import Server, _devices
from backend.service.session import Session
from backend.service.sessions import Sessions
from backend.service.status import StatusDesk
from backend.service.work import WorkClose
from shared.errors import VivantError
from shared.wire import limits
from shared.wire.calls import new_id
from shared.wire.codec import Envelope, decode, encode
from shared.wire.errors import WireError
from shared.wire.messages import AvatarInfo, JobInfo, MemoryFree
from shared.wire.sockets import new_context
from tests.service.clock import FakeClock

MOMENT_S = 0.01


def a_session(name="ada"):
    return Session(name, "ada", True, name.encode(), 0.0)


# Files


@pytest.mark.limits("KEY_NAME_CHARS")
def test_the_name_of_a_key(tmp_path):
    keys.allow(tmp_path, "n" * limits.KEY_NAME_CHARS, keys.new_pair().public)
    with pytest.raises(VivantError, match="no name"):
        keys.allow(tmp_path, "n" * (limits.KEY_NAME_CHARS + 1), keys.new_pair().public)


def imported(folder):
    return copied(folder, folder.with_name(new_id()), new_id(), "Ada", lambda: True)


@pytest.mark.limits("IMPORT_FILES")
def test_the_files_of_a_folder_to_import(folder):
    for number in range(limits.IMPORT_FILES - len(list(folder.iterdir()))):
        (folder / str(number)).touch()
    imported(folder)
    (folder / "one more").touch()
    with pytest.raises(WireError, match="more than"):
        imported(folder)


@pytest.mark.limits("IMPORT_BYTES")
def test_the_bytes_of_a_folder_to_import(folder, monkeypatch):
    monkeypatch.setattr("backend.service.importing.IMPORT_BYTES", sum(path.stat().st_size for path in folder.iterdir()))
    imported(folder)
    (folder / "one more").write_bytes(b"!")
    with pytest.raises(WireError, match="more than"):
        imported(folder)


@pytest.mark.limits("IMPORT_HEADER_BYTES")
def test_what_is_parsed_of_a_folder_to_import(folder):
    text = (folder / "avatar.json").read_text()
    for past in (0, 1):
        (folder / "avatar.json").write_text(text[:-1] + " " * (limits.IMPORT_HEADER_BYTES + past - len(text)) + "}")
        if past:
            with pytest.raises(WireError, match="cannot be read"):
                imported(folder)
        else:
            imported(folder)


@pytest.mark.limits("UPLOAD_KEPT_S")
def test_how_long_an_unfinished_upload_is_kept(tmp_path):
    assets = Assets(tmp_path, Journal(Path(":memory:")), *[None] * 4)
    for age, kept in ((limits.UPLOAD_KEPT_S - 60, True), (limits.UPLOAD_KEPT_S + 1, False)):
        partial = tmp_path / "assets" / f".{hashlib.sha256().hexdigest()}.x.part"
        partial.touch()
        os.utime(partial, times=(time.time() - age,) * 2)
        assets.sweep()
        assert partial.exists() == kept


@pytest.mark.limits("PREVIEW_SIDE")
def test_the_size_of_a_preview():
    whole = np.zeros((10, limits.PREVIEW_SIDE, 3), "u1")
    assert small(whole).shape == whole.shape
    assert small(np.zeros((10, limits.PREVIEW_SIDE + 1, 3), "u1")).shape[1] == limits.PREVIEW_SIDE


@pytest.mark.limits("PSNR_DB")
def test_the_psnr_of_a_folder_to_import(folder):
    about = json.loads((folder / "avatar.json").read_text())
    for psnr in (limits.PSNR_DB, -1.0):
        (folder / "avatar.json").write_text(json.dumps({**about, "photo_psnr_db": psnr}))
        assert imported(folder).photo_psnr_db == psnr
    for psnr in (limits.PSNR_DB + 1, -1.1, float("inf"), float("nan")):
        (folder / "avatar.json").write_text(json.dumps({**about, "photo_psnr_db": psnr}))
        with pytest.raises(WireError, match="PSNR"):
            imported(folder)


@pytest.mark.limits("TEXT_CHARS", "NAME_CHARS")
def test_what_a_client_is_told_of_an_error_fits_a_message():
    for text, name in ((limits.TEXT_CHARS, limits.NAME_CHARS), (limits.TEXT_CHARS + 1, limits.NAME_CHARS + 1)):
        told = as_message(WireError("failed", "x" * text, "y" * name))
        assert decode(encode(Envelope(told))).message == told
        assert (len(told.message), len(told.field)) == (limits.TEXT_CHARS, limits.NAME_CHARS)
        assert len(as_message(VivantError("x" * text)).message) == limits.TEXT_CHARS


@pytest.mark.limits("HASHES")
def test_the_hashes_of_files_that_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "HASHES", 3)
    read, hashes = [], Hashes()
    monkeypatch.setattr("backend.service.downloads._sha256", lambda path: read.append(path.name) or "0" * 64)
    for name in "abcd":
        (tmp_path / name).touch()
    for name in "abcabdab":  # c is the one that was not asked for longest when d comes
        hashes.info(tmp_path / name)
    assert "".join(read) == "abcd"
    hashes.info(tmp_path / "c")
    assert "".join(read) == "abcdc"


# Counts


@pytest.fixture
def sessions(tmp_path):
    post = SimpleNamespace(send=lambda *_: Sent.YES)
    return Sessions(post, SimpleNamespace(is_local=lambda owner: True), "token", SameHost(tmp_path), FakeClock())


@pytest.mark.limits("PEERS_REMEMBERED", "MALFORMED_BEFORE_IGNORED")
def test_peers_whose_nonsense_is_counted(sessions):
    for _ in range(limits.MALFORMED_BEFORE_IGNORED - 1):
        sessions.count_malformed(b"worst")
    assert not sessions.ignores(b"worst")
    sessions.count_malformed(b"worst")
    for number in range(limits.PEERS_REMEMBERED):
        sessions.count_malformed(str(number).encode())
    assert sessions.ignores(b"worst")
    sessions.count_malformed(b"one more")
    assert not sessions.ignores(b"worst")


@pytest.mark.limits("MESSAGES_AT_ONCE")
@pytest.mark.parametrize("more", [0, 1])
def test_messages_that_are_read_in_one_turn(sessions, more):
    waiting = [SimpleNamespace(routing=b"x", parts=[])] * (limits.MESSAGES_AT_ONCE + more)
    post = SimpleNamespace(parcels=lambda: iter(waiting.pop, None), send=lambda *_: None)
    Front(post, post, sessions, {}).read_control(limits.MESSAGES_AT_ONCE)
    assert len(waiting) == more


@pytest.mark.limits("READ_S")
@pytest.mark.parametrize("past", [False, True])
def test_how_long_messages_are_read_in_one_turn(sessions, monkeypatch, past):
    clock, each = FakeClock(), limits.READ_S / 4
    monkeypatch.setattr("backend.service.front.time", SimpleNamespace(monotonic=clock))
    waiting = [SimpleNamespace(routing=b"x", parts=[])] * 9
    post = SimpleNamespace(
        parcels=lambda: iter(waiting.pop, None),
        send=lambda *_: clock.pass_(each + past * each / 3 + 1e-6),
    )
    Front(post, post, sessions, {}).read_control(limits.MESSAGES_AT_ONCE)
    assert len(waiting) == (6 if past else 5)


@pytest.mark.limits("EVENTS_AT_ONCE")
def test_events_that_are_told_in_one_turn():
    history = [Event(JobInfo("job", "build", "", "running", 0.0, last_event=n)) for n in range(1, 1000)]
    journal = SimpleNamespace(events=lambda job, since, most: history[since : since + most])
    told, answered, session = [], [], a_session()
    sessions = SimpleNamespace(
        greeted=[],
        freed=[],
        get=lambda name: session,
        offer=lambda session, message, buffers: told.append(message.info.last_event) or Sent.YES,
        send=lambda session, message, re: answered.append(re),
    )
    replays = Replays(journal, sessions)
    replays.ask(session, "job", 999 - limits.EVENTS_AT_ONCE + 1, "few")
    assert len(told) == limits.EVENTS_AT_ONCE - 1 and answered == ["few"]
    replays.ask(session, "job", 999 - limits.EVENTS_AT_ONCE - 1, "many")
    assert len(told) == 2 * limits.EVENTS_AT_ONCE - 1 and answered == ["few"]
    replays.ask(session, "job", 999 - limits.EVENTS_AT_ONCE + 1, "again")
    replays.tick()
    assert told[-1] == 999 and answered == ["few", "many", "again"]


@pytest.mark.limits("REQUESTS")
def test_questions_for_events_that_wait_of_whichever_jobs():
    journal = SimpleNamespace(events=lambda job, since, most: [Event(JobInfo(job, "build", "", "running", 0.0))])
    session, taken = a_session(), [Sent.FULL]
    answered = []
    sessions = SimpleNamespace(
        greeted=[],
        freed=[],
        get=lambda name: session,
        offer=lambda *_: taken[0],
        send=lambda session, message, re: answered.append(re),
    )
    replays = Replays(journal, sessions)
    for number in range(limits.REQUESTS):
        replays.ask(session, f"job {number // 2}", 0, str(number))
    with pytest.raises(WireError, match="on their way") as told:
        replays.ask(session, "another job", 0, "one more")
    assert (told.value.code, told.value.retryable) == ("busy", True)
    taken[0] = Sent.YES
    replays.tick()
    assert len(answered) == limits.REQUESTS
    replays.ask(session, "another job", 0, "one more")
    assert answered[-1] == "one more"


@pytest.mark.limits("PROCESS_BYTES")
def test_what_the_process_may_hold_beside_pixels_and_poses(monkeypatch):
    server = SimpleNamespace(house=SimpleNamespace(relay=SimpleNamespace(held=lambda: 1000)))
    for held, too_large in ((limits.PROCESS_BYTES + 1000, False), (limits.PROCESS_BYTES + 1001, True)):
        monkeypatch.setattr(own_memory, "held", lambda held=held: held)
        assert Server._is_too_large(server) == too_large


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell, or are not here")
def test_what_a_process_holds_alone_is_counted_and_what_it_maps_is_not(tmp_path):
    before = own_memory.held()
    taken = mmap.mmap(-1, 50_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # pages that nobody had before
    taken.write(b"1" * 50_000_000)
    assert 40_000_000 < own_memory.held() - before < 60_000_000
    (tmp_path / "ring").write_bytes(bytes(50_000_000))
    mapped = np.memmap(tmp_path / "ring", "u1", "r+")
    mapped[:] = 1
    assert own_memory.held() - before < 60_000_000


# Times


class Desk:
    """Render workers that have something open, or are slow."""

    def __init__(self):
        self.sent, self.worker = [], SimpleNamespace(memory=SimpleNamespace(avatars=("avatar",)), ready=None)
        self.pool = SimpleNamespace(
            workers=lambda role="": [self.worker],
            ready=lambda role: [],
            idle=lambda role: [self.worker] if role == "render" else [],
            trouble=lambda role: "",
            send=lambda worker, message: self.sent.append(message),
        )


@pytest.mark.limits("UNUSED_S")
def test_how_long_avatars_stay_open_that_nobody_uses(sessions):
    desk = Desk()
    avatars = AvatarDesk(None, None, sessions, desk.pool, None, None, None, sessions._now)
    sessions._now.pass_(limits.UNUSED_S)
    avatars.tick()
    assert not desk.sent
    sessions._now.pass_(MOMENT_S)
    avatars.tick()
    avatars.tick()
    assert desk.sent == [WorkClose()]


@pytest.mark.limits("FREE_S")
def test_how_long_a_slow_worker_is_waited_for_that_shall_free_memory(tmp_path, monkeypatch, sessions):
    clock, desk, answers = FakeClock(), Desk(), []
    monkeypatch.setattr("backend.service.status.time", SimpleNamespace(monotonic=clock))
    status = StatusDesk(
        tmp_path, Journal(Path(":memory:")), sessions, desk.pool, lambda *answer: answers.append(answer)
    )
    status.free(a_session(), Envelope(MemoryFree()))
    status._freeing[0].asked = clock()
    clock.pass_(limits.FREE_S)
    status.tick()
    assert not answers
    clock.pass_(MOMENT_S)
    status.tick()
    assert len(answers) == 1


@pytest.mark.parametrize("local", [True, False])
def test_a_client_elsewhere_frees_the_memory_of_its_own_avatars_alone(tmp_path, sessions, local):
    desk, journal, own = Desk(), Journal(Path(":memory:")), new_id()
    for avatar, owner in ((own, "ada"), ("avatar", "bob")):
        journal.put_avatar(OwnedAvatar(AvatarInfo(avatar, "Ada", 0.0), owner), whole=True)
    desk.worker.memory.avatars = ("avatar", own)
    status = StatusDesk(tmp_path, journal, sessions, desk.pool, None)
    status.free(replace(a_session(), local=local), Envelope(MemoryFree()))
    assert desk.sent == [WorkClose() if local else WorkClose(own)]


def empty_house(clock):
    """One in whose rooms nothing happens."""
    rest = SimpleNamespace(tick=lambda: None)
    house = House.__new__(House)
    house._now, house._retry_at, house._troubled, house._unheard = clock, 0.0, -1.0, []
    house._status = SimpleNamespace(trouble="", tick=rest.tick)
    house._pool = house._sessions = house._ledger = house._replays = house._downloads = house._avatars = rest
    house.relay = house._foreman = rest
    return house


def test_trouble_that_lasts_is_logged_once_and_told_while_it_lasts(caplog):
    """Where no worker could be started, it was logged twenty times a second, and status told nothing."""
    clock = FakeClock()
    house = empty_house(clock)
    good = house._pool

    def fail():
        raise OSError("No process could be made.")

    for times_logged in (1, 2):
        house._pool = SimpleNamespace(tick=fail)
        for _ in range(3):
            house.tick()
            assert house._status.trouble == "No process could be made."
            clock.pass_(0.05)
        assert len(caplog.records) == times_logged
        house._pool = good
        house.tick()
        assert not house._status.trouble
        clock.pass_(0.05)


@pytest.mark.limits("RETRY_S")
def test_how_long_the_server_waits_after_trouble():
    clock, tried = FakeClock(), []

    def fail():
        tried.append(clock())
        raise WireError("disk_full", "Full.")

    house = empty_house(clock)
    house._foreman = SimpleNamespace(tick=fail)
    house.tick()
    clock.pass_(limits.RETRY_S - MOMENT_S)
    house.tick()
    assert len(tried) == 1
    clock.pass_(MOMENT_S)
    house.tick()
    assert len(tried) == 2


@pytest.mark.limits("PICTURE_S")
def test_how_often_a_stage_shows_a_picture(monkeypatch):
    clock, pictures = FakeClock(), []
    monkeypatch.setattr("backend.service.reporter.time", SimpleNamespace(monotonic=clock))
    link = SimpleNamespace(
        cancelled=lambda job: False, send=lambda message, buffers: pictures.append("preview" in buffers)
    )
    reporter = Reporter("job", link, SimpleNamespace(info=lambda *_: None))
    for pause in (0.0, limits.PICTURE_S - 0.5, 0.5):
        clock.pass_(pause)
        reporter(Step("training", 1, 9, picture=lambda: np.zeros((4, 4, 3), "u1")))
    assert pictures == [True, False, True]


@pytest.mark.limits("STOP_S")
def test_how_long_a_server_is_waited_for_that_shall_end(tmp_path, monkeypatch):
    clock, asked = FakeClock(), []
    client = SimpleNamespace(call=asked.append)
    monkeypatch.setattr(commands, "is_locked", lambda data: True)
    monkeypatch.setattr(commands, "load_connection", lambda path: None)
    monkeypatch.setattr(commands, "connect", lambda *_: Entered(client))
    waited = []

    def sleep(seconds):
        waited.append(clock())
        clock.pass_(limits.STOP_S / 2)

    monkeypatch.setattr(commands, "time", SimpleNamespace(monotonic=clock, sleep=sleep))
    began = clock()
    with pytest.raises(VivantError, match=f"still running after {limits.STOP_S:.0f} s"):
        list(commands._stop(tmp_path))
    assert [moment - began for moment in waited] == [0, limits.STOP_S / 2, limits.STOP_S]


class Entered:
    """A client in a `with`."""

    def __init__(self, client):
        self.client = client

    def __enter__(self):
        return self.client

    def __exit__(self, *_):
        """It stays."""


@pytest.mark.limits("REOPEN_S")
def test_how_long_a_port_is_waited_for_that_shall_be_free_again(monkeypatch):
    monkeypatch.setattr(limits, "REOPEN_S", 0.2)
    context = new_context()
    doors = Doors(context, "127.0.0.1", 0, "")
    taken = Doors(context, "127.0.0.1", 0, "")
    doors.control_port = taken.control_port
    began = time.monotonic()
    with pytest.raises(zmq.ZMQError, match="in use"):
        doors.hang_up()
    assert 0.2 <= time.monotonic() - began < 5
    context.destroy(linger=0)


def test_who_comes_as_soon_as_the_doors_are_open_again_is_known(monkeypatch):
    """Who came before the doors were watched could stay for ever without a word."""
    opened = doors_module._bind_again
    with ExitStack() as stack:
        context = stack.enter_context(new_context())
        context.linger = 0

        def opened_and_entered(sock, endpoint):
            opened(sock, endpoint)
            host, port = endpoint.removeprefix("tcp://").split(":")
            stack.enter_context(socket.create_connection((host, int(port))))
            time.sleep(0.1)  # ZeroMQ's thread takes it in

        monkeypatch.setattr(doors_module, "_bind_again", opened_and_entered)
        doors, came = Doors(context, "127.0.0.1", 0, ""), []
        doors.hang_up()
        doors.watch(
            doors.monitors,
            SimpleNamespace(accept=came.append, end=came.remove, caught_up=lambda: None, surplus=lambda: []),
        )
        assert [name for name, _ in came] == ["control", "frames"]
        doors.close(0)


@pytest.mark.limits("GPUS_S")
@pytest.mark.parametrize("seconds", [0.0, 30.0])
def test_how_long_a_driver_may_take_to_tell_its_gpus(tmp_path, monkeypatch, seconds):
    """One that hangs does not keep the server from serving."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nexec sleep {seconds}\n" if seconds else "#!/bin/sh\necho GPU 0:\necho GPU 1:\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seconds:
        monkeypatch.setattr(limits, "GPUS_S", 0.2)
    began = time.monotonic()
    assert _devices() == ([""] if seconds else ["0", "1"])
    assert time.monotonic() - began < 5


@pytest.mark.limits("JOURNAL_S")
def test_how_long_the_journal_waits_for_another_program_to_let_go_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "JOURNAL_S", 0.3)
    journal = Journal(tmp_path / "journal.sqlite")
    other = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(WireError, match="locked"):
        journal.put_asset("ada", "0" * 64)
    assert 0.2 < time.monotonic() - began < 5
    threading.Timer(0.1, other.rollback).start()
    journal.put_asset("ada", "0" * 64)
    other.close()
    journal.close()


def a_painter(monkeypatch, sizes):
    """One that has avatars of these sizes open (name -> bytes), on a device of 4000 bytes."""
    monkeypatch.setattr("backend.service.painter.memory", lambda device: (0, 4000))
    painter = Painter.__new__(Painter)
    painter._device = torch.device("cpu")
    painter._avatars = OrderedDict((name, SimpleNamespace(nbytes=size)) for name, size in sizes.items())
    return painter


@pytest.mark.limits("AVATARS_SHARE")
@pytest.mark.parametrize("more", [0, 1])
def test_the_share_of_the_memory_that_open_avatars_may_take(monkeypatch, more):
    each = int(4000 * limits.AVATARS_SHARE) // 2
    painter = a_painter(monkeypatch, {"a": each, "b": each + more})
    painter._close_idle()
    assert list(painter._avatars) == ["a", "b"][more:]


@pytest.mark.limits("OPEN_AVATARS")
@pytest.mark.parametrize("more", [0, 1])
def test_as_many_avatars_are_open_as_a_worker_can_tell(monkeypatch, more):
    """The message of one that had 1700 open was too large to be sent, and that ended it."""
    names = [new_id() for _ in range(limits.OPEN_AVATARS + more)]
    painter = a_painter(monkeypatch, dict.fromkeys(names, 0))
    painter._close_idle()
    assert decode(encode(Envelope(painter.memory()))).message.avatars == tuple(names[more:])


@pytest.mark.limits("WORKERS_END_S")
def test_how_long_workers_are_waited_for_when_the_server_ends(tmp_path):
    told = []

    def wait(seconds):
        told.append(seconds)
        raise subprocess.TimeoutExpired("worker", seconds)

    process = SimpleNamespace(wait=wait, kill=lambda: told.append("kill"), stdin=SimpleNamespace(close=lambda: None))
    log = SimpleNamespace(join=lambda seconds: told.append(f"words {seconds}"))
    pool = Pool.__new__(Pool)
    pool._places = [SimpleNamespace(worker=SimpleNamespace(process=process, role="build", log=log))]
    pool.send = lambda worker, message: None
    pool.stop(limits.WORKERS_END_S)
    seconds = limits.WORKERS_END_S
    assert told == [seconds, "kill", seconds, f"words {seconds}"]  # one that hangs in a driver does not die
