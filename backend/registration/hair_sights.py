"""Where in the photo hair is to be looked for: what the fitted naked body shows in each pixel."""

from __future__ import annotations

import numpy as np

from backend.raster.mesh import rasterize_mesh
from backend.registration.hair_mask import Sights, hair_mask
from backend.registration.head import HeadFrame, on_middle_plane
from backend.registration.wearer import Wearer
from backend.stages import Observations
from shared.camera import Camera
from shared.skeleton import JOINT_INDEX, LEFT_HAND, NUM_JOINTS, RIGHT_HAND

FACE_MOBILITY = 0.003  # metres: skin that expressions move further than this is certainly face
CLOTHED = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "left_shoulder", "right_shoulder")
HANDS = [*range(NUM_JOINTS)[LEFT_HAND], *range(NUM_JOINTS)[RIGHT_HAND]]
TEMPLES = 0.04  # metres: so far before the ears a head is covered by hair, if it has any
FEATURES = 0.03  # metres to each side of the middle, where hair seldom falls over a face
THROAT = 0.035  # metres to each side of the middle, where hair seldom hangs
WIDE, TALL = 0.75, 0.3  # of a head's height: what is farther from its middle, and over its crown, is not next to it


def hair_pixels(observations: Observations, wearer: Wearer, camera: Camera) -> np.ndarray:
    """Which pixels [H, W] are hair, long or short; none for a bald or unseen head, nor where a hand lies before it."""
    seen = naked(wearer, camera)
    hair = hair_mask(observations.foreground, observations.alpha, _sights(seen, wearer, camera))
    return hair & ~shows(seen, wearer.faces, np.isin(wearer.dominant, HANDS))


def _sights(seen: np.ndarray, wearer: Wearer, camera: Camera) -> Sights:
    head, neck = (wearer.dominant == JOINT_INDEX[name] for name in ("head", "neck"))
    height, depth = wearer.vertices[:, 1], wearer.vertices[:, 2]
    ears, throat = (wearer.joints[JOINT_INDEX[name]] for name in ("head", "neck"))
    eyes, crown = wearer.joints[JOINT_INDEX["left_eye"], 1], height[head].max()
    face = wearer.mobility > FACE_MOBILITY
    clothed = np.isin(wearer.dominant, [JOINT_INDEX[name] for name in CLOTHED])

    def where(vertices: np.ndarray) -> np.ndarray:
        return shows(seen, wearer.faces, vertices)

    reach = _reach(wearer, head, camera)
    bare = (seen < 0) | where(head & (depth < ears[2] + TEMPLES))
    beside, upper = _next_to_the_head(reach & bare, wearer, camera)
    return Sights(
        scalp=where(head & (height > eyes + 0.75 * (crown - eyes))),
        skin=where(face & (height < eyes - 0.02)),
        features=where(face & (height < eyes) & (np.abs(wearer.vertices[:, 0] - ears[0]) < FEATURES)),
        throat=where(neck & (np.abs(wearer.vertices[:, 0] - throat[0]) < THROAT) & (depth > throat[2] + 0.02)),
        clothes=where(clothed & (height < throat[1] - 0.12)),
        beside=beside,
        upper=upper,
        reach=reach,
    )


def _next_to_the_head(free: np.ndarray, wearer: Wearer, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Of the pixels `free` [H, W] bool, those next to the head and over its chin, and those over the ears."""
    ears = wearer.joints[JOINT_INDEX["head"]]
    height = wearer.vertices[wearer.dominant == JOINT_INDEX["head"], 1]
    low, high = height.min(), height.max()
    size = high - low
    x, y = on_middle_plane(free, HeadFrame.of(wearer), ears[2], camera).T
    beside, upper = np.zeros_like(free), np.zeros_like(free)
    beside[free] = (np.abs(x - ears[0]) < WIDE * size) & (y > low) & (y < high + TALL * size)
    upper[free] = y > ears[1]
    return beside, upper


def naked(wearer: Wearer, camera: Camera) -> np.ndarray:
    """The triangle of the naked body that each pixel [H, W] shows; -1: none."""
    return rasterize_mesh(wearer.posed(np.zeros_like(wearer.vertices)), wearer.faces, camera).face


def shows(seen: np.ndarray, faces: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Pixels [H, W] whose triangle `seen` [H, W] (-1 none) has all its corners among `vertices` [V] bool."""
    return (seen >= 0) & vertices[faces].all(1)[seen]


def _reach(wearer: Wearer, head: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixels that this head's hair could reach: a head's height to each side, two and a half below."""
    pixels, _ = camera.project(wearer.posed(np.zeros_like(wearer.vertices))[head])
    low, high = pixels.min(0), pixels.max(0)
    size = high[1] - low[1]
    y, x = np.mgrid[: camera.height, : camera.width]
    return (np.abs(x - (low[0] + high[0]) / 2) < 1.2 * size) & (y < high[1] + 2.5 * size)
