import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import backend
import build_addon

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="building needs Python 3.11 (tomllib)")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    try:
        return build_addon.build(tmp_path_factory.mktemp("dist"))
    except subprocess.CalledProcessError:
        pytest.skip("pip cannot fetch pyzmq's wheels here")


def test_the_same_inputs_give_the_same_bytes(archive, tmp_path):
    assert build_addon.build(tmp_path).read_bytes() == archive.read_bytes()
    assert (tmp_path / "index.json").read_bytes() == (archive.parent / "index.json").read_bytes()


def test_the_zip_holds_the_package_its_licence_the_shared_code_and_a_wheel_for_every_blender(archive):
    names = set(zipfile.ZipFile(archive).namelist())
    assert {"__init__.py", "blender_manifest.toml", "LICENSE", "_shared/wire/messages.py"} <= names
    assert sum(name.startswith("wheels/pyzmq-") for name in names) == 6
    assert not any("__pycache__" in name or "/." in name for name in names)


def test_the_manifest_lists_the_wheels_and_carries_the_version_of_the_backend(archive):
    import tomllib

    manifest = tomllib.loads(zipfile.ZipFile(archive).read("blender_manifest.toml").decode())
    assert len(manifest["wheels"]) == len(build_addon.WHEELS)
    assert manifest["version"] == backend.__version__ == archive.stem.removeprefix("vivant-")


def test_the_index_describes_the_zip(archive):
    (entry,) = json.loads((archive.parent / "index.json").read_text())["data"]
    assert entry["archive_size"] == archive.stat().st_size
    assert (archive.parent / entry["archive_url"]).samefile(archive)
    assert entry["python_versions"] == ["3.11", "3.13"]


def test_blenders_own_tool_finds_no_fault(archive):
    pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")
    build_addon.validate(archive, Path(sys.executable))
