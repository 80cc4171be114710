"""`Motion`: what the avatar does over time, and its own npz form. Foreign files: `motion_files`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .rotations import (
    axis_angles_from_matrices,
    axis_angles_from_quats,
    matrices_from_axis_angles,
    quats_from_axis_angles,
    slerp,
)
from .skeleton import NUM_JOINTS


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

    @property
    def seconds(self) -> float:
        """How long the motion plays, the last frame's own duration included."""
        return len(self) / self.fps

    def resampled(self, fps: float) -> Motion:
        """The same performance at another frame rate: rotations by slerp, the rest linearly.

        The last frame may fall off. The motion's own rate gives the motion itself.
        """
        if fps == self.fps:
            return self
        # 1e-6: ten frames at 30 per second end on a frame of 60 per second, whatever the rounding.
        count = int(np.floor((len(self) - 1) * fps / self.fps + 1e-6)) + 1
        position = np.minimum(np.arange(count) * self.fps / fps, len(self) - 1)  # [count] in frames of the old rate
        before = np.minimum(position.astype(np.int64), max(len(self) - 2, 0))
        after = np.minimum(before + 1, len(self) - 1)
        weight = position - before
        return Motion(
            _slerped(self.full_pose, before, after, weight),
            _mixed(self.transl, before, after, weight),
            _mixed(self.expression, before, after, weight),
            self.expression_names,
            float(fps),
        )

    def placed(self, root_orientation: np.ndarray, transl: np.ndarray) -> Motion:
        """The same performance, started where a person stands: its first frame's pelvis and heading are carried there.

        Args:
            root_orientation: [3] axis-angle of the person's root. The motion's own up becomes the person's up.
            transl: [3] metres, the person's `transl` (of the same body that the motion will drive).
        """
        root = matrices_from_axis_angles(self.full_pose[:, :3].astype(np.float64))
        turn = matrices_from_axis_angles(np.asarray(root_orientation, np.float64)) @ heading(root[0]).T
        full_pose = self.full_pose.copy()
        full_pose[:, :3] = axis_angles_from_matrices(turn @ root)
        moved = (self.transl - self.transl[0]) @ turn.T + transl
        return replace(self, full_pose=full_pose, transl=moved.astype(self.transl.dtype))

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


def heading(root: np.ndarray) -> np.ndarray:
    """The part of a root orientation [3, 3] that turns about the vertical: where the person faces."""
    yaw = np.arctan2(root[0, 2], root[2, 2])
    return matrices_from_axis_angles(np.array([0.0, yaw, 0.0]))


def _mixed(values: np.ndarray, before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    mixed = values[before] * (1 - weight[:, None]) + values[after] * weight[:, None]
    return mixed.astype(values.dtype)


def _slerped(full_pose: np.ndarray, before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    poses = full_pose.reshape(len(full_pose), NUM_JOINTS, 3)
    result = np.empty((len(before), NUM_JOINTS, 3), full_pose.dtype)
    for joint in range(NUM_JOINTS):  # joint by joint, so that an hour of motion needs no gigabyte of temporaries
        quats = quats_from_axis_angles(poses[:, joint].astype(np.float64))
        result[:, joint] = axis_angles_from_quats(slerp(quats[before], quats[after], weight))
    return result.reshape(len(before), -1)
