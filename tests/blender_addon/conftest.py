"""The extension, staged and enabled in the `bpy` module. Without bpy, the tests that need it are skipped."""

import os
import sys
import tempfile

import pytest

import build_addon


@pytest.fixture(scope="session")
def vivant(tmp_path_factory):
    """The enabled package (`vivant.session`, ...), from a staged copy in an extension repository of its own."""
    import bpy

    home = tmp_path_factory.mktemp("blender")
    build_addon.stage(home / "dev")
    repos = bpy.context.preferences.extensions.repos
    repos.new(name="dev", module="dev", custom_directory=str(home / "dev"), remote_url="")
    assert bpy.ops.preferences.addon_enable(module="bl_ext.dev.vivant") == {"FINISHED"}
    yield sys.modules["bl_ext.dev.vivant"]
    bpy.ops.preferences.addon_disable(module="bl_ext.dev.vivant")


@pytest.fixture
def empty(vivant):
    """The same, in an empty scene."""
    import bpy

    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)  # read_factory_settings disables extensions
    return vivant


_result = [0]


def pytest_sessionstart():
    """Blender's settings of the user are neither read nor written."""
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="vivant-blender-")


def pytest_sessionfinish(session, exitstatus):
    _result[0] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """bpy 4.2 crashes and 4.5 hangs in the interpreter's own end."""
    if "bpy" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_result[0])
