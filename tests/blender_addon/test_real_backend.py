"""Start, restart and stop the real `vivant serve`. VIVANT_PYTHON names a Python that has Vivant installed."""

import os

import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")
pytest.importorskip("zmq", reason="needs pyzmq")
pytestmark = pytest.mark.skipif("VIVANT_PYTHON" not in os.environ, reason="needs VIVANT_PYTHON, a Python with Vivant")

READY_S = 60


@pytest.fixture
def addon(empty, tmp_path):
    empty.preferences.get().data = str(tmp_path / "data")
    yield empty
    empty.session.disconnect()
    empty.backend_process.stop()
    empty.mirror.dismiss()
    empty.preferences.get().data = ""


def boot(addon):
    return addon.session.client().welcome.boot


def test_the_backend_starts_restarts_and_stops_from_the_panel(addon, tmp_path):
    assert bpy.ops.vivant.start_backend() == {"FINISHED"}
    assert addon.session.wait(addon.session.is_ready, READY_S), bpy.context.window_manager.vivant.notice
    assert addon.session.wait(lambda: addon.mirror.status() is not None, 10)
    first, process = boot(addon), addon.backend_process._process
    assert bpy.ops.vivant.restart_backend() == {"FINISHED"}
    assert addon.session.wait(addon.session.is_ready, READY_S), bpy.context.window_manager.vivant.notice
    assert boot(addon) != first and process.poll() is not None
    process = addon.backend_process._process
    assert bpy.ops.vivant.stop_backend() == {"FINISHED"}
    assert addon.session.client() is None
    process.wait(30)
    assert not (tmp_path / "data" / "connection.json").exists()


def test_a_backend_that_was_killed_and_started_again_elsewhere_is_found(addon, tmp_path):
    bpy.ops.vivant.start_backend()
    assert addon.session.wait(addon.session.is_ready, READY_S)
    first, process = boot(addon), addon.backend_process._process
    process.kill()
    process.wait(10)
    data, log = tmp_path / "data", tmp_path / "log.txt"
    again = addon.backend_process.start(addon.preferences.python(), data, log, False)
    assert addon.session.wait(lambda: addon.session.is_ready() and boot(addon) != first, READY_S)
    addon.backend_process.settled(again)
