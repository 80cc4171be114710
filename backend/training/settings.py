"""How an avatar is trained. One definition for the command line, avatar.json and the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingSettings:
    """Photo-only training."""

    texture: int = 512  # side of the UV map whose texels carry the Gaussians
    size: int = 1024  # pixels of the person's longer side in training renders
    steps: int = 150
    seed: int = 0
    device: str = "auto"  # auto, cpu or cuda
    show_unseen: bool = False  # show what lies beyond the photo's border, filled
