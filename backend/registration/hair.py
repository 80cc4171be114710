"""Long hair as a layer of its own: a lofted shell round the head, bound to it and, where it comes to lie, to the chest.

Rings at equal height (`hair_rings.py`) run along the hair's outline and behind the head, and in front of whatever the
body shows where the photo shows hair there. Dark hair between the locks at the sides is what hangs behind the neck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import (
    binary_closing,
    binary_dilation,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
)
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from backend.raster.mesh import rasterize_mesh
from backend.registration.hair_mask import shaded_hair
from backend.registration.hair_rings import AROUND, CLEARANCE, LEVEL, SKULL, hair_rings
from backend.registration.hair_sights import naked, shows
from backend.registration.head import HeadFrame, on_middle_plane
from backend.registration.wearer import Wearer
from backend.stages import HairLayer, Observations
from shared.camera import Camera
from shared.skeleton import JOINT_INDEX

LONG_SHARE = 0.12  # of the hair pixels must lie clear of the head, or offsets on the scalp are enough
LOCK = 0.01  # metres: a lock of hair is no narrower
SMALLEST = (5 * LOCK) ** 2  # square metres: less of it that hangs together with nothing floats in the air when it turns
LONGEST = 0.03  # metres: where a ring jumps farther between neighbours, one hangs before the other with air between
PARTED = 0.02  # metres by which two neighbours have been moved differently, with the same outcome
VOTERS = 3.0, 1.0  # rings, and places in a ring: standard deviation of who has a say in where a lock ends
INWARDS = 32  # places tried from a ring to its axis
HUGGING = 0.025  # metres: hair this near the bare head's outline is short


@dataclass(frozen=True)
class Hair:
    """Long hair seen in the photo."""

    mask: np.ndarray  # [H, W] bool
    shaded: np.ndarray  # [H, W] bool, what of it hangs behind neck and cheeks
    person: np.ndarray  # [H, W] bool, the whole matte: beyond it there is no hair either
    face: np.ndarray  # [H, W] bool, what of the head shows skin
    centre: np.ndarray  # [3] the head joint, rest pose, metres: between the ears

    def near(self, points: np.ndarray) -> np.ndarray:
        """Whether image points [M, 2] lie on or beside hair, [M]."""
        return _at(binary_dilation(self.mask, iterations=3), points)


def find_hair(mask: np.ndarray, observations: Observations, wearer: Wearer, camera: Camera) -> Hair | None:
    """Long hair among the hair pixels `mask` [H, W]; None for hair that hugs the scalp, which offsets can follow."""
    seen = naked(wearer, camera)
    skull = shows(seen, wearer.faces, np.isin(wearer.dominant, SKULL))
    pixels = camera.K[0, 0] / _distance(wearer, camera)  # per metre
    hugging = distance_transform_edt(~skull) < HUGGING * pixels
    if (mask & ~hugging).sum() < LONG_SHARE * max(mask.sum(), 1):
        return None
    lock = int(LOCK * pixels)
    shaded = _behind(shaded_hair(mask, observations.foreground, observations.alpha, lock), mask, wearer, camera)
    shaded, lit = (binary_opening(which, iterations=max(lock // 4, 1)) for which in (shaded, mask & ~shaded))
    person = binary_dilation(observations.alpha > 0.5)
    hair = binary_closing(lit | shaded, iterations=3)
    shaded = binary_dilation(shaded, iterations=max(lock // 2, 1)) & hair & ~lit  # with the rim that lies at the skin
    face = skull & person & ~hair
    return Hair(hair, shaded, person, face, wearer.joints[JOINT_INDEX["head"]])


def _behind(shaded: np.ndarray, mask: np.ndarray, wearer: Wearer, camera: Camera) -> np.ndarray:
    """Of the `shaded` pixels of the `mask` [H, W], those below the eyes with a lit lock farther out at their height."""
    middle, eyes = wearer.joints[JOINT_INDEX["head"]], wearer.joints[JOINT_INDEX["left_eye"], 1]
    x, y = on_middle_plane(mask, HeadFrame.of(wearer), middle[2], camera).T
    out, dark = np.abs(x - middle[0]), shaded[mask]
    level = np.floor((y - y.min()) / LEVEL).astype(int)
    row = 2 * level + (x > middle[0])
    farthest = np.zeros(row.max() + 1)
    np.maximum.at(farthest, row[~dark], out[~dark])
    behind = np.zeros_like(mask)
    behind[mask] = dark & (y < eyes) & (out < farthest[row])
    return behind


def _distance(wearer: Wearer, camera: Camera) -> float:
    """Metres from the camera to the head."""
    joint = HeadFrame.of(wearer).to_world(wearer.joints[None, JOINT_INDEX["head"]])
    return float(camera.project(joint)[1][0])


@dataclass(frozen=True)
class Head(HeadFrame):
    """The head's pose in the photo, and the clothed body."""

    body: np.ndarray  # [V, 3] metres, clothed body as the photo poses it, in the head's rest frame
    depth: np.ndarray  # [H, W] metres, of the clothed body in the photo


def loft_hair(hair: Hair, wearer: Wearer, offsets: np.ndarray, camera: Camera) -> HairLayer | None:
    """Loft a shell through the hair's outline over the clothed body; None if too little of it is in the picture."""
    posed, frame = wearer.posed(offsets), HeadFrame.of(wearer)
    depth = rasterize_mesh(posed, wearer.faces, camera).depth
    head = Head(frame.rotation, frame.translation, frame.to_rest(posed), depth)
    hairy, bare = (on_middle_plane(which, head, hair.centre[2], camera) for which in (hair.mask, hair.face))
    loft = hair_rings(hairy, bare, head.body, wearer)
    if loft is None:
        return None
    rings = _carved(loft.points, hair.person, head, camera)
    hung = _hung_behind(rings, 0.5 * (loft.back + hair.centre[2]), hair.shaded, head, camera)
    hung = _pushed_forward(hung, head, camera)
    faces = _faces(len(rings))[np.tile(_covers(hung, hung - rings, hair, head, camera).ravel(), 2)]
    points, faces = _used(hung.reshape(-1, 3), faces)
    on_chest = _on_chest(points[:, 1], wearer.joints)
    return HairLayer(_rest_pose(head.to_world(points), on_chest, wearer.transforms), faces, on_chest)


def _on_chest(height: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """How far hair at `height` [H] follows the chest, [H]: not at all beside the skull, wholly on the shoulders."""
    skull, shoulders = joints[JOINT_INDEX["head"], 1], joints[JOINT_INDEX["left_collar"], 1]
    fallen = np.clip((skull - height) / (skull - shoulders), 0.0, 1.0)
    return (fallen * fallen * (3.0 - 2.0 * fallen)).astype(np.float32)


def _rest_pose(world: np.ndarray, on_chest: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """Where points `world` [H, 3] of the photo's pose lie in the rest pose, [H, 3]."""
    head, chest = (transforms[JOINT_INDEX[name], :3] for name in ("head", "spine3"))
    blended = head + on_chest[:, None, None] * (chest - head)
    return np.linalg.solve(blended[:, :, :3], (world - blended[:, :, 3])[:, :, None])[:, :, 0]


def _carved(rings: np.ndarray, person: np.ndarray, head: Head, camera: Camera) -> np.ndarray:
    """Draw what of the rings [K, AROUND, 3] shows beside the `person` [H, W] in to it: the back of a tilted head's."""
    axis = rings.mean(1, keepdims=True)
    inwards = np.linspace(0.0, 1.0, INWARDS)
    tried = rings + inwards[:, None, None, None] * (axis - rings)  # [INWARDS, K, AROUND, 3]
    shown = _at(person, camera.project(head.to_world(tried.reshape(-1, 3)))[0]).reshape(tried.shape[:3])
    share = gaussian_filter(inwards[shown.argmax(0)], 1.5, mode=("nearest", "wrap"))
    return rings + share[:, :, None] * (axis - rings)


def _hung_behind(rings: np.ndarray, z: np.ndarray, shaded: np.ndarray, head: Head, camera: Camera) -> np.ndarray:
    """Move what of the rings' front shows `shaded` hair along its view ray to the depth `z` [K] of its ring."""
    pixels, _ = camera.project(head.to_world(rings.reshape(-1, 3)))
    eye = head.to_rest(camera.centre[None])[0]
    moved = _at(shaded, pixels).reshape(rings.shape[:2]) & (np.arange(AROUND) <= AROUND // 2)
    scale = (z[:, None] - eye[2]) / (rings[:, :, 2] - eye[2])
    return np.where(moved[:, :, None], eye + (rings - eye) * scale[:, :, None], rings)


def _at(picture: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Values [M] of a picture [H, W] at the points `pixels` [M, 2], or at its nearest pixel."""
    x = np.clip(pixels[:, 0].astype(int), 0, picture.shape[1] - 1)
    y = np.clip(pixels[:, 1].astype(int), 0, picture.shape[0] - 1)
    return picture[y, x]


def _pushed_forward(rings: np.ndarray, head: Head, camera: Camera) -> np.ndarray:
    """Move what of the rings' front half [K, AROUND, 3] lies inside the body along its view ray to just before it."""
    world = head.to_world(rings.reshape(-1, 3))
    pixels, depth = camera.project(world)
    allowed = _at(head.depth, pixels) - CLEARANCE
    front = np.tile(np.arange(AROUND) <= AROUND // 2, len(rings))
    scale = np.where(front & (depth > allowed), allowed / depth, 1.0)
    return head.to_rest(camera.centre + (world - camera.centre) * scale[:, None]).reshape(rings.shape)


def _faces(levels: int) -> np.ndarray:
    """Two triangles per quad of the loft, counter-clockwise seen from outside; rings run top down."""
    k, a = np.meshgrid(np.arange(levels - 1), np.arange(AROUND), indexing="ij")
    upper, lower = k * AROUND, (k + 1) * AROUND
    following = (a + 1) % AROUND
    corners = np.stack([upper + a, upper + following, lower + following, lower + a], axis=-1).reshape(-1, 4)
    return np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])


def _covers(rings: np.ndarray, moved: np.ndarray, hair: Hair, head: Head, camera: Camera) -> np.ndarray:
    """Which quads [K - 1, AROUND] of the loft are hair: back and sides, and of the front what lies on hair pixels.

    Not where the rings jump, or neighbours have been `moved` [K, AROUND, 3] apart: between a lock and what hangs behind
    it there is air. The quads about it have a say in each, or locks would end like combs.
    """
    corners = _corners(rings)
    jumps = (_longest(corners) > LONGEST) | (_longest(_corners(moved)) > PARTED)
    centre = corners.mean(0)
    pixels, _ = camera.project(head.to_world(centre.reshape(-1, 3)))
    on_hair = _at(hair.mask, pixels).reshape(jumps.shape)
    covers = ~jumps & (on_hair | (centre[..., 2] < hair.centre[2] + LOCK))
    return ~jumps & (gaussian_filter(covers.astype(np.float32), VOTERS, mode=("nearest", "wrap")) > 0.5)


def _longest(corners: np.ndarray) -> np.ndarray:
    """The longest side [...] of quads with `corners` [4, ..., 3]."""
    return np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=-1).max(0)


def _corners(grid: np.ndarray) -> np.ndarray:
    """The corners [4, K - 1, AROUND, ...] of each quad of a `grid` [K, AROUND, ...] that closes on itself."""
    following = np.roll(grid, -1, axis=1)
    return np.stack([grid[:-1], following[:-1], following[1:], grid[1:]])


def _used(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # [H, 3], [G, 3]
    """Drop small patches of the `faces` [T, 3], and `points` [P, 3] that are no longer used."""
    kept = faces[_patch_area(points, faces) > SMALLEST]
    used, dense = np.unique(kept, return_inverse=True)
    return points[used], dense.reshape(-1, 3).astype(np.int32)


def _patch_area(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Square metres [T] of what hangs together with each of the faces [T, 3]."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    links = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(points), len(points)))
    patch = connected_components(links, directed=False)[1][faces[:, 0]]
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    return np.bincount(patch, 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1))[patch]
