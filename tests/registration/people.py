"""Synthetic observations of bodies whose every number is known: what a perfect detector would report."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from backend.body.model import BodyModel
from backend.raster.mesh import rasterize_mesh
from backend.registration.parameters import Layout, build_prior
from backend.registration.rig import build_rig, posed
from backend.stages import Landmarks, Observations
from shared.camera import Camera
from shared.skeleton import NUM_BODY_JOINTS

WIDTH, HEIGHT, FOCAL = 480, 800, 1000.0


@dataclass(frozen=True)
class Person:
    """A body in front of a level camera at the origin, and what is seen of it."""

    observations: Observations
    joints: np.ndarray  # [55, 3] metres, camera axes with Y up
    face: np.ndarray  # [478, 2] pixels


def person(model: BodyModel, seed: int, *, variety: float = 0.7) -> Person:
    """A random person of `variety` times the prior's spread, turned up to 0.4 radians, seen whole."""
    rng = np.random.default_rng(seed)
    prior = build_prior(model, np.log(FOCAL))
    layout = prior.layout
    x = prior.mean + variety * prior.std * torch.from_numpy(rng.standard_normal(layout.size))
    x[:3] = torch.tensor([0.0, rng.uniform(-0.4, 0.4), 0.0])
    x[layout.expression] = torch.from_numpy(rng.uniform(0, 0.3, layout.num_expressions))
    x[Layout.TRANSL], x[Layout.LOG_FOCAL] = torch.tensor([0.05, 0.35, -2.9], dtype=x.dtype), np.log(FOCAL)
    x = x.clamp(prior.low, prior.high)
    return _seen(model, x, layout)


def _seen(model: BodyModel, x: torch.Tensor, layout: Layout) -> Person:
    rig = build_rig(model)
    camera = Camera(WIDTH, HEIGHT, _intrinsics(), np.diag([1.0, -1.0, -1.0, 1.0]))
    numbers = [x[None, part] for part in (Layout.POSE, Layout.TRANSL, layout.betas, layout.expression)]
    world = {
        name: posed(getattr(rig, name), *numbers)[0].numpy() for name in ("pose", "face", "left_hand", "right_hand")
    }
    pixels = {name: camera.project(points)[0] for name, points in world.items()}
    face = np.zeros((478, 2))
    face[rig.face_rows] = pixels["face"]
    body = model.pose(model.shape(numbers[2][0].float()), *(numbers[k].float() for k in (0, 1, 3)))
    inside = binary_dilation(rasterize_mesh(body.vertices[0].numpy(), model.faces, camera).face >= 0, iterations=4)
    hips = world["pose"][23:25].mean(0)
    observations = Observations(
        rgb=np.full((HEIGHT, WIDTH, 3), 128, np.uint8),
        foreground=np.full((HEIGHT, WIDTH, 3), 128, np.uint8),
        alpha=inside.astype(np.float32),
        box=(0, 0, WIDTH, HEIGHT),
        focal=None,
        body=_certain(pixels["pose"]),
        body_world=(world["pose"] - hips) * [1.0, -1.0, -1.0],
        face=_certain(face),
        left_hand=_certain(pixels["left_hand"]),
        right_hand=_certain(pixels["right_hand"]),
    )
    return Person(observations, body.joints[0].numpy(), face)


def _intrinsics() -> np.ndarray:
    return np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


def _certain(points: np.ndarray) -> Landmarks:
    return Landmarks(points, np.ones(len(points)))


def unseen(landmarks: Landmarks) -> Landmarks:
    """Nothing found."""
    return Landmarks(np.zeros_like(landmarks.points), np.zeros(len(landmarks.points)))


def moved(landmarks: Landmarks, rows: list[int], by: tuple[float, float]) -> Landmarks:
    """Some rows in the wrong place, with full confidence."""
    points = landmarks.points.copy()
    points[rows] += by
    return replace(landmarks, points=points)


def procrustes_mm(fitted: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of the 22 body joints after the best similarity transform, millimetres."""
    a, b = fitted[:NUM_BODY_JOINTS], true[:NUM_BODY_JOINTS]
    a, b = a - a.mean(0), b - b.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    aligned = (s * np.diag(sign)).sum() / (a**2).sum() * a @ (u @ sign @ vt)
    return float(1000 * np.linalg.norm(aligned - b, axis=1).mean())
