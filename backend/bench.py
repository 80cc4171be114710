"""`vivant bench`: time and memory of rasteriser, posing, whole builds and the service's frames, on this computer."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from typing import Any

import numba
import numpy as np
import torch

from backend import __version__
from backend.body.bench import bench_posing
from backend.memory import forget_peak, peak_mb
from backend.progress import Event, Progress, silent
from backend.raster.bench import bench_raster, cpu_model
from backend.service.bench import bench_wire
from backend.service.bench_frame import bench_frame
from shared.errors import VivantError

PHOTOS = ("astronaut.png", "full_body.png")
BUILDS = 3  # of each photo
STARTING, FINISHING = "start-up", "finishing"


def bench(suite: str = "all", progress: Progress = silent) -> dict[str, Any]:
    """Run one suite of `SUITES`, or all: `{"computer": {...}, "suites": {name: [row, ...]}}`.

    `all` leaves posing out, and says so, where `smplx` is missing: it is measured beside that.

    Raises:
        VivantError: posing was asked for and `smplx` is not installed, or a build failed.
    """
    chosen = dict(SUITES) if suite == "all" else {suite: SUITES[suite]}
    if suite == "all" and find_spec("smplx") is None:
        del chosen["posing"]
        progress(Event("bench", 0, 1, "Posing is left out: it is measured beside smplx, which is not installed."))
    return {"computer": computer(), "suites": {name: run(progress) for name, run in chosen.items()}}


def computer() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "numba_threads": numba.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "vivant": __version__,
    }


def bench_builds(
    progress: Progress = silent, photos: tuple[str, ...] = PHOTOS, repeats: int = BUILDS
) -> list[dict[str, Any]]:
    """Build each example photo `repeats` times, each in a process of its own; one row per photo and stage.

    A row holds `p50_s`, `p95_s` and `peak_mb`, the most memory that the process was resident with during the stage
    (None where the platform does not tell). The row `all` includes starting Python and importing.
    """
    rows = []
    for index, photo in enumerate(photos):
        builds = []
        for repeat in range(repeats):
            progress(Event("bench", index * repeats + repeat, len(photos) * repeats, f"building {photo}"))
            builds.append(measure_build(photo))
        rows += [_row(photo, stage, builds) for stage in builds[0]]
    progress(Event("bench", len(photos) * repeats, len(photos) * repeats))
    return rows


def measure_build(photo: str) -> dict[str, Stage]:
    """Build one example photo in a child process, as a user would, and follow its events.

    Raises:
        VivantError: the build failed, for the reason that it gave.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        resources.as_file(resources.files("backend.examples") / photo) as path,
    ):
        command = [sys.executable, "-m", "backend.cli", "build", str(path), "--out", "avatar", "--progress", "json"]
        # From a folder of its own, lest Python takes the package from where we stand instead of where it is installed.
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        ) as child:
            stages, words = _follow(child)
    if child.returncode != 0:
        raise VivantError(f"The build of {photo} failed: {words}")
    return stages


@dataclass
class Stage:
    """One stage of one build."""

    seconds: float = 0.0
    peak_mb: float | None = None


def _follow(child: subprocess.Popen[str]) -> tuple[dict[str, Stage], str]:
    """Split the child's run by its events: what leads to an event belongs to that event's stage."""
    stages: dict[str, Stage] = defaultdict(Stage)
    began = last = time.perf_counter()
    words = ""
    assert child.stderr is not None
    for line in child.stderr:
        if not line.startswith("{"):
            words += line
            continue
        now = time.perf_counter()
        stage = stages[json.loads(line)["stage"] if stages else STARTING]
        stage.seconds += now - last
        stage.peak_mb = max(filter(None, (stage.peak_mb, peak_mb(child.pid))), default=None)
        forget_peak(child.pid)
        last = now
    child.wait()
    ended = time.perf_counter()
    stages[FINISHING].seconds = ended - last
    peaks = [stage.peak_mb for stage in stages.values() if stage.peak_mb is not None]
    return {**stages, "all": Stage(ended - began, max(peaks, default=None))}, words.strip()


def _row(photo: str, stage: str, builds: list[dict[str, Stage]]) -> dict[str, Any]:
    runs = [build[stage] for build in builds]
    seconds = [run.seconds for run in runs]
    return {
        "photo": photo,
        "stage": stage,
        "p50_s": round(float(np.percentile(seconds, 50)), 2),
        "p95_s": round(float(np.percentile(seconds, 95)), 2),
        "repeats": len(builds),
        "peak_mb": max((run.peak_mb for run in runs if run.peak_mb is not None), default=None),
    }


def _posing(progress: Progress) -> list[dict[str, Any]]:
    progress(Event("bench", 0, 1, "posing"))
    return bench_posing()


SUITES: dict[str, Callable[[Progress], list[dict[str, Any]]]] = {
    "raster": bench_raster,
    "posing": _posing,
    "build": bench_builds,
    "frame": bench_frame,
    "wire": bench_wire,
}
