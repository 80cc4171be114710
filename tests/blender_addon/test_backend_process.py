"""Processes on this computer: found, started, and gone with Blender. The programs here stand in for `vivant serve`."""

import json
import sys
import time

import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")
pytest.importorskip("zmq", reason="needs pyzmq")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are scripts with a first line for Unix")

SERVES = """
import json, pathlib, sys
data = pathlib.Path(sys.argv[sys.argv.index("--data") + 1])
data.mkdir(exist_ok=True)
(data / "connection.json").write_text(json.dumps({"host": "127.0.0.1", "control_port": 1, "frames_port": 2}))
print(json.dumps({"ready": True}), flush=True)
sys.stdin.read()
(data / "ended").touch()
"""


@pytest.fixture
def addon(empty):
    yield empty
    empty.session.disconnect()
    empty.backend_process.stop()
    empty.mirror.dismiss()


def program(tmp_path, code):
    """An executable that runs `code`, called as the Python of the preferences would be."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o755)
    return path


def start(addon, tmp_path, code, keep_running=False):
    process = addon.backend_process
    log = tmp_path / "log.txt"
    running = process.start(program(tmp_path, code), tmp_path / "data", log, keep_running)
    return running, lambda: process.wait_until_ready(running, tmp_path / "data", log)


def test_a_backend_that_serves_gives_its_connection_and_ends_with_us(addon, tmp_path):
    running, ready = start(addon, tmp_path, SERVES)
    assert json.loads(ready().read_text())["control_port"] == 1
    assert addon.backend_process.owns_process()
    addon.backend_process.stop()
    assert running.wait(10) == 0
    assert (tmp_path / "data" / "ended").exists(), "it was asked, not killed"


def test_a_backend_that_may_stay_is_left_alone(addon, tmp_path):
    running, ready = start(addon, tmp_path, SERVES.replace("sys.stdin.read()", "import time; time.sleep(30)"), True)
    ready()
    addon.backend_process.stop()
    time.sleep(0.2)
    assert running.poll() is None
    running.kill()
    running.wait(10)


def test_a_backend_that_does_not_listen_is_ended_within_a_second(addon, tmp_path):
    running, ready = start(addon, tmp_path, SERVES.replace("sys.stdin.read()", "import time; time.sleep(30)"))
    ready()
    before = time.monotonic()
    addon.backend_process.stop()
    assert time.monotonic() - before < 1.0
    assert running.wait(10) != 0


def test_a_backend_that_fails_says_why(addon, tmp_path):
    _, ready = start(addon, tmp_path, "import sys; sys.exit('The disk is full.')")
    with pytest.raises(addon.backend_process.VivantError, match=r"The disk is full\."):
        ready()


def test_a_backend_that_runs_already_is_used(addon, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "connection.json").write_text(
        json.dumps({"host": "127.0.0.1", "control_port": 7, "frames_port": 8})
    )
    _, ready = start(addon, tmp_path, "import sys; sys.exit('A server (process 1) already runs on this folder.')")
    assert json.loads(ready().read_text())["control_port"] == 7


def test_a_program_that_cannot_be_run_is_named(addon, tmp_path):
    with pytest.raises(addon.backend_process.VivantError, match="nowhere"):
        addon.backend_process.start(tmp_path / "nowhere", tmp_path, tmp_path / "log.txt", False)


def test_the_doctors_lines_come_into_the_preferences(addon, tmp_path, monkeypatch):
    doctor = program(tmp_path, "print('used    python  3.11'); print('absent  gsplat  pip install it')")
    monkeypatch.setenv("VIVANT_PYTHON", str(doctor))
    addon.preferences._found = None
    assert bpy.ops.vivant.test_python() == {"FINISHED"}
    assert addon.session.wait(lambda: addon.preferences._doctor[0].startswith("used"), 10)
    addon.preferences._found = None


def test_start_connects_by_itself_and_a_failure_is_shown_in_the_panel(addon, tmp_path, monkeypatch):
    monkeypatch.setenv("VIVANT_PYTHON", str(program(tmp_path, "import sys; sys.exit('No torch here.')")))
    addon.preferences._found = None
    assert bpy.ops.vivant.start_backend() == {"FINISHED"}
    assert addon.backend_process.is_starting()
    assert addon.session.wait(lambda: bpy.context.window_manager.vivant.notice, 10)
    assert "No torch here." in bpy.context.window_manager.vivant.notice
    assert not addon.backend_process.is_starting() and addon.session.client() is None
    addon.preferences._found = None


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("VIVANT_PYTHON", raising=False)
    return tmp_path


def environment(folder):
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "vivant"):
        (folder / "bin" / name).touch(mode=0o755)
    return folder / "bin" / "python"


def test_no_python_is_found_where_there_is_none(addon, home):
    assert addon.preferences.find_python() is None


@pytest.mark.parametrize("place", [".venv", "vivant/.venv", ".local/share/uv/tools/vivant", "miniconda3/envs/vivant"])
def test_a_python_is_found_in_the_usual_places(addon, home, place):
    python = environment(home / place)
    assert addon.preferences.find_python() == python


def test_the_command_on_the_path_leads_to_its_python_through_a_link(addon, home, monkeypatch):
    python = environment(home / "elsewhere")
    (home / "links").mkdir()
    (home / "links" / "vivant").symlink_to(python.with_name("vivant"))
    monkeypatch.setenv("PATH", str(home / "links"))
    assert addon.preferences.find_python() == python


def test_the_choice_goes_before_all(addon, home, monkeypatch):
    environment(home / ".venv")
    chosen = environment(home / "mine")
    assert addon.preferences.find_python(str(chosen)) == chosen
    assert addon.preferences.find_python(str(home / "gone")) is None


def test_another_computer_needs_online_access(addon, tmp_path):
    preferences = addon.preferences.get()
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"host": "render.example", "control_port": 1, "frames_port": 2}))
    preferences.where, preferences.key_file = "REMOTE", str(key)
    try:
        if not bpy.app.online_access:
            with pytest.raises(addon.backend_process.VivantError, match="Allow online access"):
                addon.preferences.chosen_connection()
        preferences.host = "127.0.0.1"
        assert addon.preferences.chosen_connection().loopback
    finally:
        preferences.where, preferences.key_file, preferences.host = "LOCAL", "", ""
