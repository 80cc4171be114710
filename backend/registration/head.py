"""The head's rest frame: where a photo's rays meet it, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.registration.wearer import Wearer
from shared.camera import Camera
from shared.skeleton import JOINT_INDEX


@dataclass(frozen=True)
class HeadFrame:
    """The head's pose in the photo."""

    rotation: np.ndarray  # [3, 3] rest to world
    translation: np.ndarray  # [3]

    @classmethod
    def of(cls, wearer: Wearer) -> HeadFrame:
        """As the fit poses it."""
        transform = wearer.transforms[JOINT_INDEX["head"]]
        return HeadFrame(transform[:3, :3], transform[:3, 3])

    def to_world(self, points: np.ndarray) -> np.ndarray:
        """Head rest frame [N, 3] to world."""
        return points @ self.rotation.T + self.translation

    def to_rest(self, points: np.ndarray) -> np.ndarray:
        """World [N, 3] to the head's rest frame."""
        return (points - self.translation) @ self.rotation


def on_middle_plane(mask: np.ndarray, head: HeadFrame, z: float, camera: Camera) -> np.ndarray:
    """Where the rays of the mask's pixels cross the head's middle plane, [P, 2] x and y of the rest frame."""
    y, x = np.nonzero(mask)
    rays = np.stack([x + 0.5, y + 0.5, np.ones(len(x))], axis=1) @ np.linalg.inv(camera.K).T
    directions = head.to_rest(rays @ camera.world_to_camera[:3, :3] + head.translation)
    origin = head.to_rest(camera.centre[None])[0]
    return (origin + directions * ((z - origin[2]) / directions[:, 2])[:, None])[:, :2]
