"""`vivant doctor`: what is installed, which provider each stage would use, and what to do about the rest."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from backend.atomic import ensure_writable
from backend.body.bench import load_reference, run_reference
from backend.body.model import BodyModel
from backend.cache import cache_dir
from backend.evaluation.perceptual import perceptual_metrics
from backend.photo.matte import choose_provider, matte_providers
from backend.raster.bench import cpu_model
from backend.raster.splats import choose_device
from backend.rendering.writers import video_encoder
from shared.errors import VivantError
from shared.skeleton import NUM_JOINTS

POSING_TOLERANCE = 1e-5  # metres
ROOM_GB = 2.0  # of disk, for an avatar's work in progress and the compiled kernels
CUDA_TORCH = "take a CUDA build: python -m pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130"
USED, READY, ABSENT, WRONG = "used", "ready", "absent", "WRONG"


@dataclass(frozen=True)
class Finding:
    """One capability: `used` by default here, `ready` when asked for, `absent` (optional), or `WRONG`."""

    state: str
    capability: str
    provider: str  # with its version
    advice: str = ""  # what it is for, or what to do

    def __str__(self) -> str:
        detail = f"{self.provider}; {self.advice}" if self.advice else self.provider
        return f"{self.state:<7} {self.capability:<16} {detail}"


def examine(body: Path | None = None) -> Iterator[Finding]:
    """Look at every capability, one after the other. Nothing is downloaded.

    Raises:
        VivantError: the body file `body` cannot be used, or does not move as `smplx` moves it.
    """
    yield _python()
    yield from _torch()
    yield from _raster()
    yield from _photo()
    yield from _bodies(body)
    yield from _metrics()
    yield _video()
    yield from _room()


def _python() -> Finding:
    supported = (3, 10) <= sys.version_info < (3, 13)
    machine = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    advice = f"{cpu_model()}, {os.cpu_count()} threads"
    return Finding(
        *((USED, "python", machine, advice) if supported else (WRONG, "python", machine, "take 3.10 to 3.12"))
    )


def _torch() -> Iterator[Finding]:
    version = f"torch {torch.__version__} (BSD-3-Clause)"
    if torch.version.cuda is None:
        # Windows' default wheel is this one, and a computer with an NVIDIA GPU is then slow without knowing why.
        gpu = shutil.which("nvidia-smi") is not None
        yield Finding(
            USED,
            "torch",
            version,
            f"no CUDA in it, but an NVIDIA GPU is here; {CUDA_TORCH}" if gpu else "without CUDA, right for a CPU",
        )
    elif not torch.cuda.is_available():
        yield Finding(USED, "torch", version, f"built for CUDA {torch.version.cuda}, but no CUDA device answers here")
    else:
        yield Finding(USED, "torch", version, f"CUDA {torch.version.cuda} on {torch.cuda.get_device_name()}")


def _raster() -> Iterator[Finding]:
    reasons: list[str] = []
    device = choose_device("auto", lambda event: reasons.append(event.message)).type
    gsplat = _version("gsplat", "Apache-2.0") or "gsplat"
    if device == "cuda":
        yield Finding(USED, "splats on CUDA", gsplat, "its compiled kernels ran just now")
    elif _version("gsplat") is None:
        yield Finding(ABSENT, "splats on CUDA", gsplat, "with an NVIDIA GPU: python -m pip install 'vivant[cuda]'")
    else:
        yield Finding(ABSENT, "splats on CUDA", gsplat, " ".join(reasons))
    numba = _version("numba", "BSD-2-Clause") or "numba"
    yield Finding(READY if device == "cuda" else USED, "splats on CPU", numba, "trains and draws")


def _photo() -> Iterator[Finding]:
    yield Finding(
        USED, "landmarks", _version("mediapipe", "Apache-2.0") or "mediapipe", "body, face, hands; no telemetry"
    )
    chosen = choose_provider("auto", has_alpha=False)
    for name, provider in matte_providers().items():
        installed = "not installed" not in provider
        state = USED if name == chosen else READY if installed else ABSENT
        advice = {"photo": "goes before all others", "rembg": "--matte rembg: better hair and dark clothes"}.get(
            name, ""
        )
        yield Finding(state, f"matte {name}", provider, advice)


def _bodies(body: Path | None) -> Iterator[Finding]:
    model = BodyModel.load()
    yield Finding(USED, "body", f"open body {model.sha256[:12]}", model.licence)
    smplx = _version("smplx", "Max Planck, non-commercial")
    if body is None:
        advice = "only for checking a body file: vivant doctor --body FILE"
        yield Finding(READY, "posing check", smplx, advice) if smplx else _no_smplx(advice)
        return
    brought = BodyModel.load(body)
    size = f"{len(brought.template)} vertices, {brought.num_betas} betas, {len(brought.expression_names)} expressions"
    yield Finding(READY, "body given", f"{body.name} {brought.sha256[:12]}: {size}", brought.licence)
    if smplx is None:
        yield _no_smplx("its posing is not checked")
        return
    error = posing_error(brought, body)
    if not error <= POSING_TOLERANCE:
        raise VivantError(
            f"{body} moves differently here than in smplx (by up to {1e3 * error:.3f} mm). "
            "Please report this with the file's SHA-256; until then use the open body."
        )
    yield Finding(READY, "posing check", smplx, f"same posing within {1e3 * error:.4f} mm")


def posing_error(model: BodyModel, path: Path) -> float:
    """The largest distance in metres between our posing and `smplx`'s, over vertices and joints of random poses."""
    reference = load_reference(path, num_betas=model.num_betas, num_expression_coeffs=len(model.expression_names))
    random = torch.Generator().manual_seed(0)
    betas, transl = torch.randn(model.num_betas, generator=random), torch.randn(4, 3, generator=random)
    full_pose = 0.5 * torch.randn(4, 3 * NUM_JOINTS, generator=random)
    expression = torch.rand(4, len(model.expression_names), generator=random)
    with torch.no_grad():
        wanted = run_reference(reference, betas, full_pose, transl, expression)
        posed = model.pose(model.shape(betas), full_pose, transl, expression)
    vertices = (posed.vertices - wanted.vertices).norm(dim=-1).max()
    joints = (posed.joints - wanted.joints[:, :NUM_JOINTS]).norm(dim=-1).max()
    return float(torch.maximum(vertices, joints))


def _no_smplx(why: str) -> Finding:
    return Finding(ABSENT, "posing check", "smplx", f"{why}; python -m pip install 'vivant[smplx]' (non-commercial)")


def _metrics() -> Iterator[Finding]:
    for metric in perceptual_metrics():
        yield Finding(USED if metric.available else ABSENT, f"metric {metric.name}", metric.provider, metric.hint)


def _video() -> Finding:
    try:
        return Finding(
            USED, "video", f"{video_encoder()[0]} in {_version('av', 'BSD-3-Clause, FFmpeg inside')}", "H.264 in MP4"
        )
    except VivantError as error:
        return Finding(WRONG, "video", _version("av") or "av", str(error))


def _room() -> Iterator[Finding]:
    cache = cache_dir()
    ensure_writable(cache)
    compiled = "kernels compiled" if (cache / "numba").exists() else "the first run compiles kernels, 15 s or more"
    yield Finding(USED, "cache", str(cache), compiled)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    enough = free >= ROOM_GB
    yield Finding(
        USED if enough else WRONG, "disk", f"{free:.1f} GB free here", "" if enough else f"make it {ROOM_GB:g} GB"
    )


def _version(package: str, licence: str = "") -> str | None:
    if importlib.util.find_spec(package) is None:
        return None
    return f"{package} {importlib.metadata.version(package)}" + (f" ({licence})" if licence else "")
