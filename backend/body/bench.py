"""How fast posing is, beside `smplx.SMPLX` with the same number of threads."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.errors import VivantError

from .model import BodyModel


def bench_posing(batches: Sequence[int] = (1, 64), threads: Sequence[int] = (1, 2)) -> list[dict[str, Any]]:
    """Median times in milliseconds, one row per batch size and thread count: ours, smplx, their ratio.

    Both get the same betas, poses and expressions; betas are shaped once, as every caller does.

    Raises:
        VivantError: `smplx` is not installed.
    """
    before = torch.get_num_threads()
    model, reference = BodyModel.load(), load_reference()
    try:
        return [_row(model, reference, batch, count) for count in threads for batch in batches]
    finally:
        torch.set_num_threads(before)


def load_reference(path: Path | None = None, **options: Any) -> Any:
    """A body file (None: the packaged one) as `smplx.SMPLX` loads it, every coefficient in use, hands as full poses."""
    try:
        import smplx
    except ImportError as error:
        raise VivantError(
            "The comparison needs the smplx package (non-commercial): pip install 'vivant[smplx]'."
        ) from error
    counts = {"num_betas": 30, "num_expression_coeffs": 62, **options}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "SMPLX_NEUTRAL.npz"  # smplx reads the sex from the name
        with resources.as_file(resources.files("backend.body.assets") / "open_body.npz") as packaged:
            shutil.copy(path or packaged, copy)
        return smplx.SMPLX(str(copy), gender="neutral", use_pca=False, flat_hand_mean=True, **counts)


def run_reference(reference: Any, betas: Tensor, full_pose: Tensor, transl: Tensor, expression: Tensor) -> Any:
    """Call smplx with our layout: `betas` [B], `full_pose` [F, 165], `transl` [F, 3], `expression` [F, E]."""
    names = ["global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose"]
    poses = dict(zip(names, full_pose.split([3, 63, 3, 3, 3, 45, 45], dim=1), strict=True))
    return reference(betas=betas.expand(len(full_pose), -1), expression=expression, transl=transl, **poses)


def _row(model: BodyModel, reference: Any, batch: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    random = torch.Generator().manual_seed(0)
    betas = torch.randn(model.num_betas, generator=random)
    pose, transl = 0.4 * torch.randn(batch, 165, generator=random), torch.randn(batch, 3, generator=random)
    expression = torch.rand(batch, len(model.expression_names), generator=random)
    shaped = model.shape(betas)

    def backward() -> None:
        free = pose.clone().requires_grad_()
        model.pose(shaped, free, transl, expression).vertices.sum().backward()

    with torch.no_grad():
        ours = _median_ms(lambda: model.pose(shaped, pose, transl, expression))
        theirs = _median_ms(lambda: run_reference(reference, betas, pose, transl, expression))
    return {
        "what": "posing",
        "batch": batch,
        "threads": threads,
        "ours_ms": ours,
        "smplx_ms": theirs,
        "ratio": theirs / ours,
        "ours_backward_ms": _median_ms(backward),
    }


def _median_ms(action: Callable[[], object], seconds: float = 1.0) -> float:
    action()
    times: list[float] = []
    while len(times) < 5 or sum(times) < seconds:
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    for row in bench_posing():
        print({key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()})
