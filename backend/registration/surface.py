"""The clothed surface: how far clothes and hair stand off the fitted body, read from the matte's outline.

One photo shows the stand-off only where the outline is seen. Around a limb or the torso cloth stands off about
equally at equal height, so every vertex is tied to the mean of its ring (the vertices of its limb at the same
height along the bone), to its mirror twin, and to its neighbours; one sparse least-squares problem carries the
outline's measurements around the body. Outline and surface are matched again after each solution.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from backend.body.geometry import edges, vertex_normals
from backend.body.model import BodyModel
from backend.raster.mesh import rasterize_mesh
from backend.registration.hair import find_hair, loft_hair
from backend.registration.hair_sights import hair_pixels
from backend.registration.outline import Outline, matte_outline
from backend.registration.snap import snapped
from backend.registration.wearer import Wearer, wearer_of
from backend.stages import Observations, Registration
from shared.camera import Camera
from shared.skeleton import JOINT_INDEX, NUM_JOINTS

ROUNDS = 6
RIM_COSINE = 0.3
"""A vertex can lie on the outline if |normal . view| is below this."""
TURN_COST = 0.05
"""Metres of distance that a right angle between outline and surface costs in the matching."""
MAX_MATCH = 0.25
"""Metres between outline and surface, beyond which nothing is matched."""
SMALLEST_OFFSET = -0.02
"""Metres. A fit slightly too stout is corrected within reason."""
LARGEST_OFFSET = {"trunk": 0.25, "head": 0.15, "arm": 0.1, "leg": 0.15, "foot": 0.05}
"""Metres: beyond this it is not cloth or hair but another thing's outline."""
HIDDEN_BEHIND = 0.06
"""Metres: a rim vertex this far behind what the camera sees there is not what makes the outline."""

NEIGHBOURS_ALIKE = 0.03
RING_ALIKE = 0.15
CHAIN_ALIKE = 0.3
TWINS_ALIKE = 0.02
"""Weights of squared offset differences, against 1 for one matched outline point; low, for cuffs and hems jump."""
DRAPE = 300.0
"""How strongly cloth bridges the body's hollows, per metre of stand-off."""
SHOE = 0.02
"""Metres of stand-off that feet are draped with at least."""
ARMS = ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow")
LEGS = ("left_hip", "right_hip", "left_knee", "right_knee")
FEET = ("left_ankle", "right_ankle", "left_foot", "right_foot")


def clothe(observations: Observations, registration: Registration, model: BodyModel) -> Registration:
    """Give the fitted body the clothes and hair that explain the matte.

    Returns the registration with per-vertex `offsets` (rest pose, metres; zero on hands and face), `hair_pixels` and,
    where hair hangs clear of the head, a `hair` layer.
    """
    wearer = wearer_of(registration, model)
    pixels = hair_pixels(observations, wearer, registration.camera)
    hair = find_hair(pixels, observations, wearer, registration.camera)
    outline = matte_outline(observations.alpha)
    if hair is not None:
        outline = outline.where(~hair.near(outline.points))
    system, bending, largest = _smoothness(wearer), bending_of(wearer), _largest_offset(wearer)
    stand_off = np.zeros(len(wearer.vertices))
    for _ in range(ROUNDS):
        offsets = drape(wearer, bending, stand_off)
        vertex, change = _measure(wearer, offsets, outline, registration.camera)
        stand_off = _solve(system, vertex, stand_off[vertex] + change)[: len(stand_off)]
        stand_off = np.clip(stand_off, SMALLEST_OFFSET, largest) * wearer.wearable
    offsets = snapped(wearer, drape(wearer, bending, stand_off), bending, outline, registration.camera)
    layer = None if hair is None else loft_hair(hair, wearer, offsets, registration.camera)
    return replace(registration, offsets=offsets, hair=layer, hair_pixels=pixels)


def drape(wearer: Wearer, bending: csr_matrix, stand_off: np.ndarray) -> np.ndarray:
    """Offsets [V, 3] of cloth that stands `stand_off` [V] metres off along the normals.

    Loose cloth does not follow the body's hollows: the surface is smoothed (implicitly, by its `bending`), the more the
    further it stands off, and not at all where it touches. Feet count as shod: toes vanish.
    """
    surface = wearer.vertices + stand_off[:, None] * wearer.normals
    feet = np.isin(wearer.dominant, [JOINT_INDEX[name] for name in FEET])
    loose = diags(DRAPE * np.where(feet, np.maximum(stand_off, SHOE), np.maximum(stand_off, 0.0)))
    return splu((diags(np.ones(len(surface))) + loose @ bending).tocsc()).solve(surface) - wearer.vertices


def bending_of(wearer: Wearer) -> csr_matrix:
    """The squared umbrella Laplacian [V, V] of the body's mesh."""
    pairs, V = edges(wearer.faces), len(wearer.vertices)
    links = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(V, V))
    links = (links + links.T).tocsr()
    degree = np.maximum(np.asarray(links.sum(1))[:, 0], 1.0)
    umbrella = diags(np.ones(V)) - diags(1.0 / degree) @ links
    return umbrella @ umbrella


def _largest_offset(wearer: Wearer) -> np.ndarray:
    """`LARGEST_OFFSET` per vertex [V], metres."""
    limit = np.full(NUM_JOINTS, LARGEST_OFFSET["trunk"])
    for kind, joints in (("arm", ARMS), ("leg", LEGS), ("foot", FEET), ("head", ("head", "neck"))):
        limit[[JOINT_INDEX[joint] for joint in joints]] = LARGEST_OFFSET[kind]
    return limit[wearer.dominant]


def _measure(wearer: Wearer, offsets: np.ndarray, outline: Outline, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Match outline points to rim vertices: vertex ids [M] and by how much [M] metres their stand-off falls short."""
    posed = wearer.posed(offsets)
    pixels, depth = camera.project(posed)
    ahead, _ = camera.project(posed + 0.001 * np.einsum("vij,vj->vi", wearer.rotations, wearer.normals))
    pixels_per_metre = (ahead - pixels) * 1000.0  # [V, 2] along the direction in which the vertex may move
    scale = camera.K[0, 0] / depth
    facing, sideways = _facing(posed, wearer.faces, camera)
    rim = np.flatnonzero((np.abs(facing) < RIM_COSINE) & _in_front(posed, wearer.faces, pixels, depth, camera))
    metres = 1.0 / np.median(scale)
    described = np.concatenate([pixels[rim] * metres, sideways[rim] * TURN_COST / np.sqrt(2)], axis=1)
    query = np.concatenate([outline.points * metres, outline.normals * TURN_COST / np.sqrt(2)], axis=1)
    distance, nearest = cKDTree(described).query(query, distance_upper_bound=MAX_MATCH)
    matched = np.isfinite(distance)
    vertex, normals = rim[nearest[matched]], outline.normals[matched]
    gap = ((outline.points[matched] - pixels[vertex]) * normals).sum(1)
    along = (pixels_per_metre[vertex] * normals).sum(1)
    usable = (along > 0.5 * scale[vertex]) & wearer.wearable[vertex]
    return vertex[usable], gap[usable] / along[usable]


def _facing(posed: np.ndarray, faces: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Cosine between each vertex' normal and the ray to the camera [V], the normal's unit image direction [V, 2]."""
    normals = vertex_normals(posed, faces)
    rays = camera.centre - posed
    cosine = (normals * rays).sum(1) / np.linalg.norm(rays, axis=1)
    sideways = (normals @ camera.world_to_camera[:3, :3].T)[:, :2]
    return cosine, sideways / np.maximum(np.linalg.norm(sideways, axis=1, keepdims=True), 1e-9)


def _in_front(
    posed: np.ndarray, faces: np.ndarray, pixels: np.ndarray, depth: np.ndarray, camera: Camera
) -> np.ndarray:
    """Whether a vertex [V] lies in the image and nothing stands more than `HIDDEN_BEHIND` before it."""
    buffer = rasterize_mesh(posed, faces, camera).depth
    x, y = np.floor(pixels).astype(int).T
    inside = (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    visible = np.zeros(len(posed), dtype=bool)
    visible[inside] = depth[inside] < buffer[y[inside], x[inside]] + HIDDEN_BEHIND
    return visible


def _smoothness(wearer: Wearer) -> csc_matrix:
    """Normal matrix over [V stand-offs, R ring means]: neighbours alike, ring members alike, twins alike."""
    V, R = len(wearer.vertices), wearer.rings.count
    members = np.flatnonzero(wearer.rings.ring >= 0)
    terms = [
        (edges(wearer.faces), NEIGHBOURS_ALIKE),
        (np.stack([members, V + wearer.rings.ring[members]], axis=1), RING_ALIKE),
        (wearer.rings.chains + V, CHAIN_ALIKE),
        (np.stack([np.arange(V), wearer.mirror], axis=1), TWINS_ALIKE),
    ]
    bare = np.concatenate([np.where(wearer.wearable, 1e-3, 1e3), np.full(R, 1e-6)])
    normal = diags(bare).tocsc()
    for pairs, weight in terms:
        row, ones = np.arange(len(pairs)), np.ones(len(pairs))
        entries = (np.concatenate([ones, -ones]), (np.concatenate([row, row]), pairs.T.ravel()))
        difference = coo_matrix(entries, shape=(len(pairs), V + R)).tocsc()
        normal = normal + weight * (difference.T @ difference)
    return normal


def _solve(system: csc_matrix, vertex: np.ndarray, target: np.ndarray) -> np.ndarray:
    size = system.shape[0]
    measured = diags(np.bincount(vertex, minlength=size).astype(float))
    return splu((system + measured).tocsc()).solve(np.bincount(vertex, target, minlength=size))
