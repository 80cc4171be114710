"""`Motion`: what the avatar does over time, and its own npz form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Motion:
    """F frames of a whole-body performance, Y up, facing +Z.

    Hands are full poses (flat mean). Expressions travel by name (ARKit names); names a body does not know are
    dropped aloud by whoever applies the motion.
    """

    full_pose: np.ndarray  # [F, 165] axis-angle, radians, SMPL-X joint order
    transl: np.ndarray  # [F, 3] metres
    expression: np.ndarray  # [F, E]
    expression_names: tuple[str, ...]  # [E]
    fps: float

    def __len__(self) -> int:
        return len(self.full_pose)

    def save(self, path: Path) -> None:
        """Write the npz that `load_motion` reads back unchanged."""
        np.savez_compressed(
            path,
            full_pose=self.full_pose,
            transl=self.transl,
            expression=self.expression,
            expression_names=np.array(self.expression_names, dtype=np.str_),
            fps=np.float64(self.fps),
            up_axis=np.array("y"),
        )
