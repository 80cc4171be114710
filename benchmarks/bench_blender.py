"""What the extension costs inside Blender: `python benchmarks/bench_blender.py [--out FILE]` in a Python with bpy.

Staged and enabled as the tests do it; the person is the packaged open body, undressed, with all its expressions.
"""

from __future__ import annotations

import argparse
import compileall
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "bl_ext.dev.vivant"
FRAMES = 250
REPEATS = 5
JOINTS_PER_VERTEX = 6


def main() -> None:
    """Run everything, print one line per number."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, metavar="FILE", help="add the numbers to this JSON file, too")
    parser.add_argument("--enable-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="vivant-bench-")
    if arguments.enable_only:
        print(enabled(), flush=True)
        os._exit(0)
    rows = measured()
    for name, value in rows.items():
        print(f"{name:42} {value:.4g}" if isinstance(value, float) else f"{name:42} {value}")
    if arguments.out:
        keep(arguments.out, rows)
    sys.stdout.flush()
    os._exit(0)  # bpy 4.2 crashes and 4.5 hangs in the interpreter's own end


def keep(path: Path, rows: dict[str, Any]) -> None:
    """Write the numbers under the name of this Blender; those of other ones stay in the file."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[rows["blender"]] = rows
    path.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n", encoding="utf-8")


def measured() -> dict[str, Any]:
    """Every number by name; the unit is its ending."""
    import bpy

    rows: dict[str, Any] = {
        "blender": bpy.app.version_string,
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load_before": load(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    rows["enable_s"] = min(enabled(), *(enabled_elsewhere() for _ in range(REPEATS - 1)))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.scene.render.fps = 25
    rows |= rig_numbers()
    return rows


def enabled() -> float:
    """Seconds to enable the extension in a Blender that has just started, compiled as it is from the second time on."""
    import bpy

    import build_addon

    folder = Path(tempfile.mkdtemp(prefix="vivant-bench-")) / "dev"
    compileall.compile_dir(build_addon.stage(folder), quiet=1)
    bpy.context.preferences.extensions.repos.new(name="dev", module="dev", custom_directory=str(folder), remote_url="")
    addon_utils = importlib.import_module("addon_utils")  # found once bpy is loaded
    return seconds(lambda: addon_utils.enable(PACKAGE))  # what Blender's start does for each extension


def enabled_elsewhere() -> float:
    """The same in a Blender of its own: only the first time in a process counts."""
    done = subprocess.run([sys.executable, __file__, "--enable-only"], stdout=subprocess.PIPE, check=True)
    return float(done.stdout.split()[-1])


def rig_numbers() -> dict[str, Any]:
    """Making the rig, keying it, and reading it back, as a range and as a single pose."""
    import bpy

    rig, pose, motion_in, camera = (part(name) for name in ("rig", "pose", "motion_in", "camera"))
    body = open_body()
    rows: dict[str, Any] = {"vertices": len(body.vertices), "expressions": len(body.expression_names)}
    start = time.perf_counter()
    armature = rig.create(bpy.context, body, None, "Bench", "bench")
    rows["create_rig_s"] = time.perf_counter() - start
    motion = part("_shared.talking").talking_motion(FRAMES / 25, 25.0)
    keyed = [seconds(lambda: motion_in.apply_motion(bpy.context, armature, motion, start=1)) for _ in range(REPEATS)]
    read = [seconds(lambda: pose.motion_of(bpy.context, armature, range(1, FRAMES + 1))) for _ in range(REPEATS)]
    rows |= {"frames": FRAMES, "key_frames_s": min(keyed), "extract_frames_s": min(read)}
    depsgraph = bpy.context.evaluated_depsgraph_get()
    add_camera()
    rows["pose_of_ms"] = median_ms(lambda: pose.pose_of(armature, depsgraph))
    rows["camera_of_ms"] = median_ms(lambda: camera.camera_of(bpy.context.scene, bpy.context.evaluated_depsgraph_get()))
    return rows


def part(name: str) -> Any:
    """A module of the enabled extension."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def add_camera() -> None:
    """Give the scene a camera."""
    import bpy

    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)


def open_body() -> Any:
    """The packaged open body as a rig."""
    import numpy as np

    with np.load(ROOT / "backend/body/assets/open_body.npz") as body:
        names = body["open_expression_names"]
        deltas = np.moveaxis(body["shapedirs"][:, :, 300 : 300 + len(names)], 2, 0)  # [E, V, 3]
        joints = np.argsort(-body["weights"], axis=1)[:, :JOINTS_PER_VERTEX]
        expression, moved = np.nonzero(np.abs(deltas).max(axis=2) > 1e-5)
        return part("_shared.rig").Rig(
            vertices=body["v_template"],
            faces=body["f"].astype(np.int32),
            uvs=body["vt"][body["ft"]],
            joints=body["J_regressor"] @ body["v_template"],
            skin_joints=joints.astype(np.uint8),
            skin_weights=np.take_along_axis(body["weights"], joints, axis=1),
            expression_names=names,
            expression_start=np.searchsorted(expression, np.arange(len(names) + 1)).astype(np.int32),
            expression_vertices=moved.astype(np.int32),
            expression_deltas=deltas[expression, moved],
            hand_mean=np.zeros((30, 3), np.float32),
            full_pose=np.zeros(165, np.float32),
            transl=np.zeros(3, np.float32),
            expression=np.zeros(len(names), np.float32),
            K=np.eye(3, dtype=np.float32),
            world_to_camera=np.eye(4, dtype=np.float32),
            image_size=np.array([512, 512], np.int32),
            body_sha256="",
        )


def cpu_model() -> str:
    """The processor's name; where Linux does not tell, what Python knows."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def load() -> float | None:
    """How many processes wanted a core in the last minute: near 0 on an idle computer. None where nobody counts."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def seconds(work: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_ms(work: Callable[[], Any], repeats: int = 200) -> float:
    """The median of many calls in milliseconds."""
    return 1000 * statistics.median(seconds(work) for _ in range(repeats))


if __name__ == "__main__":
    main()
