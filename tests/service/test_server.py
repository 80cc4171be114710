"""A server's life: one per folder, ready in a line, gone without a trace. Numbers are rows of the fault table."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from backend.cli import main
from backend.service.lock import FolderLock, is_locked
from backend.service.server import Server, ServeSettings
from shared.errors import VivantError
from shared.wire.calls import connect
from shared.wire.connection import connection_file
from shared.wire.messages import Ping, ServerStop, StatusGet
from tests.service.serving import FAKE_WORKER, ROOT, Serving, serving, submit, until, until_state


def children_of(pid):
    return subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()


def alive(pid):
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().split()[2] != "Z"


def test_one_line_of_json_says_ready_and_the_connection_file_is_private(server):
    assert server.ready["ready"] and server.ready["control_port"] == server.connection().control_port
    assert stat.S_IMODE(connection_file(server.data).stat().st_mode) == 0o600
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (server.data / "keys").iterdir())


def test_a_warm_server_welcomes_within_half_a_second(server):
    began = time.monotonic()
    with server.connect() as client:
        assert client.welcome.loopback and not client.welcome.mock
    assert time.monotonic() - began < 5  # on a laptop 0.04; the bound is for a machine that does much else


def test_37_a_second_server_on_the_folder_refuses_and_says_who_holds_it(server):
    with pytest.raises(VivantError, match=rf"process {server.process.pid}.*--stop"):
        Server(ServeSettings(server.data))
    with server.connect() as client:
        client.call(Ping())


def test_37_a_lock_is_free_again_when_its_server_was_killed(tmp_path):
    server = Serving(tmp_path).start()
    assert is_locked(tmp_path)
    server.kill()
    until(lambda: not is_locked(tmp_path))  # a worker that it was just starting has it until it is a program of its own
    assert connection_file(tmp_path).exists()
    with serving(tmp_path) as second, second.connect() as client:
        client.call(Ping())


def test_a_lock_goes_back_when_it_is_released(tmp_path):
    FolderLock(tmp_path).release()
    FolderLock(tmp_path).release()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_server_and_workers_and_removes_the_connection_file(tmp_path, number):
    with serving(tmp_path) as server:
        until(lambda: len(children_of(server.process.pid)) == 2)
        workers = children_of(server.process.pid)
        assert server.kill(number) == 0
        assert not connection_file(tmp_path).exists() and not is_locked(tmp_path)
        assert not any(map(alive, workers))


def test_workers_end_when_their_server_is_killed(tmp_path):
    with serving(tmp_path) as server:
        until(lambda: len(children_of(server.process.pid)) == 2)
        workers = children_of(server.process.pid)
        server.kill()
        until(lambda: not any(map(alive, workers)))


def test_a_client_stops_the_server_and_its_running_job_is_interrupted(tmp_path):
    with serving(tmp_path) as server:
        with server.connect() as client:
            job = submit(client, steps=1000, size=100)
            until_state(client, job, "running")
            client.call(ServerStop())
        assert server.wait() == 0
    with serving(tmp_path) as server, server.connect() as client:
        assert until_state(client, job, "interrupted").retryable


def test_owner_and_keys_survive_a_restart(tmp_path):
    with serving(tmp_path) as server, server.connect() as client:
        before, boot = server.connection(), client.welcome.boot
        job = submit(client)
        until_state(client, job, "finished")
    with serving(tmp_path) as server, server.connect() as client:
        after = server.connection()
        assert (after.server_key, after.public_key) == (before.server_key, before.public_key)
        assert client.welcome.boot != boot
        assert until_state(client, job, "finished")


def test_10_a_port_that_is_taken_is_replaced_and_the_real_one_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = Server(ServeSettings(tmp_path, port=port, worker=FAKE_WORKER))
        assert server.connection.control_port != port
        server.close()


@pytest.mark.parametrize("address", ["*", "0.0.0.0", "::", ""])
def test_09_it_never_listens_everywhere(tmp_path, address):
    with pytest.raises(VivantError, match="listen everywhere"):
        Server(ServeSettings(tmp_path, bind=address))


def test_09_another_address_without_keys_is_refused_with_exit_code_1(tmp_path, capsys):
    assert main(["serve", "--bind", "192.0.2.1", "--data", str(tmp_path)]) == 1
    assert "vivant keys new" in capsys.readouterr().err
    assert not is_locked(tmp_path)


def test_an_address_of_another_computer_is_named(tmp_path, capsys):
    key_file = str(tmp_path / "ada.json")
    assert main(["keys", "new", "ada", "--host", "192.0.2.1", "--out", key_file, "--data", str(tmp_path)]) == 0
    assert main(["serve", "--bind", "192.0.2.1", "--data", str(tmp_path)]) == 1
    assert "192.0.2.1" in capsys.readouterr().err


def test_16_a_data_folder_that_cannot_be_made_is_said(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["serve", "--data", str(tmp_path / "file" / "data")]) == 1
    assert "Cannot write" in capsys.readouterr().err


def test_a_damaged_journal_is_named_and_nothing_is_lost_over_it(tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(VivantError, match=re.escape("journal.sqlite")):
        Server(ServeSettings(tmp_path))


def test_the_command_serves_without_torch_and_answers_status_and_stop(tmp_path, capsys):
    script = "import sys; from backend.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", script, "serve", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert json.loads(process.stdout.readline())["ready"]
        assert main(["serve", "--status", "--data", str(tmp_path)]) == 0
        assert main(["serve", "--stop", "--data", str(tmp_path)]) == 0
        assert process.stdout.read() == "False\n"
    assert "clients    1" in capsys.readouterr().out
    assert main(["serve", "--stop", "--data", str(tmp_path)]) == 1
    assert "No server runs" in capsys.readouterr().err


def test_a_server_until_eof_ends_with_whoever_holds_its_standard_input(tmp_path):
    command = [sys.executable, "-m", "backend.cli", "serve", "--data", str(tmp_path), "--until-eof"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as server:
        assert json.loads(server.stdout.readline())["ready"]
        server.stdin.close()
        assert server.wait(30) == 0
    assert not connection_file(tmp_path).exists()


def test_status_says_when_workers_do_not_start(tmp_path):
    settings = ServeSettings(tmp_path, worker=(sys.executable, "-c", "raise SystemExit('no torch')"))
    script = f"""
import sys
from pathlib import Path
from backend.service.server import Server, ServeSettings
Server(ServeSettings(Path({str(tmp_path)!r}), worker={settings.worker!r})).run(sys.stdout)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        process.stdout.readline()
        with connect(Serving(tmp_path).connection()) as client:
            until(lambda: any("does not start" in note for note in client.call(StatusGet()).message.notes))
            job = submit(client)
            failed = until_state(client, job, "failed")
            assert failed.retryable and "build-0.log" in failed.error
        process.terminate()
    assert "no torch" in (tmp_path / "logs" / "build-0.log").read_text()
