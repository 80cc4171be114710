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
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from PIL import Image

from backend import __version__
from backend.body.bench import bench_posing
from backend.memory import forget_peak, peak_mb
from backend.progress import Event, Progress, silent
from backend.raster.bench import bench_raster, cpu_model
from backend.service.bench import bench_wire
from backend.service.bench_frame import bench_frame
from shared.errors import VivantError

REPEATS = 3  # of each run
STARTING, FINISHING = "start-up", "finishing"


@dataclass(frozen=True)
class Run:
    """What is done with an example photo."""

    photo: str
    size: tuple[int, int]  # pixels, width and height that the photo is brought to
    command: str = "build"
    out: str = "avatar"


RUNS = (
    Run("astronaut.png", (512, 512)),
    Run("full_body.png", (576, 1024)),
    Run("astronaut.png", (1024, 1024), "register", "fit.npz"),  # a megapixel
)


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
    progress: Progress = silent, runs: tuple[Run, ...] = RUNS, repeats: int = REPEATS
) -> list[dict[str, Any]]:
    """Do each run `repeats` times, each in a process of its own; one row per run and stage.

    A row holds `p50_s`, `p95_s` and `peak_mb`, the most memory that the process was resident with during the stage
    (None where the platform does not tell). The row `all` includes starting Python and importing.
    """
    rows = []
    for index, run in enumerate(runs):
        measured = []
        for repeat in range(repeats):
            progress(Event("bench", index * repeats + repeat, len(runs) * repeats, f"{run.command} {run.photo}"))
            measured.append(measure(run))
        rows += [_row(run, stage, measured) for stage in measured[0]]
    progress(Event("bench", len(runs) * repeats, len(runs) * repeats))
    return rows


def measure(run: Run) -> dict[str, Stage]:
    """Do one run in a child process, as a user would, and follow its events.

    Raises:
        VivantError: the run failed, for the reason that it gave.
    """
    with tempfile.TemporaryDirectory() as folder:
        with resources.as_file(resources.files("backend.examples") / run.photo) as path:
            Image.open(path).resize(run.size, Image.Resampling.LANCZOS).save(Path(folder) / "photo.png")
        command = [sys.executable, "-m", "backend.cli", run.command, "photo.png", "--out", run.out]
        # From a folder of its own, lest Python takes the package from where we stand instead of where it is installed.
        with subprocess.Popen(
            [*command, "--progress", "json"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        ) as child:
            stages, words = _follow(child)
    if child.returncode != 0:
        raise VivantError(f"vivant {run.command} of {run.photo} failed: {words}")
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


def _row(run: Run, stage: str, measured: list[dict[str, Stage]]) -> dict[str, Any]:
    parts = [stages[stage] for stages in measured]
    seconds = [part.seconds for part in parts]
    return {
        "command": run.command,
        "photo": run.photo,
        "pixels": "{} x {}".format(*run.size),
        "stage": stage,
        "p50_s": round(float(np.percentile(seconds, 50)), 2),
        "p95_s": round(float(np.percentile(seconds, 95)), 2),
        "repeats": len(measured),
        "peak_mb": max((part.peak_mb for part in parts if part.peak_mb is not None), default=None),
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
