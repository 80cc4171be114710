"""The command line: exit codes, sentences, and what is left behind."""

import errno
import json
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from backend import cli, commands, perform
from backend.cli import DONE, FAILED, INTERRUPTED, WRONG_USAGE, main
from backend.pipeline import sha256
from shared.talking import talking_motion
from tests.conftest import EXAMPLES

JSON = "--progress json"
DEMO = ("avatar", "talk.mp4", "still.png", "turn.png", "report.html")
TINY = ["--texture", "128", "--size", "128", "--steps", "2"]


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """The example, small: it takes less time."""
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.open(EXAMPLES / "astronaut.png").convert("RGB").resize((384, 384)).save(path)
    return path


@pytest.fixture(scope="module")
def interrupted(photo, tmp_path_factory):
    """A build that got a Ctrl-C while training: its folder, exit code and last words."""
    out = tmp_path_factory.mktemp("built") / "avatar"
    long = [*TINY, "--steps", "5000"]
    command = [sys.executable, "-m", "backend.cli", "build", str(photo), "--out", str(out), "--progress", "json", *long]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, we may ignore it
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with child:
        words, training = "", False
        for line in child.stderr:
            if not line.startswith("{"):
                words += line
            elif json.loads(line)["stage"] == "training" and not training:
                training = True
                child.send_signal(signal.SIGINT)
    return out, child.returncode, words


@pytest.fixture(scope="module")
def avatar(interrupted, photo):
    """What `--resume` makes of it, and its events."""
    out = interrupted[0]
    events = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "reporting", lambda kind, stream: Recorder(events))
        assert main(["build", str(photo), "--out", str(out), "--resume", *TINY]) == DONE
    return out, events


class Recorder:
    def __init__(self, events):
        self.events = events

    def __enter__(self):
        return self.events.append

    def __exit__(self, *_):
        pass


def failure(capsys, *words):
    """The sentence of a command that must fail, and must not show a traceback."""
    assert main([str(word) for word in words]) == FAILED
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    sentence = shown.err.splitlines()[-1]
    assert sentence.startswith("vivant: ")
    return sentence


def test_help_needs_nothing_heavy():
    script = "import sys; from backend import cli; cli.parser().format_help(); print('numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "False"


@pytest.mark.parametrize("command", ["demo", "build", "register", "render", "evaluate", "bench", "doctor"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"])
    assert leaving.value.code == DONE
    assert "--progress" in capsys.readouterr().out
    assert command in commands.COMMANDS


@pytest.mark.parametrize(
    "words",
    [
        "",
        "paint photo.png",
        "build photo.png",
        "build photo.png --out a --texture 100",
        "build photo.png --out a --steps 0",
        "build photo.png --out a --person 0",
        "render a --motion m.npz --out f --size 12",
        "render a --motion m.npz --out f --frames 9-3",
        "render a --motion m.npz --out f --background red",
        "bench everything",
    ],
)
def test_wrong_usage_exits_with_2(words):
    with pytest.raises(SystemExit) as leaving:
        main(words.split())
    assert leaving.value.code == WRONG_USAGE


def test_a_photo_that_is_empty_is_refused_and_nothing_stays(tmp_path, capsys):
    (tmp_path / "empty.png").touch()
    assert "empty" in failure(capsys, "build", tmp_path / "empty.png", "--out", tmp_path / "avatar")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.png"]


def test_a_photo_without_a_person_is_refused_and_nothing_stays(tmp_path, capsys):
    Image.new("RGB", (320, 240), (90, 120, 60)).save(tmp_path / "lawn.png")
    assert "No person" in failure(capsys, "build", tmp_path / "lawn.png", "--out", tmp_path / "avatar")
    assert [path.name for path in tmp_path.iterdir()] == ["lawn.png"]


def test_a_missing_photo_is_named(tmp_path, capsys):
    assert "nowhere.png" in failure(capsys, "build", tmp_path / "nowhere.png", "--out", tmp_path / "avatar")


def test_a_folder_that_cannot_be_written_is_said_before_the_work(photo, tmp_path, capsys):
    (tmp_path / "file").touch()
    for words in (
        ["build", photo, "--out", tmp_path / "file" / "avatar"],
        ["register", photo, "--out", tmp_path / "file" / "fit.npz"],
        ["demo", "--out", tmp_path / "file" / "demo"],
        ["evaluate", tmp_path, "--out", tmp_path / "file" / "numbers.json"],
        ["bench", "--out", tmp_path / "file" / "numbers.json"],
    ):
        assert "Cannot write" in failure(capsys, *words)


def test_a_place_that_may_not_be_looked_at_is_said(photo, tmp_path, capsys, monkeypatch):
    def closed(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.exists", closed)
    assert "No access to" in failure(capsys, "build", photo, "--out", tmp_path / "avatar")
    assert "Cannot write" in failure(capsys, "register", photo, "--out", tmp_path / "fit.npz")


def test_an_avatar_is_never_overwritten(photo, tmp_path, capsys):
    assert "exists already" in failure(capsys, "build", photo, "--out", tmp_path)


def test_a_wrong_body_file_is_refused(photo, tmp_path, capsys):
    np.savez(tmp_path / "body.npz", v_template=np.zeros((10, 3)))
    (tmp_path / "body.pkl").write_bytes(b"\x80\x04N.")
    lacking = failure(capsys, "build", photo, "--out", tmp_path / "avatar", "--body", tmp_path / "body.npz")
    assert "kintree_table" in lacking
    assert "pkl" in failure(capsys, "register", photo, "--out", tmp_path / "fit.npz", "--body", tmp_path / "body.pkl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["body.npz", "body.pkl"]


def test_a_truth_set_that_is_none_is_refused(tmp_path, capsys):
    assert "subject_" in failure(capsys, "evaluate", tmp_path, "--out", tmp_path / "numbers.json")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_what_can_be_resumed_and_says_how(interrupted, photo):
    out, code, words = interrupted
    assert code == INTERRUPTED
    assert "Traceback" not in words
    assert f"Go on with: vivant build {photo} --out {out} " in words and words.endswith("--resume\n")
    (partial,) = out.parent.glob("avatar.*.partial")
    assert (partial / "registration.npz").exists()
    assert not out.exists()


def test_resume_goes_on_and_finishes(avatar):
    folder, events = avatar
    assert {"photo", "registration"}.isdisjoint(event.stage for event in events)
    assert any(event.stage == "training" for event in events)
    assert (folder / "avatar.json").exists() and (folder / "report.html").exists()
    assert not list(folder.parent.glob("*.partial"))


def test_render_draws_the_frames_asked_for(avatar, tmp_path, capsys):
    talking_motion(0.4, 25.0).save(tmp_path / "talk.npz")
    drawing = ["render", avatar[0], "--motion", tmp_path / "talk.npz", "--size", "64x48", "--frames", "2-3"]
    assert main([str(word) for word in [*drawing, "--out", tmp_path / "frames"]]) == DONE
    assert capsys.readouterr().out == f"{tmp_path / 'frames'}\n"
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["000002.png", "000003.png"]
    assert Image.open(tmp_path / "frames" / "000002.png").size == (64, 48)


def interrupted_demo(folder, stage):
    """A demo that got a Ctrl-C in this stage: exit code, and all that it said."""
    command = [sys.executable, "-m", "backend.cli", "demo", "--out", str(folder), "--progress", "json"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    with child:
        told = ""
        for line in child.stderr:
            if f'"stage": "{stage}"' in line and stage not in told:
                child.send_signal(signal.SIGINT)
            told += line
    return child.returncode, told


@pytest.mark.slow
def test_a_demo_interrupted_in_its_video_goes_on_where_it_was(avatar, tmp_path, monkeypatch, capsys):
    """Once it took the finished avatar for somebody else's, and built all anew in another folder."""
    folder = tmp_path / "demo"
    shutil.copytree(avatar[0], folder / "avatar")
    about = json.loads((folder / "avatar" / "avatar.json").read_text(encoding="utf-8"))
    about["photo_sha256"] = sha256(EXAMPLES / "astronaut.png")
    (folder / "avatar" / "avatar.json").write_text(json.dumps(about), encoding="utf-8")
    code, told = interrupted_demo(folder, "render")
    assert code == INTERRUPTED and "Traceback" not in told and told.endswith(f"vivant demo --out {folder} {JSON}\n")
    assert [path.name for path in folder.iterdir()] == ["avatar"]

    monkeypatch.setattr(perform, "DEMO_SECONDS", 0.2)
    assert main(["demo", "--out", str(folder)]) == DONE
    shown = capsys.readouterr()
    assert f"Going on in {folder}" in shown.err and "training" not in shown.err
    assert sorted(path.name for path in folder.iterdir()) == sorted(DEMO) and list(tmp_path.iterdir()) == [folder]


def test_a_motion_with_nan_is_refused_and_nothing_stays(avatar, tmp_path, capsys):
    poses = np.zeros((5, 165))
    poses[3, 7] = np.nan
    np.savez(tmp_path / "motion.npz", poses=poses, trans=np.zeros((5, 3)), mocap_frame_rate=25.0)
    sentence = failure(capsys, "render", avatar[0], "--motion", tmp_path / "motion.npz", "--out", tmp_path / "frames")
    assert "not finite" in sentence and "frame 3" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["motion.npz"]


def test_a_full_disk_is_said(monkeypatch, capsys):
    def write(arguments, progress):
        raise OSError(errno.ENOSPC, "No space left on device", "avatar.json")

    monkeypatch.setitem(commands.COMMANDS, "doctor", write)
    assert "disk is full (avatar.json)" in failure(capsys, "doctor")
