"""Enabled, disabled, installed: the extension leaves Blender as it was, and costs next to nothing."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import build_addon

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

TIMES = 50
ROOT = Path(__file__).resolve().parents[2]

INSTALL = """
import os, sys, time
import bpy
before = set(sys.modules)
result = bpy.ops.extensions.package_install_files(
    repo="user_default", filepath=sys.argv[1], enable_on_install=True, overwrite=True)
assert result == {"FINISHED"}, result
import bl_ext.user_default.vivant as vivant
assert not {"numpy", "zmq"} & (set(sys.modules) - before)
assert "JobInfo" not in object.__getattribute__(vivant.late.messages, "__dict__")
assert "vivant" in bpy.context.preferences.addons["bl_ext.user_default.vivant"].module
import zmq
assert ".local" in zmq.__file__, zmq.__file__
vivant.session.connect(vivant.backend_process.start_mock(vivant.compat.user_folder("mock")))
assert vivant.session.wait(vivant.session.is_ready, 10)
bpy.ops.preferences.addon_disable(module="bl_ext.user_default.vivant")
print("all is well", flush=True)
os._exit(0)
"""


SERVES = """
from pathlib import Path
from shared.mock import MockServer
from shared.wire.connection import connection_file, save_connection
data = Path(sys.argv[sys.argv.index("--data") + 1])
save_connection(connection_file(data), MockServer(data, pace=0.0).start())
print('{"ready": true}', flush=True)
sys.stdin.read()
"""
"""Stands in for the Python that runs `vivant serve --until-eof`."""

QUITS = """
import atexit, os, sys, time
from pathlib import Path
import bpy
import build_addon
from tests.blender_addon import mocked
folder, way = Path(sys.argv[1]), sys.argv[2]
build_addon.stage(folder / "dev")
bpy.context.preferences.extensions.repos.new(
    name="dev", module="dev", custom_directory=str(folder / "dev"), remote_url="")
bpy.ops.preferences.addon_enable(module="bl_ext.dev.vivant")
from bl_ext.dev.vivant import backend_process, session
process = backend_process.start(folder / "python", folder / "data", folder / "log", keep_running=False)
session.connect(backend_process.wait_until_ready(process, folder / "data", folder / "log"))
assert session.wait(session.is_ready, 20)
mocked.stream(mocked.built())
began = time.monotonic()
if way == "quits":  # what runs when Blender ends; bpy as a module hangs or crashes in the interpreter's own end
    atexit._run_exitfuncs()
print(process.pid, time.monotonic() - began, flush=True)
os._exit(0)
"""


def open_files():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def handlers():
    return sum(
        len(value) for name in dir(bpy.app.handlers) if isinstance(value := getattr(bpy.app.handlers, name), list)
    )


def test_enabling_fifty_times_leaves_threads_files_handlers_and_classes_as_they_were(empty):
    name = empty.__name__
    bpy.ops.preferences.addon_disable(module=name)
    before = threading.active_count(), open_files(), handlers(), len(bpy.types.Panel.__subclasses__())
    for _ in range(TIMES):
        assert bpy.ops.preferences.addon_enable(module=name) == {"FINISHED"}
        bpy.ops.preferences.addon_disable(module=name)
    after = threading.active_count(), open_files(), handlers(), len(bpy.types.Panel.__subclasses__())
    bpy.ops.preferences.addon_enable(module=name)
    assert after == before


def test_connecting_twenty_times_leaves_no_thread_and_no_file_open(empty, tmp_path):
    pytest.importorskip("zmq", reason="needs pyzmq")

    def once():
        empty.session.connect(empty.backend_process.start_mock(tmp_path, 0.01))
        assert empty.session.wait(empty.session.is_ready, 10)
        empty.session.disconnect()
        empty.backend_process.stop()

    once()
    before = threading.active_count(), open_files()
    for _ in range(20):
        once()
    assert (threading.active_count(), open_files()) == before


def test_row_26_disabling_while_frames_come_takes_less_than_a_second(empty, tmp_path):
    pytest.importorskip("zmq", reason="needs pyzmq")
    from tests.blender_addon import mocked

    name = empty.__name__
    with mocked.backend(tmp_path):
        mocked.stream(mocked.built())
        began = time.monotonic()
        bpy.ops.preferences.addon_disable(module=name)
        took, names = time.monotonic() - began, {thread.name for thread in threading.enumerate()}
        bpy.ops.preferences.addon_enable(module=name)
    assert took < 1 and not {"vivant-client", "vivant-work"} & names


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script with a first line for Unix")
@pytest.mark.parametrize("way", ["quits", "crashes"])
def test_row_26_quitting_while_frames_come_takes_less_than_a_second_and_leaves_no_backend(tmp_path, way):
    pytest.importorskip("zmq", reason="needs pyzmq")
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r}){SERVES}")
    program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    command = [sys.executable, "-c", QUITS, str(tmp_path), way]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    backend, took = done.stdout.split()[-2:]
    assert float(took) < 1
    end = time.monotonic() + 5
    while Path(f"/proc/{backend}").exists():
        assert time.monotonic() < end, "the backend outlives its Blender"
        time.sleep(0.02)


def test_disabling_leaves_nothing_on_blenders_types(empty):
    name = empty.__name__
    bpy.ops.preferences.addon_disable(module=name)
    left = [kind.__name__ for kind in (bpy.types.Scene, bpy.types.WindowManager) if hasattr(kind, "vivant")]
    bpy.ops.preferences.addon_enable(module=name)
    assert not left


def test_a_fault_in_one_callback_does_not_stop_the_timer(empty, capsys):
    empty.session.in_thread(lambda: 1, lambda _: 1 / 0)
    for _ in range(100):
        assert empty.session._tick() is not None or empty.session._pending == 0
        time.sleep(0.01)
        if not empty.session._pending:
            break
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_timer_ends_when_nothing_is_connected_and_nothing_is_under_way(empty):
    assert empty.session._tick() is None


def test_a_tick_without_news_takes_less_than_a_millisecond(empty, tmp_path):
    pytest.importorskip("zmq", reason="needs pyzmq")
    empty.session.connect(empty.backend_process.start_mock(tmp_path))
    try:
        assert empty.session.wait(empty.session.is_ready, 10)
        assert empty.session.wait(lambda: empty.session._pending == 0, 10)
        times = []
        for _ in range(200):
            start = time.perf_counter()
            empty.session._tick()
            times.append(time.perf_counter() - start)
        assert sorted(times)[100] < 0.001
    finally:
        empty.session.disconnect()
        empty.backend_process.stop()


def test_the_zip_installs_as_a_user_would_and_brings_its_own_zmq(tmp_path):
    """In a process of its own: without the zmq of this environment, as in Blender."""
    if not hasattr(bpy.ops.extensions, "package_install_files"):
        pytest.skip("this Blender has no extensions")
    try:
        archive = build_addon.build(tmp_path / "dist")
    except subprocess.CalledProcessError:
        pytest.skip("pip cannot fetch pyzmq's wheels here")
    script = tmp_path / "install.py"
    script.write_text(INSTALL)
    environment = {"BLENDER_USER_RESOURCES": str(tmp_path / "user"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", _without("zmq") + INSTALL, str(archive)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert "all is well" in done.stdout, done.stdout + done.stderr


def _without(package):
    """Code that hides this environment's own package until Blender has put another one on the path."""
    return f"""
import sys, importlib.abc, importlib.machinery
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            places = [place for place in sys.path if ".local" in place and "extensions" in place]
            spec = importlib.machinery.PathFinder.find_spec(name, places)
            if spec is None:
                raise ModuleNotFoundError(name)
            return spec
        return None
sys.meta_path.insert(0, Hidden())
"""
