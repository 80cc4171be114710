"""`vivant client` against the mock server, and against a real one for what the mock has not."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from backend.cli import main
from shared.mock.server import MockServer
from shared.talking import talking_motion
from shared.wire import messages as m
from shared.wire.calls import new_id
from shared.wire.connection import connection_file, save_connection
from tests.conftest import EXAMPLES
from tests.service.serving import ROOT, serving
from tests.shared.wire.small_server import SmallServer


@pytest.fixture(scope="module")
def mock(tmp_path_factory):
    """The folder of a mock server."""
    folder = tmp_path_factory.mktemp("mock")
    server = MockServer(folder, pace=0.02)
    server.start()
    yield folder
    server.stop()


@pytest.fixture
def say(capsys, request):
    """Run `vivant client` and give its lines."""

    def run(data, *words, code=0):
        assert main(["client", "--data", str(data), *map(str, words)]) == code
        shown = capsys.readouterr()
        return (shown.out if code == 0 else shown.err).splitlines()

    return run


@pytest.fixture(scope="module")
def built(mock):
    """The id of an avatar there."""
    command = [
        sys.executable,
        "-m",
        "backend.cli",
        "client",
        "--data",
        str(mock),
        "build",
        str(EXAMPLES / "astronaut.png"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "training" in done.stderr
    return done.stdout.strip()


def test_status_says_what_runs_where(mock, say):
    lines = say(mock, "status")
    assert lines[0].startswith("version") and any(line.startswith("device") for line in lines)


def test_a_build_is_followed_and_its_avatar_listed_named_and_deleted(mock, say):
    (job,) = say(mock, "build", EXAMPLES / "astronaut.png", "--name", "Eileen", "--texture", "128")
    assert any(line.startswith(job) and "Eileen" in line for line in say(mock, "avatars"))
    assert "Collins" in say(mock, "rename", job[:8], "Collins")[0]
    (other,) = say(mock, "build", EXAMPLES / "astronaut.png", "--name", "Collins", "--texture", "128")
    assert "More than one avatar" in say(mock, "delete", "Collins", code=1)[-1]
    say(mock, "delete", other[:8])
    say(mock, "delete", "Collins")
    assert not any(line.startswith(job) for line in say(mock, "avatars"))


def test_an_avatar_is_opened_and_closed(mock, built, say):
    assert say(mock, "open", built[:8])[0].split("dB")[1].startswith("  open")
    assert "  open" not in say(mock, "close", built[:8])[0]


def test_a_corrected_pose_goes_with_the_fit_that_it_corrects(say, tmp_path):
    posture = {"full_pose": np.full(165, 0.25), "transl": np.full(3, 0.5), "expression": np.array([0.75])}
    np.savez(tmp_path / "fit.npz", **posture, expression_names=np.array(["jawOpen"]))
    (tmp_path / "none.npz").write_bytes(b"PK")
    photo = EXAMPLES / "astronaut.png"
    fit = m.JobInfo(new_id(), "register", "Ada", "finished", 0.0)
    answers = {
        m.Ping: lambda asked: m.Pong(),
        m.JobList: lambda asked: m.Jobs((fit,)),
        m.AssetPut: lambda asked: m.AssetHave(asked.sha256, asked.total),
        m.JobSubmit: lambda asked: m.JobIs(fit),
        m.Bye: lambda asked: m.Ok(),
    }
    with SmallServer(lambda envelope: answers[type(envelope.message)](envelope.message)) as server:
        save_connection(connection_file(tmp_path), server.connection())
        corrected = ["build", photo, "--detach", "--registration", fit.job[:8], "--pose"]
        say(tmp_path, *corrected, tmp_path / "fit.npz")
        (submit,) = [envelope for envelope in server.seen if isinstance(envelope.message, m.JobSubmit)]
        assert "Give a registration.npz" in say(tmp_path, *corrected, tmp_path / "none.npz", code=1)[-1]
        assert "--registration" in say(tmp_path, "build", photo, "--pose", tmp_path / "fit.npz", code=1)[-1]
    assert (submit.message.registration, submit.message.expression_names) == (fit.job, ("jawOpen",))
    assert {name: array[0].tolist() for name, array in submit.buffers.items()} == {
        name: array.tolist() for name, array in posture.items()
    }


def test_a_detached_jobs_story_is_told_afterwards(mock, say):
    (job,) = say(mock, "register", EXAMPLES / "astronaut.png", "--detach")
    assert say(mock, "events", job)[-1].split()[5] in ("finished", "cancelled")
    assert any(line.startswith(job) for line in say(mock, "jobs"))
    say(mock, "log", job)
    say(mock, "forget", job)
    assert not any(line.startswith(job) for line in say(mock, "jobs"))


def test_files_are_listed_and_downloaded_whole_or_not_at_all(mock, built, say, tmp_path):
    names = [line.split()[-1] for line in say(mock, "files", built[:6])]
    assert "rig.npz" in names
    assert say(mock, "get", built[:6], "rig.npz", "--out", tmp_path / "rig.npz") == [str(tmp_path / "rig.npz")]
    with np.load(tmp_path / "rig.npz", allow_pickle=False) as rig:
        assert "vertices" in rig
    assert "nothing.png" in say(mock, "get", built, "nothing.png", "--out", tmp_path / "n.png", code=1)[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["rig.npz"]


@pytest.mark.parametrize("kind", ["png", "exr"])
def test_a_motion_becomes_numbered_frames(mock, built, say, tmp_path, kind):
    talking_motion(0.2, 25.0).save(tmp_path / "talk.npz")
    words = ["--motion", tmp_path / "talk.npz", "--out", tmp_path / "frames", "--size", "64x48", "--format", kind]
    say(mock, "render", built, *words)
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == [f"{k:06d}.{kind}" for k in range(5)]
    if kind == "png":
        picture = np.asarray(Image.open(tmp_path / "frames" / "000000.png"))
        assert picture.shape == (48, 64, 4) and picture[..., 3].any() and not picture[0, 0, 3]


def test_live_says_how_fast_frames_come(mock, built, say):
    speed, delay = say(mock, "live", built, "--size", "64x48", "--seconds", "0.5")
    assert float(re.match(r"([\d.]+) frames/s at 64x48", speed)[1]) > 0 and "ms" in delay


def test_an_unknown_beginning_is_said_with_the_way_to_the_list(mock, say):
    assert "vivant client jobs" in say(mock, "cancel", "zzz", code=1)[-1]
    assert "vivant client avatars" in say(mock, "delete", "zzz", code=1)[-1]


def test_without_a_server_the_command_says_how_to_start_one(say, tmp_path):
    assert "vivant serve" in say(tmp_path, "status", code=1)[-1]


def test_a_photo_that_is_missing_or_too_large_is_refused_before_it_is_read(mock, say, tmp_path):
    assert "Cannot read" in say(mock, "build", tmp_path / "nothing.png", code=1)[-1]
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(65 << 20)
    assert "64" in say(mock, "build", tmp_path / "large.png", code=1)[-1]


def test_the_mock_is_served_and_stopped_by_the_same_commands(tmp_path, capsys):
    command = [sys.executable, "-m", "backend.cli", "serve", "--mock", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert json.loads(process.stdout.readline())["ready"]
        assert main(["serve", "--status", "--data", str(tmp_path)]) == 0
        assert main(["serve", "--stop", "--data", str(tmp_path)]) == 0
    assert process.returncode == 0 and not (tmp_path / "connection.json").exists()
    assert "stopped" in capsys.readouterr().out


def test_import_free_and_stop_reach_a_real_server(say, tmp_path, folder):
    with serving(tmp_path / "data") as server:
        assert "Ada" in say(server.data, "import", folder)[0]
        assert any("0 open" in line for line in say(server.data, "free"))
        assert say(server.data, "stop") == ["stopping"]
        assert server.wait() == 0
