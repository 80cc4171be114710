"""The relaxed hand and a basis of hand poses."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from shared.skeleton import FINGER_NAMES

from .rig import FINGERS, SIDES

MEANINGFUL = 6
"""Leading components: four-finger curl, thumb, spread, then index, middle, pinky against the rest."""


def relaxed_hand(turned: dict[str, np.ndarray], side: str) -> np.ndarray:
    """Axis-angle [45] that undoes the flattening of the fingers: MakeHuman's own relaxed hand. No turn of the thumb."""
    ending, relaxed = SIDES[side], np.zeros((5, 3, 3))
    for row, finger in enumerate(FINGER_NAMES):
        if finger == "thumb":
            continue
        chain = np.eye(3)
        for k in range(3):
            unflattened = turned[f"wrist{ending}"] @ turned[f"finger{FINGERS[finger]}-{k + 1}{ending}"].T
            local = chain.T @ unflattened
            chain = chain @ local
            relaxed[row, k] = Rotation.from_matrix(local).as_rotvec()
    return relaxed.ravel()


def hand_components(side: str) -> np.ndarray:
    """Orthonormal rows [45, 45]; the first `MEANINGFUL` mean something, QR completes the basis."""
    sign = 1.0 if side == "left" else -1.0
    curls = np.zeros((4, 5, 3, 3))
    for finger in range(4):
        curls[finger, finger, :, 2] = -sign
    thumb, spread = np.zeros((5, 3, 3)), np.zeros((5, 3, 3))
    thumb[4, :, 1] = -sign
    spread[:4, 0, 1] = sign * np.array([1.0, 0.3, -1.0, -0.3])
    wanted = np.stack([curls.sum(axis=0), thumb, spread, *curls]).reshape(-1, 45)
    basis = np.linalg.qr(np.concatenate([wanted, np.eye(45)]).T)[0].T
    signs = np.sign((basis[:MEANINGFUL] * wanted[:MEANINGFUL]).sum(axis=1))
    return np.concatenate([signs[:, None] * basis[:MEANINGFUL], basis[MEANINGFUL:]])
