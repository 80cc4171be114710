"""`vivant bench frame`: what drawing a live frame takes, and what writing it into its slot adds to that."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from backend.avatar.posing import Gaussians
from backend.progress import Event, Progress, silent
from backend.raster.bench import disc_of_gaussians
from backend.raster.splats import choose_device
from backend.raster.warm_up import warm_up
from backend.rendering.boxed import draw_boxed
from backend.service.frame_slot import slot_bytes, write

COUNTS = (40_000, 150_000)
SIDE = 1024
"""Of the picture in pixels: the disc's box in it is about as large as a person in a 1080p view."""
_REPEATS = 30


def bench_frame(progress: Progress = silent, repeats: int = _REPEATS) -> list[dict[str, Any]]:
    """One row for each number of Gaussians and step; `share` is the step's part of the whole, of the medians."""
    warm_up(progress)
    device = choose_device("auto", progress).type
    rows = []
    for index, count in enumerate(COUNTS):
        progress(Event("bench", index, len(COUNTS), f"{device}: {count} Gaussians"))
        rows += _steps(count, device, repeats)
    return rows


def _steps(count: int, device: str, repeats: int) -> list[dict[str, Any]]:
    scene = disc_of_gaussians(count, SIDE, device=device)
    gaussians = Gaussians(scene.means, scene.quats_wxyz, scene.scales, scene.opacities, scene.colors)
    slot = memoryview(bytearray(slot_bytes(SIDE, SIDE, "rgba8", live=True)))
    boxed = draw_boxed(gaussians, scene.camera)
    x0, y0, x1, y1 = boxed.box
    taken = {
        "drawn": _seconds(lambda: draw_boxed(gaussians, scene.camera), repeats),
        "written into its slot": _seconds(lambda: write(slot, boxed.rendered, "rgba8", live=True), repeats),
    }
    whole = sum(float(np.median(seconds)) for seconds in taken.values())
    return [
        {
            "provider": device,
            "gaussians": count,
            "box": f"{x1 - x0}x{y1 - y0}",
            "step": step,
            "p50_ms": round(1000 * float(np.median(seconds)), 2),
            "p95_ms": round(1000 * float(np.percentile(seconds, 95)), 2),
            "share": round(float(np.median(seconds)) / whole, 2),
        }
        for step, seconds in taken.items()
    ]


def _seconds(step: Callable[[], object], repeats: int) -> list[float]:
    step()  # the first run pays for caches and allocators
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return taken
