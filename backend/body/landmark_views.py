"""Look at a body's head from three sides with MediaPipe's face mesh, and lift what it sees to the surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, grey_opening
from scipy.spatial.transform import Rotation

from backend.raster.mesh import MeshBuffers, rasterize_mesh
from shared.camera import Camera
from shared.errors import VivantError
from shared.skeleton import JOINT_INDEX

from .geometry import vertex_normals
from .landmarks import IRISES, NUM_LANDMARKS
from .model import BodyModel

YAWS = (-20.0, 0.0, 20.0)  # degrees
SIZE, OVERSAMPLING = 640, 2
HALF_WIDTH, DISTANCE = 0.2, 2.0  # metres: the head with a margin, seen with little perspective
PIT_WIDTH, PIT_DEPTH = 0.012, 0.004  # metres
JAW_OPEN = 0.1  # radians: a gap of some millimetres
# fmt: off
CONTOUR = np.array([
    10, 21, 54, 58, 67, 93, 103, 109, 127, 132, 136, 148, 149, 150, 152, 162, 172, 176,
    234, 251, 284, 288, 297, 323, 332, 338, 356, 361, 365, 377, 378, 379, 389, 397, 400, 454,
])
# fmt: on
"""MediaPipe's FACEMESH_FACE_OVAL."""

Pixels = np.ndarray | tuple[np.ndarray, ...]  # a mask [H, W], or rows and columns

SKIN, SCLERA, IRIS, PUPIL = (205, 160, 135), (235, 235, 235), (80, 55, 40), (15, 10, 10)  # sRGB
TEETH, TONGUE, BACKGROUND = (245, 245, 235), (180, 80, 80), (200, 200, 200)
PAINT = {"left_eye": SCLERA, "right_eye": SCLERA, "upper_teeth": TEETH, "lower_teeth": TEETH, "tongue": TONGUE}
LIGHT = np.array([0.35, 0.5, 0.8]) / np.linalg.norm([0.35, 0.5, 0.8])  # towards the light, camera's left and above


@dataclass(frozen=True)
class Head:
    """What is looked at: the rest pose with the lips parted, so that each lip's landmarks land on that lip."""

    vertices: np.ndarray  # [V, 3] metres
    normals: np.ndarray  # [V, 3] unit
    faces: np.ndarray  # [F, 3]
    part: np.ndarray  # [F] str
    centre: np.ndarray  # [3] metres, between the ears

    @classmethod
    def of(cls, model: BodyModel) -> Head:
        """Open the model's jaw by `JAW_OPEN`."""
        pose = torch.zeros(1, 165)
        pose[0, 3 * JOINT_INDEX["jaw"]] = JAW_OPEN
        posed = model.pose(model.shape(), pose, torch.zeros(1, 3), torch.zeros(1, len(model.expression_names)))
        vertices = posed.vertices[0].numpy()
        centre = posed.joints[0, JOINT_INDEX["head"]].numpy() + np.array([0, 0.03, 0])
        return cls(vertices, vertex_normals(vertices, model.faces), model.faces, model.part, centre)

    def interpolate(self, values: np.ndarray, buffers: MeshBuffers, pixels: Pixels) -> np.ndarray:
        """Per-vertex `values` [V, 3] at the chosen pixels, [N, 3]."""
        return np.einsum("nk,nkd->nd", buffers.barycentric[pixels], values[self.faces[buffers.face[pixels]]])


@dataclass(frozen=True)
class View:
    """One rendering of the head."""

    rgb: np.ndarray  # [SIZE, SIZE, 3] uint8
    buffers: MeshBuffers  # at OVERSAMPLING times SIZE
    towards: np.ndarray  # [3] unit vector to the camera


def detect_on_head(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Each view's landmarks on the head's surface.

    Returns: positions [views, 478, 3] metres; how squarely the surface there faces the camera [views, 478], > 0.

    Raises:
        VivantError: no face is found in a view.
    """
    from backend.photo.detectors import Detectors

    lifted = []
    with Detectors() as detectors:
        for yaw in YAWS:
            view = render_head(head, yaw)
            faces = detectors.face_meshes(view.rgb)
            if not faces:
                raise VivantError(
                    f"MediaPipe finds no face on the body's head at yaw {yaw:.0f}. Is the file a human body?"
                )
            lifted.append(lift(head, view, faces[0][:, :2]))
    points, facing = zip(*lifted, strict=True)
    return np.stack(points), np.stack(facing)


def render_head(head: Head, yaw: float) -> View:
    """The head from `yaw` degrees to the person's left, evenly lit, eyes painted."""
    turn = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
    buffers = rasterize_mesh(head.vertices, head.faces, head_camera(head, turn))
    seen = buffers.face >= 0
    picture = np.full((*seen.shape, 3), BACKGROUND, dtype=np.float64)
    picture[seen] = _albedo(head, buffers, seen) * _shade(head.interpolate(head.normals, buffers, seen) @ turn)[:, None]
    blocks = np.clip(picture, 0, 255).reshape(SIZE, OVERSAMPLING, SIZE, OVERSAMPLING, 3)
    return View(blocks.mean(axis=(1, 3)).astype(np.uint8), buffers, turn[:, 2])


def lift(
    head: Head,
    view: View,
    landmarks: np.ndarray,  # [478, 2] fractions of the picture
) -> tuple[np.ndarray, np.ndarray]:  # [478, 3] metres, [478] how squarely the surface faces the camera, > 0
    """Each landmark's position on the part it belongs to: the nearest pixel that shows that part, not in a pit."""
    part = np.where((view.buffers.face >= 0) & ~_pits(view.buffers.depth), head.part[view.buffers.face], "")
    points, facing = np.empty((NUM_LANDMARKS, 3)), np.empty(NUM_LANDMARKS)
    for name, chosen in {"skin": range(468), **IRISES}.items():
        rows = np.array(chosen)
        nearest = distance_transform_edt(part != name, return_distances=False, return_indices=True)
        x, y = np.clip(landmarks[rows] * part.shape[::-1], 0, np.array(part.shape[::-1]) - 1).astype(int).T
        pixel = tuple(nearest[:, y, x])
        points[rows] = head.interpolate(head.vertices, view.buffers, pixel)
        facing[rows] = head.interpolate(head.normals, view.buffers, pixel) @ view.towards
    return points, np.clip(facing, 0.05, None) ** 2


def _pits(depth: np.ndarray) -> np.ndarray:
    """[H, W] bool: the mouth's slit and the nostrils, where a pixel beside the rim lies a centimetre deeper."""
    solid = np.where(np.isfinite(depth), depth, DISTANCE + HALF_WIDTH)
    return solid - grey_opening(solid, size=round(PIT_WIDTH / HALF_WIDTH * SIZE * OVERSAMPLING / 2)) > PIT_DEPTH


def head_camera(head: Head, turn: np.ndarray) -> Camera:
    """The view of the head from its front, +z, turned by `turn` [3, 3]."""
    size = SIZE * OVERSAMPLING
    focal = size / 2 * DISTANCE / HALF_WIDTH
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = np.diag([1.0, -1.0, -1.0]) @ turn.T
    world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ (head.centre + DISTANCE * turn[:, 2])
    return Camera(size, size, np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]]), world_to_camera)


def _shade(normals: np.ndarray) -> np.ndarray:
    unit = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return 0.25 + 0.75 * np.clip(unit @ LIGHT, 0, 1) + 0.12 * np.clip(unit @ [-0.8, 0.1, 0.5], 0, 1)


def _albedo(head: Head, buffers: MeshBuffers, seen: np.ndarray) -> np.ndarray:
    part = head.part[buffers.face[seen]]
    position = head.interpolate(head.vertices, buffers, seen)
    albedo = np.full((len(part), 3), SKIN)
    for name, colour in PAINT.items():
        albedo[part == name] = colour
    for name in ("left_eye", "right_eye"):
        eyeball = head.vertices[head.faces[head.part == name]].reshape(-1, 3)
        centre, radius = (eyeball.max(0) + eyeball.min(0)) / 2, np.ptp(eyeball, axis=0).max() / 2
        from_axis = np.linalg.norm((position - centre)[:, :2], axis=1)
        albedo[(part == name) & (from_axis < 0.5 * radius)] = IRIS
        albedo[(part == name) & (from_axis < 0.22 * radius)] = PUPIL
    return albedo
