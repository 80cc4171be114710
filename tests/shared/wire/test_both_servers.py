"""One protocol: the mock and the service answer the same conversations alike."""

import contextlib
import hashlib
import threading
from dataclasses import replace
from itertools import pairwise
from queue import Empty

import numpy as np
import pytest

from shared.mock import MockServer
from shared.mock.png import png
from shared.wire import calls, limits
from shared.wire import messages as m
from shared.wire.client import Client
from shared.wire.errors import CODES, WireError
from tests.service.serving import motion, serving
from tests.shared.wire.golden import sample
from tests.shared.wire.proxy import Proxy

PHOTO = png(np.full((96, 64, 3), 128, np.uint8))
QUICK = m.BuildOptions(steps=4, size=64)  # the service's test worker takes the size as milliseconds


@contextlib.contextmanager
def mock(folder):
    server = MockServer(folder, pace=0.02)
    server.start()
    yield server.connection
    server.stop()


@contextlib.contextmanager
def service(folder):
    with serving(folder) as server:
        yield server.connection()


@pytest.fixture(scope="module", params=[mock, service], ids=["mock", "service"])
def connection(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("data")) as connection:
        yield connection


@pytest.fixture
def client(connection):
    with calls.connect(connection) as client:
        yield client


@pytest.fixture(scope="module")
def avatar(connection):
    with calls.connect(connection) as client:
        return built(client, "build")


def submit(client, task, **more):
    message = m.JobSubmit(calls.new_id(), task, calls.upload(client, PHOTO), options=QUICK, **more)
    client.call(message)
    return message


def built(client, task, **more):
    job = submit(client, task, **more).job
    calls.finish(client, job)
    return job


def code_of(client, message, buffers=None):
    with pytest.raises(WireError) as raised:
        client.call(message, buffers)
    assert raised.value.code in CODES
    return raised.value.code


def test_a_job_is_queued_runs_and_finishes_with_events_without_a_gap(client):
    events = list(calls.follow(client, submit(client, "build").job))
    assert [event.info.last_event for event in events] == list(range(1, len(events) + 1))
    states = [event.info.state for event in events]
    assert states[0] == "queued" and states[-1] == "finished" and set(states[1:-1]) == {"running"}
    assert all(before.info.step <= after.info.step for before, after in pairwise(events[:-1]))


def test_events_come_again_from_any_number(client):
    job = submit(client, "register").job
    events = list(calls.follow(client, job))
    for since in (0, 1, len(events) - 1):
        assert [event.info for event in calls.follow(client, job, since)] == [event.info for event in events[since:]]


def test_a_repeated_submit_is_one_job(client):
    message = submit(client, "build")
    assert client.call(message).message.info.job == message.job
    assert code_of(client, replace(message, task="register")) == "conflict"
    calls.finish(client, message.job)
    jobs = [info.job for info in client.call(m.JobList()).message.jobs]
    assert jobs.count(message.job) == 1 and jobs[0] == message.job


def test_what_is_done_can_be_cancelled_in_vain_and_not_resumed(client):
    job = built(client, "register")
    assert client.call(m.JobCancel(job)).message.info.state == "finished"
    assert code_of(client, m.JobResume(job)) == "conflict"
    client.call(m.JobForget(job))
    assert code_of(client, m.JobEvents(job)) == "unknown_job"


def test_a_cancelled_job_goes_on_when_it_is_resumed(client):
    job = submit(client, "build").job
    assert client.call(m.JobResume(job)).message.info.state in ("queued", "running")
    client.call(m.JobCancel(job))
    *_, last = calls.follow(client, job)
    if last.info.state == "cancelled":  # it was not done before
        assert client.call(m.JobResume(job)).message.info.state in ("queued", "running")
        assert calls.finish(client, job).state == "finished"


def test_files_are_listed_and_come_whole(client, avatar):
    for one in client.call(m.FilesList(avatar)).message.files:
        data = calls.download(client, avatar, one.name)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (one.size, one.sha256)
    assert code_of(client, m.FileGet(avatar, "../../connection.json")) == "unknown_file"


def test_avatars_are_listed_renamed_opened_and_deleted(client):
    avatar = built(client, "build", name="Ada")
    client.call(m.AvatarRename(avatar, "Bea"))
    (info,) = (info for info in client.call(m.AvatarList()).message.avatars if info.avatar == avatar)
    assert info.name == "Bea" and len(info.body_sha256) == 64
    for opened_or_closed in (m.AvatarOpen(avatar), m.AvatarClose(avatar)):
        assert client.call(opened_or_closed).message.info.avatar == avatar
    client.call(m.AvatarDelete(avatar))
    assert code_of(client, m.AvatarOpen(avatar)) == "unknown_avatar"


NOTHING = calls.new_id()
REFUSED = {
    "unknown_job": (m.JobCancel, m.JobResume, m.JobForget, m.JobEvents, m.JobLog),
    "unknown_avatar": (m.AvatarOpen, m.AvatarClose, lambda avatar: m.AvatarRename(avatar, "x"), m.AvatarDelete),
    "unknown_file": (lambda job: m.JobSubmit(job, "build", "0" * 64),),
}


@pytest.mark.parametrize(("code", "make"), [(code, make) for code, makes in REFUSED.items() for make in makes])
def test_what_is_not_there_is_refused_with_the_same_code(client, code, make):
    assert code_of(client, make(NOTHING)) == code


@pytest.mark.parametrize("cls", [m.Pong, m.Ok, m.Status, m.Jobs, m.Frame, m.JobEvent], ids=lambda cls: cls.kind)
def test_row_7_an_answer_as_a_question_is_an_unknown_kind(client, cls):
    envelope = sample(cls)
    assert code_of(client, envelope.message, envelope.buffers) == "unknown_kind"


def test_a_damaged_upload_is_dropped_and_may_start_again(client):
    data = hashlib.sha256(b"seed").digest() * 10
    sha256 = hashlib.sha256(data).hexdigest()
    wrong = np.frombuffer(data[:-1] + b"?", "u1")
    assert code_of(client, m.AssetPut(sha256, len(data)), {"data": wrong}) == "wrong_hash"
    assert client.call(m.AssetPut(sha256, len(data))).message.offset == 0
    assert calls.upload(client, data) == sha256


def test_what_is_asked_for_behind_the_end_is_empty_and_the_end_told(client, avatar):
    (file, *_) = client.call(m.FilesList(avatar)).message.files
    chunk = client.call(m.FileGet(avatar, file.name, limits.COUNT))
    assert chunk.message.offset == chunk.message.total == file.size and not len(chunk.buffers["data"])
    log = client.call(m.JobLog(avatar, limits.COUNT)).message
    assert log.text == "" and log.offset == client.call(m.JobLog(avatar)).message.offset


def test_frames_are_in_order_full_and_only_against_credit(client, avatar):
    request = m.RenderFrames(calls.new_id(), avatar, 64, 48, first=7)
    client.call(request, motion(5))
    client.post(m.RenderCredit(1))
    numbers = []
    while len(numbers) < 5:
        came = client.inbox.get(timeout=20)
        if isinstance(getattr(came, "message", None), m.Frame):
            numbers.append(came.message.number)
            assert not any(isinstance(getattr(one, "message", None), m.Frame) for one in list_of(client.inbox))
            client.post(m.RenderCredit(1))
    assert numbers == [7, 8, 9, 10, 11]
    assert calls.finish(client, request.job).state == "finished"


def list_of(inbox):
    found = []
    while not inbox.empty():
        found.append(inbox.get())
    return found


def test_a_render_that_was_left_is_cancelled_and_not_resumed(client, avatar):
    request = m.RenderFrames(calls.new_id(), avatar, 64, 48)
    for _ in calls.frames(client, request, motion(40)):
        break
    *_, last = calls.follow(client, request.job)
    assert last.info.state == "cancelled"
    assert code_of(client, m.JobResume(request.job)) == "conflict"


def test_a_live_frame_answers_the_newest_request_of_its_view(client, avatar):
    view = calls.new_id()
    client.call(m.Ping())
    for seq in range(20):
        client.post(m.RenderLive(view, seq, avatar, 64, 48), motion())
    client.call(m.Ping())  # all twenty are there now
    client.post(m.RenderCredit(16))
    seen = [-1]
    while seen[-1] < 19:
        came = client.inbox.get(timeout=20)
        if isinstance(getattr(came, "message", None), m.Frame):
            seen.append(came.message.seq)
    assert seen == [-1, 19]


def test_credit_in_a_request_counts_once_and_also_where_the_request_is_refused(client, avatar):
    view = calls.new_id()
    client.post(m.RenderLive(view, 1, calls.new_id(), 64, 48, consumed=1), motion())
    assert client.inbox.get(timeout=5.0).state == "ready"
    assert client.inbox.get(timeout=5.0).message.code == "unknown_avatar"
    client.post(m.RenderLive(view, 2, avatar, 64, 48), motion())
    assert client.inbox.get(timeout=5.0).message.seq == 2
    client.post(m.RenderLive(view, 3, avatar, 64, 48), motion())
    with pytest.raises(Empty):
        client.inbox.get(timeout=0.3)
    client.post(m.RenderLive(view, 4, avatar, 64, 48, consumed=1), motion())
    assert client.inbox.get(timeout=5.0).message.seq == 4


@pytest.mark.parametrize("which", ["control", "frames"])
def test_row_23_a_render_outlives_a_cut_line(connection, avatar, which):
    with contextlib.ExitStack() as stack:
        ports = {name: getattr(connection, f"{name}_port") for name in ("control", "frames")}
        proxies = {name: stack.enter_context(Proxy((connection.host, port))) for name, port in ports.items()}
        changed = replace(connection, **{f"{name}_port": proxy.port for name, proxy in proxies.items()})
        client = stack.enter_context(calls.connect(changed))
        numbers = []
        for number, rgba, _ in calls.frames(client, m.RenderFrames(calls.new_id(), avatar, 64, 48), motion(10)):
            assert rgba.shape == (48, 64, 4)
            numbers.append(number)
            if number in (2, 6):
                proxies[which].cut()
        assert numbers == list(range(10))


def test_row_11_the_second_connection_of_a_session_takes_it_over(connection):
    with calls.connect(connection) as first, Client(connection, session=first.session) as second:
        second.call(m.Ping())
        ended = threading.Event()
        while not ended.wait(0.01):
            if first.state == "refused":
                ended.set()
        assert first.error.code == "superseded" and second.state == "ready"


def test_so_many_clients_and_no_more_until_one_leaves(connection):
    with contextlib.ExitStack() as stack:
        clients, error = [], None
        while error is None:  # those of other tests may still be remembered
            clients.append(stack.enter_context(Client(connection)))
            error = clients[-1].send(m.Ping()).exception(20)
        assert error.code == "busy" and len(clients) <= limits.CLIENTS + 1
        assert clients[0].call(m.StatusGet()).message.clients == limits.CLIENTS
        clients[0].close()
        state = ""
        while state != "ready":
            state = clients[-1].inbox.get(timeout=20).state


def test_status_tells_device_memory_and_queue(client, avatar):
    status = client.call(m.StatusGet()).message
    assert status.device and status.version and status.clients >= 1 and status.uptime_s > 0
    assert client.call(m.MemoryFree()).message.open_avatars == 0
