"""Lists in pages: nothing is left out, whatever goes meanwhile, and peers that know no pages go on."""

import json

import numpy as np
import pytest

from shared.mock.png import png
from shared.wire import calls, limits
from shared.wire import messages as m
from shared.wire.client import Client, Waker
from shared.wire.codec import encode
from shared.wire.connection import save_connection
from shared.wire.link import Link
from shared.wire.pages import page_of_avatars, page_of_jobs
from shared.wire.sockets import new_context
from tests.shared.wire.golden import FOLDER, read
from tests.shared.wire.small_server import SmallServer

PHOTO = png(np.full((96, 64, 3), 128, np.uint8))


def jobs(count, **more):
    return [m.JobInfo(calls.new_id(), "build", str(number), "finished", 0.0, **more) for number in range(count)]


def walked(infos, page_of, entries):
    page = page_of(infos, "")
    found = [page]
    while page.next:
        page = page_of(infos, page.next)
        found.append(page)
    return [getattr(page, entries) for page in found]


@pytest.mark.parametrize("count", [0, 1, limits.WAITING_JOBS, limits.WAITING_JOBS + 1, 5 * limits.WAITING_JOBS])
def test_pages_hold_all_jobs_once_and_in_order(count):
    infos = jobs(count)
    found = walked(infos, page_of_jobs, "jobs")
    assert [info for page in found for info in page] == infos
    assert len(found) == max(1, -(-count // limits.WAITING_JOBS))


def test_pages_hold_all_avatars_once_and_in_order():
    infos = [m.AvatarInfo(calls.new_id(), "Ada", 0.0) for _ in range(2 * limits.AVATARS)]
    found = walked(infos, page_of_avatars, "avatars")
    assert [info for page in found for info in page] == infos and len(found) == 2


def test_a_page_is_no_longer_than_a_header():
    infos = jobs(limits.WAITING_JOBS, error="é" * limits.TEXT_CHARS)
    found = walked(infos, page_of_jobs, "jobs")
    assert [info for page in found for info in page] == infos and len(found) > 5


def test_behind_a_job_that_is_gone_the_list_begins_anew():
    infos = jobs(3)
    assert page_of_jobs(infos, calls.new_id()).jobs == tuple(infos)


def test_the_client_turns_the_pages(mock, monkeypatch):
    monkeypatch.setattr(limits, "WAITING_JOBS", 2)
    monkeypatch.setattr(limits, "AVATARS", 2)
    with calls.connect(mock.connection) as client:
        photo = calls.upload(client, PHOTO)
        built = [calls.new_id() for _ in range(3)]
        for job in built:
            client.call(m.JobSubmit(job, "build", photo, options=m.BuildOptions(steps=1)))
            calls.finish(client, job)
        assert client.minor == limits.MINOR and len(client.call(m.JobList()).message.jobs) == 2
        assert [info.job for info in calls.jobs(client)] == built[::-1]
        assert [info.avatar for info in calls.avatars(client)] == built[::-1]


class Server11(SmallServer):
    """What a server of 1.1 says: nothing of pages, and its own minor."""

    def _reply(self, one, peer, envelope):
        reply = super()._reply(one, peer, envelope)
        return m.Welcome(reply.boot, reply.ticket, 1) if isinstance(reply, m.Welcome) else reply

    def written(self, envelope):
        magic, header, *buffers = encode(envelope)
        header = json.loads(header)
        header["body"].pop("next", None)
        return [magic, json.dumps(header).encode(), *buffers]


@pytest.mark.parametrize("count", [3, limits.WAITING_JOBS])
def test_of_a_server_of_1_1_one_page_is_seen_and_the_command_line_says_so(tmp_path, capsys, count):
    from backend.cli import main

    infos = tuple(jobs(count))
    answers = {m.JobList: m.Jobs(infos), m.Ping: m.Pong(), m.Bye: m.Ok()}
    with Server11(lambda envelope: answers[type(envelope.message)]) as server:
        with Client(server.connection()) as client:
            assert tuple(calls.jobs(client)) == infos and client.minor == 1
        save_connection(tmp_path / "connection.json", server.connection())
        assert main(["client", "--connection", str(tmp_path / "connection.json"), "jobs"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == count
    assert ("Update it to see the others" in shown.err) == (count == limits.WAITING_JOBS)


def test_a_client_of_1_1_is_answered_in_its_minor_and_asks_as_ever(mock):
    context, waker = new_context(), Waker()
    link = Link(context, mock.connection, waker)
    try:
        assert link.greet(m.Hello(calls.new_id(), minor=1)).minor == 1
        link.queue(read(FOLDER.parent / "golden_1_0" / "job.list.txt"))
        (answer,) = link.turn(5.0)
        assert answer.message == m.Jobs()
    finally:
        link.close(farewell=False)
        waker.close()
        context.destroy(linger=0)
