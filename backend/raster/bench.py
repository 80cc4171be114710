"""What `vivant bench raster` measures: time and memory by size, and the CPU provider against plain PyTorch."""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from backend.memory import forget_peak, peak_mb
from backend.progress import Event, Progress, silent
from backend.raster.splats import Rendered, choose_device, rasterize
from backend.raster.warm_up import warm_up
from shared.camera import Camera

COUNTS = (10_000, 40_000, 150_000)
SIDES = (256, 512, 1024)
_COMPARED = (40_000, 512)
_LEAST, _MOST, _SECONDS = 3, 20, 4.0  # runs of a row: until they took this long, within these numbers


@dataclass(frozen=True)
class Scene:
    """Gaussians and the camera that looks at them."""

    means: Tensor  # [N, 3] metres, world
    quats_wxyz: Tensor  # [N, 4]
    scales: Tensor  # [N, 3] metres
    opacities: Tensor  # [N]
    colors: Tensor  # [N, 3]
    camera: Camera

    def draw(self, provider: str) -> Rendered:
        """The scene drawn by one of the raster providers."""
        return rasterize(
            self.means, self.quats_wxyz, self.scales, self.opacities, self.colors, self.camera, provider=provider
        )


def bench_raster(progress: Progress = silent) -> list[dict[str, Any]]:
    """Measure on this computer, in about five minutes. One row for each size, provider and pass.

    A row holds `p50_ms` and `p95_ms` over `repeats` runs, after one that does not count, and `peak_mb`, the most memory
    that the process was resident with meanwhile, or on CUDA had allocated (None where the platform does not tell). The
    last rows compare one scene, 40k Gaussians at 512 x 512, with plain PyTorch: `times_cpu` is the ratio of medians to
    the cpu provider's in the same run.
    """
    warm_up(progress)
    providers = ["cpu"] if choose_device("auto", progress).type == "cpu" else ["cpu", "cuda"]
    sizes = [(provider, count, side) for provider in providers for count in COUNTS for side in SIDES]
    rows = []
    for index, (provider, count, side) in enumerate(sizes):
        progress(Event("bench", index, len(sizes) + 1, f"{provider}: {count} Gaussians, {side} x {side}"))
        for train in (False, True):
            scene = disc_of_gaussians(count, side, device=provider, requires_grad=train)
            draw = functools.partial(scene.draw, provider)
            rows.append(_labels(provider, count, side, train) | _measure(_pass(draw, train), provider))
    progress(Event("bench", len(sizes), len(sizes) + 1, "the same scene in plain PyTorch (about three minutes)"))
    return rows + [row for train in (False, True) for row in _compare(train)]


def disc_of_gaussians(
    count: int, side: int, *, device: str = "cpu", requires_grad: bool = False, seed: int = 0
) -> Scene:
    """A disc over a third of a square image: round Gaussians, standard deviations of 2-3 pixels, opacity 0.95."""
    generator = np.random.default_rng(seed)
    camera = Camera(side, side, np.array([[side, 0, side / 2], [0, side, side / 2], [0, 0, 1.0]]), np.eye(4))
    depth = generator.uniform(2.5, 3.5, (count, 1))
    radius = np.sqrt(generator.uniform(0, 1 / (3 * np.pi), count))  # shares of the image's side
    angle = generator.uniform(0, 2 * np.pi, count)
    means = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.ones(count)], axis=1) * depth
    scales = np.tile(generator.uniform(2, 3, (count, 1)) * depth / side, (1, 3))
    quats = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    arrays = (means, quats, scales, np.full(count, 0.95), generator.uniform(0, 1, (count, 3)))
    means_, quats_, scales_, opacities, colors = (
        torch.tensor(array, dtype=torch.float32, device=device, requires_grad=requires_grad) for array in arrays
    )
    return Scene(means_, quats_, scales_, opacities, colors, camera)


def _compare(train: bool) -> list[dict[str, Any]]:
    """The cpu provider, the reference and, where it is installed, gsplat's PyTorch code on one scene."""
    scene = disc_of_gaussians(*_COMPARED, requires_grad=train)
    rivals: dict[str, Callable[[], Rendered]] = {"reference": functools.partial(scene.draw, "reference")}
    if find_spec("gsplat") is not None:
        from backend.raster import bench_gsplat

        pairs = bench_gsplat.intersections(scene)
        rivals["gsplat PyTorch"] = functools.partial(bench_gsplat.draw, scene)
        rivals["gsplat PyTorch, its tile lists for free"] = functools.partial(bench_gsplat.draw, scene, pairs)
    ours = _measure(_pass(functools.partial(scene.draw, "cpu"), train))
    rows = [_labels("cpu", *_COMPARED, train) | ours | {"times_cpu": 1.0}]
    for name, draw in rivals.items():
        measured = _measure(_pass(draw, train))
        ratio = round(measured["p50_ms"] / ours["p50_ms"], 1)
        rows.append(_labels(name, *_COMPARED, train) | measured | {"times_cpu": ratio})
    return rows


def _pass(draw: Callable[[], Rendered], train: bool) -> Callable[[], None]:
    def forward() -> None:
        with torch.no_grad():
            draw()

    def forward_and_backward() -> None:
        drawn = draw()
        (drawn.rgb.mean() + drawn.alpha.mean() + drawn.depth.mean()).backward()

    return forward_and_backward if train else forward


def _labels(provider: str, count: int, side: int, train: bool) -> dict[str, Any]:
    return {
        "provider": provider,
        "gaussians": count,
        "width": side,
        "height": side,
        "pass": "forward+backward" if train else "forward",
        "device": torch.cuda.get_device_name() if provider == "cuda" else cpu_model(),
        "threads": numba.get_num_threads() if provider == "cpu" else torch.get_num_threads(),
    }


def _measure(run: Callable[[], None], provider: str = "cpu") -> dict[str, Any]:
    run()  # the first run pays for caches and allocators
    _reset_peak_memory(provider)
    times: list[float] = []
    while len(times) < _LEAST or (len(times) < _MOST and sum(times) < 1e3 * _SECONDS):
        start = time.perf_counter()
        run()
        if provider == "cuda":
            torch.cuda.synchronize()
        times.append(1e3 * (time.perf_counter() - start))
    return {
        "p50_ms": round(float(np.percentile(times, 50)), 2),
        "p95_ms": round(float(np.percentile(times, 95)), 2),
        "repeats": len(times),
        "peak_mb": _peak_memory(provider),
    }


def _reset_peak_memory(provider: str) -> None:
    if provider == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        forget_peak()


def _peak_memory(provider: str) -> float | None:  # megabytes
    return round(torch.cuda.max_memory_allocated() / 1e6, 1) if provider == "cuda" else peak_mb()


def cpu_model() -> str:
    """The processor's name, as far as the platform tells."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
