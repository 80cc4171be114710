"""Build the Blender extension: `python build_addon.py` writes dist/vivant-<version>.zip and an index for a repository.

Same inputs give the same bytes: the entries are sorted, and dates and permissions are fixed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
WHEEL_CACHE = ROOT / "build" / "wheels"
PYZMQ = "27.3.0"  # wheels before it encrypt a tenth as fast
WHEELS = {
    "cp311-cp311-manylinux_2_26_x86_64.manylinux_2_28_x86_64": (
        "477b8ad30d66fc905c5388351e83b9ac25824b00e82c0d052b72ea6392636dfd"
    ),
    "cp311-cp311-win_amd64": "df98c790f86b6aa2378b4bb94dec7b85b0adb195b880b41e429a4990aed2a8c9",
    "cp311-cp311-macosx_10_15_universal2": "86fb4408797aabb54a31e147176ae0f2474d99f1715a36a4564089eca9ef9ce8",
    "cp312-abi3-manylinux_2_26_x86_64.manylinux_2_28_x86_64": (
        "858fe25231e0fd8612da142efde019faa5ef63fa150a821a27870e791b38c798"
    ),
    "cp312-abi3-win_amd64": "3ea8e8fa5c097e68fef91d70b150fda96f307758103868018fc4deeb9c214122",
    "cp312-abi3-macosx_10_15_universal2": "15155fd8f308d3bd47f67a8f6cc809f9db90abbf63c514c384a17622e2cf080f",
}
"""SHA-256 by tag. Python 3.11 is Blender 4.2 to 5.0; 3.13, of 5.1 and 5.2, has the wheel of 3.12 and later."""
ABI3, AS_PACKED = "cp312-abi3", "cp313-cp313"
"""An abi3 wheel beside others makes Blender 5.1 refuse the zip: there it has the name of the Python that it serves."""
FIXED_DATE = (2026, 1, 1, 0, 0, 0)


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description="Build the Blender extension and an index.json for a repository.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    parser.add_argument(
        "--stage", type=Path, metavar="DIR", help="only unpack the package to DIR/vivant, without wheels"
    )
    parser.add_argument("--validate-with", type=Path, metavar="PROGRAM", help="a Blender, or a Python with bpy")
    arguments = parser.parse_args()
    if arguments.stage:
        print(stage(arguments.stage))
        return
    archive = build(arguments.out)
    if arguments.validate_with:
        validate(archive, arguments.validate_with)
    print(archive)


def stage(folder: Path) -> Path:
    """The extension's package, unpacked: `folder`/vivant, with `shared/` inside as `_shared`. Without wheels."""
    package = folder / "vivant"
    for source, target in ((ROOT / "blender_addon", package), (ROOT / "shared", package / "_shared")):
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"), dirs_exist_ok=True)
    return package


def build(out: Path) -> Path:
    """Write the extension's zip and the repository's index.json into `out`; the zip's path."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        package = stage(Path(temporary))
        _add_wheels(package)
        archive = out / f"vivant-{_version()}.zip"
        _zip(package, archive)
        index = {"version": "v1", "blocklist": [], "data": [_index_entry(package, archive)]}
    (out / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return archive


def validate(archive: Path, program: Path) -> None:
    """Let Blender's own tool check the zip, tags included.

    Raises:
        SystemExit: with what it said, if it found a fault.
    """
    if "blender" in program.name.lower():
        command: list[str | Path] = [program, "--command", "extension", "validate", archive]
    else:
        place = "import importlib.util as u; print(u.find_spec('bpy').submodule_search_locations[0])"
        bpy = Path(subprocess.check_output([program, "-I", "-c", place], text=True).strip())
        tool, tags = next(bpy.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py")), "extensions/tags.py"
        valid_tags = next((tool.parents[4] / "scripts" / "modules").glob(f"*_internal/{tags}"))
        command = [program, "-I", tool, "validate", archive, f"--valid-tags={valid_tags}"]
    if subprocess.run(command).returncode:
        sys.exit(f"Blender's own check found fault with {archive}.")


def _version() -> str:
    for line in (ROOT / "blender_addon" / "blender_manifest.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("version"):
            return line.split('"')[1]
    raise SystemExit("The manifest names no version.")


def _add_wheels(package: Path) -> None:
    """Copy the wheels into the package and list them in its manifest."""
    (package / "wheels").mkdir()
    names = []
    for tag, sha256 in WHEELS.items():
        wheel = _wheel(tag, sha256)
        name = wheel.name.replace(ABI3, AS_PACKED)
        shutil.copy(wheel, package / "wheels" / name)
        names.append(f"./wheels/{name}")
    manifest = package / "blender_manifest.toml"
    lines = [
        f"wheels = {json.dumps(names)}" if line.startswith("wheels = ") else line
        for line in manifest.read_text(encoding="utf-8").splitlines()
    ]
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _wheel(tag: str, sha256: str) -> Path:
    """The wheel from the cache, fetched with pip if it is not there yet."""
    path = WHEEL_CACHE / f"pyzmq-{PYZMQ}-{tag}.whl"
    if not path.exists():
        python, _, platforms = tag.split("-")
        platform = platforms.partition(".")[0]
        wanted = ["--python-version", f"3.{python[3:]}", "--platform", platform, "--dest", str(WHEEL_CACHE)]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, f"pyzmq=={PYZMQ}", *wanted], check=True)
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise SystemExit(f"{path} is not the wheel that was published. Remove it and build again.")
    return path


def _zip(package: Path, archive: Path) -> None:
    temporary = archive.with_suffix(".partial")
    with zipfile.ZipFile(temporary, "w") as target:
        for path in sorted(path for path in package.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(package).as_posix(), FIXED_DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16  # as on Unix, whatever builds it
            entry.compress_type = zipfile.ZIP_STORED if path.suffix == ".whl" else zipfile.ZIP_DEFLATED
            target.writestr(entry, path.read_bytes(), compresslevel=9)
    temporary.replace(archive)


def _index_entry(package: Path, archive: Path) -> dict[str, Any]:
    """What Blender's `extension server-generate` would say of the zip."""
    import tomllib  # from Python 3.11 on; staging and the tests need less

    manifest = tomllib.loads((package / "blender_manifest.toml").read_text(encoding="utf-8"))
    told = {key: value for key, value in manifest.items() if key not in ("wheels", "build")}
    data = archive.read_bytes()
    return {
        **told,
        "python_versions": sorted({f"3.{tag.replace(ABI3, AS_PACKED)[3:5]}" for tag in WHEELS}),
        "archive_url": f"./{archive.name}",
        "archive_size": len(data),
        "archive_hash": f"sha256:{hashlib.sha256(data).hexdigest()}",
    }


if __name__ == "__main__":
    main()
