"""The avatar before training: where every Gaussian sits, and the colour that the photo or its completion gives it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from backend.avatar.anatomy import anatomy
from backend.avatar.completion import complete
from backend.avatar.lending import Pose
from backend.avatar.limbs import LIMB_NAMES
from backend.avatar.projection import project_photo
from backend.avatar.surface import Surface, clothed_surface
from backend.avatar.texels import SeenFaces, Texels, sample_texels
from backend.body.model import BodyModel
from backend.body.posing import PosedBody
from backend.raster.mesh import rasterize_mesh
from backend.stages import Observations, Registration

ARM_BEGINS = 0.6
"""Share of an upper arm inside the photo from which the whole arm is shown."""


@dataclass(frozen=True)
class Draft:
    """M Gaussians to be trained, and the pose that the photo shows them in."""

    surface: Surface
    texels: Texels
    limb: np.ndarray  # [M] int8, index into `limbs.LIMB_NAMES`, one more for the hair layer
    color: np.ndarray  # [M, 3] sRGB in [0, 1]
    visible: np.ndarray  # [M] bool: the photo shows it
    known: np.ndarray  # [M] bool: plainly enough to have taken its colour from there
    facing: np.ndarray  # [M] cosine between normal and view in the photo
    visibility: np.ndarray  # [M] in [0, 1]
    posed: PosedBody  # batch 1, without clothes, in the photo's pose


def draft_avatar(
    observations: Observations,
    registration: Registration,
    model: BodyModel,
    hair: np.ndarray,  # [H, W] bool: the photo's hair pixels
    texture: int,  # side of the UV map
    show_unseen: bool,  # keep what lies beyond the photo's border
) -> Draft:
    """Sample the clothed surface, look every sample up in the photo, and complete what it does not show."""
    surface = clothed_surface(model, registration)
    pose, expression, transl = (
        torch.as_tensor(values, dtype=torch.float32)
        for values in (registration.full_pose, registration.expression, registration.transl)
    )
    shaped = model.shape(torch.as_tensor(registration.betas, dtype=torch.float32))
    posed = model.pose(shaped, pose[None], transl[None], expression[None])
    vertices = surface.pose(posed.transforms[0], expression).numpy()
    texels = sample_texels(model, surface, texture, _seen_faces(surface, vertices, posed, registration))
    evidence = project_photo(observations, surface, texels, vertices, hair, registration.camera)
    parts = anatomy(model, surface, texels)
    # An open lid is a few texels between lash and crease; a blink would draw their shadow over the whole eye.
    evidence = replace(evidence, known=evidence.known & ~parts.lid)
    rotations = posed.transforms[0, :, :3, :3].numpy()
    towards_camera = registration.camera.centre - posed.joints[0].numpy()
    view = np.einsum("jba,jb->ja", rotations, towards_camera)
    return Draft(
        surface=surface,
        texels=texels,
        limb=parts.limb,
        color=complete(evidence, parts, Pose(shaped.joints.numpy(), view)),
        visible=evidence.visible,
        known=evidence.known,
        facing=evidence.facing,
        visibility=np.ones(len(texels), np.float32) if show_unseen else _visibility(evidence.inside, parts.limb),
        posed=posed,
    )


def _seen_faces(surface: Surface, vertices: np.ndarray, posed: PosedBody, registration: Registration) -> SeenFaces:
    """Triangles that the photo shows, and how large its pixels are at the person."""
    camera = registration.camera
    depth = camera.project(posed.joints[0, :1].numpy())[1][0]
    face = rasterize_mesh(vertices, surface.faces, camera).face
    return SeenFaces(np.unique(face[face >= 0]), float(depth / camera.K[0, 0]))


def _visibility(inside: np.ndarray, limb: np.ndarray) -> np.ndarray:
    """What to show of each texel [M]: what the photo's frame contains, and the whole of an arm that begins in it.

    A bust fades out at the photo's border; an arm that gestures would show its cut.
    """
    visibility = inside.astype(np.float32)
    for side in ("left", "right"):
        upper, *rest = (LIMB_NAMES.index(f"{side}_{part}") for part in ("upper_arm", "forearm", "hand"))
        if inside[limb == upper].mean() > ARM_BEGINS:
            visibility[np.isin(limb, [upper, *rest])] = 1.0
    return visibility
