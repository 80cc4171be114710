"""Who may come in, and what one owner sees of another. Numbers are rows of the fault table."""

import json
import os
import socket
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import zmq
from zmq.utils.monitor import recv_monitor_message

from backend.cli import main
from backend.service import keys
from backend.service.zap import ENDPOINT
from shared.errors import VivantError
from shared.wire import limits
from shared.wire.calls import download, new_id, upload
from shared.wire.client import Client
from shared.wire.codec import Envelope, decode, encode
from shared.wire.connection import Connection, load_connection
from shared.wire.errors import WireError
from shared.wire.messages import (
    AvatarDelete,
    AvatarImport,
    AvatarList,
    AvatarOpen,
    AvatarRename,
    Error,
    FileGet,
    FilesList,
    Hello,
    JobCancel,
    JobEvents,
    JobForget,
    JobList,
    JobLog,
    JobResume,
    JobSubmit,
    Join,
    Ok,
    Ping,
    Pong,
    ServerStop,
    Welcome,
)
from shared.wire.sockets import CONTROL, FRAMES, bind, client_socket, connect, new_context, server_socket
from tests.service.serving import PHOTO, drain, motion, render_frames, render_live, serving, submit, until, until_state


@pytest.fixture
def ada(server):
    with server.connect() as client:
        yield client


@pytest.fixture(scope="module")
def bob_file(server, tmp_path_factory):
    """The key file of a remote client."""
    path = tmp_path_factory.mktemp("keys") / "bob.json"
    port = str(server.connection().control_port)
    words = ["keys", "new", "bob", "--host", "127.0.0.1", "--port", port, "--out", str(path)]
    assert main([*words, "--data", str(server.data)]) == 0
    return path


@pytest.fixture
def bob(server, bob_file):
    connection = replace(load_connection(bob_file), frames_port=server.connection().frames_port)
    client = Client(connection)
    until(lambda: client.state == "ready")
    yield client
    client.close()


def raw(context, connection, channel=CONTROL):
    sock = client_socket(context, channel, connection)
    connect(sock, channel, connection)
    sock.set(zmq.SNDTIMEO, 500)  # where the server has hung up there is nowhere to send to
    return sock


def ask(sock, message, seconds=5.0, **fields):
    """The answer's message, or None."""
    try:
        sock.send_multipart(encode(Envelope(message, **fields)))
    except zmq.Again:
        return None
    while sock.poll(int(1000 * seconds)):
        return decode(sock.recv_multipart()).message
    return None


def stranger(connection):
    public, secret = zmq.curve_keypair()
    return replace(connection, public_key=public.decode(), secret_key=secret.decode())


def test_08_a_key_that_is_not_listed_is_told_so_and_gets_nothing(server):
    client = Client(stranger(server.connection()))
    until(lambda: client.state == "refused")
    assert client.error.code == "not_allowed" and not drain(client)


def test_08_without_keys_or_with_a_wrong_server_key_nothing_comes(server):
    context = new_context()
    plain = replace(server.connection(), server_key="", public_key="", secret_key="")
    wrong = replace(server.connection(), server_key=zmq.curve_keypair()[0].decode())
    for connection in (plain, wrong):
        assert ask(raw(context, connection), Hello(new_id()), seconds=0.5) is None
    context.destroy(linger=0)


def held(pid, sock):
    """Whether this process still has the other end of a connection."""
    port = f":{sock.getsockname()[1]:04X}"
    tables = (Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
    lines = [line.split() for table in tables for line in table.splitlines()]
    inodes = {f"socket:[{line[9]}]" for line in lines if line[2].endswith(port)}
    return bool(inodes & {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()})


def test_08_a_silent_connection_is_closed_and_others_do_not_wait_for_it(server, ada):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.connection().control_port)) as silent:
        ada.call(Ping())
        assert held(server.process.pid, silent)
        silent.settimeout(20)
        while silent.recv(4096):
            pass  # its greeting, then the end
        assert time.monotonic() - began < limits.HANDSHAKE_S + 2
        assert not held(server.process.pid, silent)


@pytest.mark.parametrize("handler", ["none", "silent"])
def test_08_without_an_answer_to_zap_nothing_is_delivered_and_nothing_held(monkeypatch, handler):
    monkeypatch.setattr(limits, "HANDSHAKE_S", 0.5)
    context, pair, mine = new_context(), keys.new_pair(), keys.new_pair()
    zap = context.socket(zmq.REP)
    if handler == "silent":
        zap.bind(ENDPOINT)
    door = server_socket(context, CONTROL, pair.secret)
    port = bind(door, "127.0.0.1")
    events = door.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    sock = raw(context, Connection("127.0.0.1", port, port, pair.public, mine.public, mine.secret))
    began = time.monotonic()
    sock.send(b"hello")
    assert events.poll(5000) and recv_monitor_message(events)["event"] == zmq.EVENT_ACCEPTED
    assert events.poll(5000) and recv_monitor_message(events)["event"] != zmq.EVENT_ACCEPTED  # it is closed again
    assert time.monotonic() - began < 5 and not door.poll(0)
    door.disable_monitor()
    context.destroy(linger=0)


def test_08_a_replayed_hello_under_another_key_does_not_take_the_session(server, ada, bob):
    with pytest.raises(WireError, match="another key"):
        bob.call(Hello(ada.session))
    ada.call(Ping())


def test_08_a_ticket_is_worth_nothing_under_another_key(server, ada, bob_file):
    context = new_context()
    connection = replace(load_connection(bob_file), frames_port=server.connection().frames_port)
    answer = ask(raw(context, connection, FRAMES), Join(ada.session, ada.welcome.ticket))
    assert isinstance(answer, Error) and answer.code == "not_allowed"
    context.destroy(linger=0)


def test_nothing_is_heard_before_hello(server):
    context = new_context()
    sock = raw(context, server.connection())
    assert ask(sock, JobList()).code == "unknown_session"
    assert ask(sock, Ping()).code == "unknown_session"
    context.destroy(linger=0)


def test_01_nonsense_is_answered_ten_times_and_then_ignored(server, ada):
    context = new_context()
    sock = raw(context, server.connection())
    for _ in range(limits.MALFORMED_BEFORE_IGNORED):
        sock.send_multipart([b"VIVANT/1", b"{"])
        assert sock.poll(5000) and decode(sock.recv_multipart()).message.code == "malformed"
    assert ask(sock, Hello(new_id()), seconds=0.5) is None
    ada.call(Ping())
    context.destroy(linger=0)


def test_31_a_client_whose_values_are_refused_is_heard_on(server):
    context = new_context()
    sock = raw(context, server.connection())
    refused = encode(Envelope(Hello(new_id())))
    refused[1] = refused[1].replace(b'"major":1', b'"major":-1')
    for _ in range(limits.MALFORMED_BEFORE_IGNORED + 2):
        sock.send_multipart(refused)
        assert sock.poll(5000) and decode(sock.recv_multipart()).message.code == "out_of_range"
        sock.send_multipart([b"VIVANT/1", b'{"kind":"juggle","id":"x","re":"","session":"","body":{},"buffers":[]}'])
        assert sock.poll(5000) and decode(sock.recv_multipart()).message.code in ("unknown_kind", "out_of_range")
    assert ask(sock, Hello(new_id())) is not None
    context.destroy(linger=0)


PARTS = [(CONTROL, limits.CONTROL_PART_BYTES), (FRAMES, limits.JOIN_PART_BYTES)]


@pytest.mark.parametrize(("channel", "size"), PARTS)
def test_04_a_part_over_the_limit_cuts_that_peer_and_no_other_and_is_logged_once(server, ada, channel, size):
    context, session = new_context(), new_id()
    control = raw(context, server.connection())
    ticket = ask(control, Hello(session)).ticket
    frames = raw(context, server.connection(), FRAMES)
    assert ask(frames, Join(session, ticket)) == Ok()
    (control if channel is CONTROL else frames).send_multipart([b"VIVANT/1", bytes(size + 1)])
    log = server.data / "logs" / "server.log"
    until(lambda: f"(session {session}) ended" in log.read_text())
    ada.call(Ping())
    if channel is FRAMES:
        assert ask(control, Ping()) == Pong()
    assert log.read_text().count(f"(session {session}) ended") == 1
    context.destroy(linger=0)


def test_who_says_bye_is_not_logged(server):
    sessions = []
    for _ in range(20):
        with server.connect() as client:
            sessions.append(client.session)
    with server.connect() as client:
        client.call(Ping())
        time.sleep(0.2)  # turns of the loop
    log = (server.data / "logs" / "server.log").read_text()
    assert not [session for session in sessions if session in log]


def test_04_a_stranger_that_is_cut_is_logged(server):
    context = new_context()
    log = server.data / "logs" / "server.log"
    before = log.read_text().count("nobody had said hello")
    raw(context, server.connection()).send_multipart([b"VIVANT/1", bytes(limits.CONTROL_PART_BYTES + 1)])
    until(lambda: log.read_text().count("nobody had said hello") == before + 1)
    context.destroy(linger=0)


@pytest.mark.parametrize(("channel", "size"), PARTS)
@pytest.mark.limits("CONTROL_PART_BYTES", "JOIN_PART_BYTES")
def test_04_a_part_of_the_largest_size_is_heard(server, channel, size):
    context = new_context()
    sock = raw(context, server.connection(), channel)
    sock.send_multipart([b"VIVANT/1", bytes(size)])
    assert sock.poll(10_000)
    context.destroy(linger=0)


def test_06_another_major_version_is_told_which_side_is_older(server):
    context = new_context()
    session = new_id()
    older = ask(raw(context, server.connection()), Hello(session, major=0))
    newer = ask(raw(context, server.connection()), Hello(session, major=2))
    assert (older.code, newer.code) == ("version", "version")
    assert "update the client" in older.message and "update the server" in newer.message
    context.destroy(linger=0)


def test_07_a_kind_that_only_servers_send_is_answered_with_an_error(ada):
    with pytest.raises(WireError) as told:
        ada.call(Ok())
    assert told.value.code == "unknown_kind"


def test_11_the_second_connection_of_a_session_takes_over_and_the_first_stops(server, ada):
    second = Client(server.connection(), session=ada.session)
    until(lambda: ada.state == "refused")
    assert ada.error.code == "superseded"
    assert second.call(Ping())
    second.close()


def with_routing(context, connection, routing):
    sock = client_socket(context, CONTROL, connection)
    sock.set(zmq.ROUTING_ID, routing)
    connect(sock, CONTROL, connection)
    return sock


def test_11_of_two_connections_with_one_routing_id_the_first_is_heard_and_the_server_lives(tmp_path):
    """With `ROUTER_HANDOVER` the second one was, and when the first spoke again, an assertion of libzmq's ended it."""
    context, routing, session = new_context(), b"v of my own", new_id()
    with serving(tmp_path, LIMITS=json.dumps({"HEARTBEAT_S": [0.1, 0.2, 0.3]})) as server:
        first = with_routing(context, server.connection(), routing)
        assert isinstance(ask(first, Hello(session)), Welcome)
        second = with_routing(context, server.connection(), routing)
        assert ask(second, Hello(session), seconds=0.3) is None
        assert ask(first, Ping()) == Pong()
        context.destroy(linger=0)
        time.sleep(0.5)  # some heartbeats
        with server.connect() as client:
            client.call(Ping())


def test_there_is_room_for_so_many_clients_and_one_more_is_told(server):
    clients = [server.client() for _ in range(limits.CLIENTS)]
    try:
        until(lambda: all(client.state == "ready" for client in clients) or any(client.error for client in clients))
        extra = server.client()
        until(lambda: extra.error is not None or clients[-1].error is not None)
        assert "clients are connected with this key already" in str(extra.error or clients[-1].error)
        extra.close()
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    "request_of",
    [
        lambda job: JobCancel(job),
        lambda job: JobResume(job),
        lambda job: JobForget(job),
        lambda job: JobEvents(job),
        lambda job: JobLog(job),
        lambda job: FilesList(job),
        lambda job: FileGet(job, "avatar.json"),
        lambda job: AvatarOpen(job),
        lambda job: AvatarRename(job, "mine"),
        lambda job: AvatarDelete(job),
    ],
)
def test_what_is_anothers_does_not_exist(bob, avatar, request_of):
    mine, unknown = request_of(avatar), request_of(str(uuid.uuid4()))
    with pytest.raises(WireError) as seen:
        bob.call(mine)
    with pytest.raises(WireError) as not_there:
        bob.call(unknown)
    assert (seen.value.code, seen.value.message) == (not_there.value.code, not_there.value.message)
    assert seen.value.code.startswith("unknown_")


def test_lists_and_events_hold_nothing_of_anothers(server, ada, bob, avatar):
    job = submit(ada, steps=5)
    until_state(ada, job, "finished")
    assert bob.call(JobList()).message.jobs == () and bob.call(AvatarList()).message.avatars == ()
    assert not drain(bob, 0.1)


def test_anothers_avatar_is_not_drawn_and_anothers_photo_not_built(ada, bob, avatar):
    with pytest.raises(WireError, match="no such avatar"):
        bob.call(render_frames(avatar), motion())
    asked = bob.post(render_live(avatar), motion())
    until(lambda: any(came.re == asked and came.message.code == "unknown_avatar" for came in drain(bob)))
    photo = upload(ada, b"secret" + PHOTO)
    with pytest.raises(WireError, match="Upload it first"):
        bob.call(JobSubmit(new_id(), "register", photo))
    with pytest.raises(WireError, match="belongs to another"):
        bob.call(JobSubmit(avatar, "register", upload(bob, PHOTO)))


def test_a_remote_client_neither_imports_nor_stops(bob, tmp_path):
    assert not bob.welcome.loopback
    for message in (AvatarImport(new_id(), str(tmp_path)), ServerStop()):
        with pytest.raises(WireError) as told:
            bob.call(message)
        assert told.value.code == "not_local"


@pytest.mark.parametrize("name", ["../journal.sqlite", "/etc/passwd", "CON", "a\0b", "x" * 200, "é", "..", ".", ""])
def test_34_files_are_found_by_listed_names_alone(ada, avatar, name):
    with pytest.raises(WireError) as told:
        download(ada, avatar, name)
    assert told.value.code == "unknown_file"


@pytest.mark.parametrize("name", ["../../x", "/abs", "CON", "a\0b", "é", "🙂" * 200])
def test_34_names_are_labels_and_never_paths(ada, avatar, name):
    assert ada.call(AvatarRename(avatar, name)).message.info.name == name


def test_revoking_a_key_shuts_its_client_out_while_it_is_connected(server, bob):
    assert main(["keys", "revoke", "bob", "--data", str(server.data)]) == 0
    until(lambda: bob.state == "refused")
    assert bob.error.code == "not_allowed"


def test_keys_are_listed_by_name_and_the_file_of_a_client_is_private(tmp_path, capsys):
    data, out = ["--data", str(tmp_path)], tmp_path / "ada.json"
    assert main(["keys", "new", "ada", "--host", "10.0.0.1", "--out", str(out), *data]) == 0
    connection = load_connection(out)
    assert out.stat().st_mode & 0o077 == 0
    assert main(["keys", "list", *data]) == 0
    listed = capsys.readouterr().out
    assert f"{connection.public_key}  ada" in listed and connection.server_key in listed
    assert connection.secret_key not in listed
    assert main(["keys", "new", "ada", "--host", "10.0.0.1", "--out", str(out), *data]) == 1
    assert main(["keys", "revoke", "nobody", *data]) == 1


@pytest.mark.parametrize("name", ["", "../x", "a/b", "n" * 65, "new\nline"])
def test_34_a_key_needs_a_name_that_can_be_one(tmp_path, name):
    with pytest.raises(VivantError, match="no name"):
        keys.allow(tmp_path, name, keys.new_pair().public)


def test_what_is_no_key_is_not_allowed(tmp_path):
    with pytest.raises(VivantError, match="no public key"):
        keys.allow(tmp_path, "ada", "short")
