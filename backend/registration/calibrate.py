"""Measure where MediaPipe's landmarks lie on a body: `python -m backend.registration.calibrate` prints the tables.

Simply dressed bodies of random shape and pose are rendered and observed like photos; each landmark's constant offset
in its joint's rest frame is the robust least-squares answer over all of them, left and right together.
Run it again when MediaPipe or the open body changes, and carry the result into `correspondence.py`.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.optimize import least_squares

from backend.body.geometry import vertex_normals
from backend.body.model import BodyModel
from backend.photo.observe import observe
from backend.raster.mesh import rasterize_mesh
from backend.stages import Landmarks
from shared.camera import Camera
from shared.errors import VivantError
from shared.skeleton import JOINT_INDEX

from .correspondence import Attachment, all_hand_attachments, all_pose_attachments
from .evidence import LIMBS, limb_directions
from .parameters import Layout, build_prior

PICTURES, SEED = 40, 0
CAMERA = Camera(
    720,
    1000,
    np.array([[1400.0, 0, 360], [0, 1400.0, 500], [0, 0, 1]]),
    np.array([[1.0, 0, 0, 0], [0, -1, 0, -0.3], [0, 0, -1, 3.6], [0, 0, 0, 1]]),
)
SKIN, SHIRT, TROUSERS, SHOES, WALL = (206, 160, 136), (150, 60, 60), (60, 70, 110), (50, 40, 35), (190, 195, 190)
CLOTHES = {
    SHIRT: ("spine1", "spine2", "spine3", "left_collar", "right_collar", "left_shoulder", "right_shoulder"),
    TROUSERS: ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee"),
    SHOES: ("left_ankle", "right_ankle", "left_foot", "right_foot"),
}


@dataclass(frozen=True)
class Sitting:
    """One body as it was rendered and as it was seen."""

    joints: np.ndarray  # [55, 3] metres, rest
    transforms: np.ndarray  # [55, 4, 4] rest to world
    seen: dict[str, Landmarks]  # body, left_hand, right_hand
    directions: np.ndarray  # [L, 3] of `LIMBS`, as MediaPipe sees them


def main() -> None:
    """Render, observe, solve, print."""
    model = BodyModel.load()
    sittings = [sitting for sitting in (_sit(model, seed) for seed in range(SEED, SEED + PICTURES)) if sitting]
    print(f"{len(sittings)} of {PICTURES} bodies observed", file=sys.stderr)
    pose, hand = all_pose_attachments(), all_hand_attachments
    _report_limbs(sittings, pose)
    for row, attachment in pose.items():
        if row % 2:  # the person's left
            pairs = [("body", row, attachment, 1.0), ("body", row + 1, pose[row + 1], -1.0)]
            _report(row, attachment, sittings, pairs)
    for row, attachment in hand("left").items():
        pairs = [("left_hand", row, attachment, 1.0), ("right_hand", row, hand("right")[row], -1.0)]
        _report(row, attachment, sittings, pairs)


def _sit(model: BodyModel, seed: int) -> Sitting | None:
    """A random body, rendered and observed; None if it is not recognised as a person."""
    rng = np.random.default_rng(seed)
    prior = build_prior(model, 0.0)
    x = prior.mean + prior.std * torch.from_numpy(rng.standard_normal(len(prior.mean)))
    x = x.clamp(prior.low, prior.high).float()
    pose = x[Layout.POSE].clone()
    pose[:3] = torch.tensor([0.0, rng.uniform(-0.9, 0.9), 0.0])
    betas = torch.from_numpy(rng.standard_normal(10)).float()
    shaped = model.shape(betas)
    posed = model.pose(shaped, pose[None], torch.zeros(1, 3), torch.zeros(1, len(model.expression_names)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "body.png"
        Image.fromarray(_picture(model, posed.vertices[0].numpy())).save(path)
        try:
            found = observe(path)
        except VivantError as error:
            print(f"seed {seed}: {error}", file=sys.stderr)
            return None
    scale = CAMERA.width / found.rgb.shape[1]
    seen = {
        name: Landmarks(scale * landmarks.points, landmarks.confidence)
        for name, landmarks in (("body", found.body), ("left_hand", found.left_hand), ("right_hand", found.right_hand))
    }
    return Sitting(shaped.joints.numpy(), posed.transforms[0].numpy(), seen, limb_directions(found.body_world))


def _picture(model: BodyModel, vertices: np.ndarray) -> np.ndarray:
    """RGBA [H, W, 4] uint8: plain colours, one light."""
    buffers = rasterize_mesh(vertices, model.faces, CAMERA)
    colours = np.tile(np.array(SKIN, dtype=np.float64), (len(vertices), 1))
    leading = model.weights.numpy().argmax(1)
    for colour, joints in CLOTHES.items():
        colours[np.isin(leading, [JOINT_INDEX[joint] for joint in joints])] = colour
    light = np.clip(vertex_normals(vertices, model.faces) @ np.array([0.3, 0.5, 0.81]), 0, 1)
    lit = colours * (0.45 + 0.6 * light[:, None])
    covered = buffers.face >= 0
    picture = np.full((*covered.shape, 4), (*WALL, 0), dtype=np.float64)
    blended = (lit[model.faces[buffers.face[covered]]] * buffers.barycentric[covered][..., None]).sum(1)
    picture[covered] = np.concatenate([blended, np.full((len(blended), 1), 255.0)], axis=1)
    return picture.clip(0, 255).astype(np.uint8)


def _report_limbs(sittings: list[Sitting], pose: dict[int, Attachment]) -> None:
    """How far MediaPipe's limb directions are off in depth: mean and spread of the z component."""
    ends = np.array([[[_place(sitting, pose[row]) for row in limb] for limb in LIMBS] for sitting in sittings])
    bones = ends[:, :, 1] - ends[:, :, 0]
    true = bones / np.linalg.norm(bones, axis=2, keepdims=True)
    error = np.array([sitting.directions for sitting in sittings]) - true  # [sittings, L, 3]
    for limb, mean, spread in zip(LIMBS, error.mean(0), error.std(0), strict=True):
        print(f"limb {limb}: mean {np.round(mean, 3)} spread {np.round(spread, 3)}")


def _place(sitting: Sitting, attachment: Attachment) -> np.ndarray:
    """The landmark's true position, [3] metres, world."""
    rest = sitting.joints[JOINT_INDEX[attachment.joint]] + np.array(attachment.offset)
    transform = sitting.transforms[JOINT_INDEX[attachment.frame]]
    return transform[:3, :3] @ rest + transform[:3, 3]


def _report(
    row: int, attachment: Attachment, sittings: list[Sitting], pairs: list[tuple[str, int, Attachment, float]]
) -> None:
    """Solve and print one landmark's offset, and by how much it still misses."""

    def missed(offset: np.ndarray) -> np.ndarray:
        return np.concatenate([_missed(offset, sitting, *pair) for sitting in sittings for pair in pairs])

    solution = least_squares(missed, np.zeros(3), loss="soft_l1", f_scale=0.02)
    before, after = (np.median(np.linalg.norm(missed(at).reshape(-1, 2), axis=1)) for at in (np.zeros(3), solution.x))
    print(f"{row}: {attachment.joint} {np.round(solution.x, 4).tolist()}  {1000 * before:.1f} -> {1000 * after:.1f} mm")


def _missed(
    offset: np.ndarray, sitting: Sitting, name: str, row: int, attachment: Attachment, mirror: float
) -> np.ndarray:
    """Seen minus predicted, in metres at the joint's depth, [2], or nothing where it was not seen well."""
    landmarks = sitting.seen[name]
    if landmarks.confidence[row] < 0.7:
        return np.zeros(0)
    x, y, z = offset
    pixel, depth = CAMERA.project(_place(sitting, replace(attachment, offset=(mirror * x, y, z)))[None])
    return (landmarks.points[row] - pixel[0]) * depth[0] / CAMERA.K[0, 0]


if __name__ == "__main__":
    main()
