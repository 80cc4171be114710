"""The open body's hair shell: a crude cap of long hair, a start for the head-bound layer of a real hairstyle."""

from __future__ import annotations

from importlib import resources

import numpy as np
import torch
from torch import Tensor

from .model import OPEN_BODY_SHA256, BodyModel


def load_hair_shell(model: BodyModel) -> tuple[Tensor, np.ndarray, Tensor] | None:
    """The shell that belongs to the open body; None for any other.

    Returns: vertices [H, 3] metres, rest pose of the template; faces [G, 3] int64, counter-clockwise outside;
        shape directions [10, H, 3], metres per unit of the first ten betas.
    """
    if model.sha256 != OPEN_BODY_SHA256:
        return None
    packaged = resources.files("backend.body.assets") / "open_body_hair.npz"
    with resources.as_file(packaged) as path, np.load(path, allow_pickle=False) as shell:
        shape_dirs = np.ascontiguousarray(np.moveaxis(shell["sd"], 2, 0))
        return torch.from_numpy(shell["v"]), shell["f"].astype(np.int64), torch.from_numpy(shape_dirs)
