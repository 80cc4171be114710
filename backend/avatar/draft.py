"""The avatar before training: where every Gaussian sits, and the colour that the photo or its completion gives it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from backend.avatar.anatomy import Anatomy, anatomy
from backend.avatar.completion import complete
from backend.avatar.doubt import HANDS, guessed, mistaken, seen_past_arms, shown_past_arms, trust
from backend.avatar.eyes_and_mouth import MOUTH
from backend.avatar.lending import Pose
from backend.avatar.light import GAMMA, Room
from backend.avatar.limbs import LIMB_NAMES
from backend.avatar.photo_light import SAMPLES, estimate_light
from backend.avatar.projection import Evidence, project_photo
from backend.avatar.surface import Surface, clothed_surface
from backend.avatar.texels import SeenFaces, Texels, sample_texels
from backend.body.model import BodyModel
from backend.body.posing import PosedBody, ShapedBody
from backend.raster.mesh import rasterize_mesh
from backend.stages import Light, Observations, Registration
from shared.camera import Camera
from shared.skeleton import JOINT_INDEX

ARM_BEGINS = 0.6
"""Share of an upper arm inside the photo from which the whole arm is shown."""


@dataclass(frozen=True)
class Draft:
    """M Gaussians to be trained, and the pose that the photo shows them in."""

    surface: Surface
    texels: Texels
    limb: np.ndarray  # [M] int8, index into `limbs.LIMB_NAMES`, one more for the hair layer
    color: np.ndarray  # [M, 3] sRGB in [0, 1]
    in_photo: np.ndarray  # [M, 3] the same for the photo's own view: what it shows there, whatever that is
    bared: np.ndarray  # [M] bool: what the photo shows there goes where the texel's limb goes
    guessed: np.ndarray  # [M] bool: hands of which nobody knows where they are, so the photo does not move them
    trust: np.ndarray  # [M] in [0, 1]: how much the colour that it has in the photo is its own
    visibility: np.ndarray  # [M] in [0, 1]
    light: Light  # the photo's
    posed: PosedBody  # batch 1, without clothes, in the photo's pose


def draft_avatar(
    observations: Observations,
    registration: Registration,
    model: BodyModel,
    texture: int,  # side of the UV map
    show_unseen: bool,  # keep what lies beyond the photo's border
) -> Draft:
    """Sample the clothed surface, look every sample up in the photo, and complete what it does not show."""
    surface = clothed_surface(model, registration)
    full_pose, expression, transl = (
        torch.as_tensor(values, dtype=torch.float32)
        for values in (registration.full_pose, registration.expression, registration.transl)
    )
    shaped = model.shape(torch.as_tensor(registration.betas, dtype=torch.float32))
    posed = model.pose(shaped, full_pose[None], transl[None], expression[None])
    vertices = surface.pose(posed.transforms[0], expression).numpy()
    texels = sample_texels(model, surface, texture, _seen_faces(surface, vertices, posed, registration))
    evidence = project_photo(observations, surface, texels, vertices, seen_hair(registration), registration.camera)
    parts = anatomy(model, surface, texels)
    guesses, past = guessed(parts, registration.confidence), seen_past_arms(evidence, parts)
    elsewhere = guesses | past  # the photo shows somebody else's colour there, and they must hide in it
    wrong = elsewhere | mistaken(parts, evidence, shaped.joints[JOINT_INDEX["head"]].numpy())
    evidence = replace(evidence, known=evidence.known & ~wrong | shown_past_arms(evidence, parts, past))
    room = Room.of(surface, torch.as_tensor(parts.position))
    light = _photo_light(room, parts, evidence, posed, registration.camera)
    lit = _lit(room, parts, evidence, posed, light)
    bare = replace(evidence, color=evidence.color / lit)  # copies are made of the cloth, not of the light on it
    color = complete(bare, parts, _looked_at(shaped, posed, registration.camera)) * lit
    return Draft(
        surface=surface,
        texels=texels,
        limb=parts.limb,
        color=color,
        in_photo=np.where((elsewhere & evidence.visible & evidence.bared)[:, None], evidence.color, color),
        bared=evidence.bared,
        guessed=guesses & np.isin(parts.limb, HANDS),
        trust=np.where(wrong, 0.0, trust(evidence, parts)),
        visibility=np.ones(len(texels), np.float32) if show_unseen else _visibility(evidence.inside, parts.limb),
        light=light,
        posed=posed,
    )


def _looked_at(shaped: ShapedBody, posed: PosedBody, camera: Camera) -> Pose:
    """How the photo looks at the rest skeleton."""
    rotations = posed.transforms[0, :, :3, :3].numpy()
    towards_camera = camera.centre - posed.joints[0].numpy()
    return Pose(shaped.joints.numpy(), np.einsum("jba,jb->ja", rotations, towards_camera))


def seen_hair(registration: Registration) -> np.ndarray:
    """The photo's hair pixels [H, W] bool; none where nobody looked for them."""
    if registration.hair_pixels is None:
        return np.zeros((registration.camera.height, registration.camera.width), dtype=bool)
    return registration.hair_pixels


def _seen_faces(surface: Surface, vertices: np.ndarray, posed: PosedBody, registration: Registration) -> SeenFaces:
    """Triangles that the photo shows, and how large its pixels are at the person."""
    camera = registration.camera
    depth = camera.project(posed.joints[0, :1].numpy())[1][0]
    face = rasterize_mesh(vertices, surface.faces, camera).face
    return SeenFaces(np.unique(face[face >= 0]), float(depth / camera.K[0, 0]))


def _photo_light(room: Room, parts: Anatomy, evidence: Evidence, posed: PosedBody, camera: Camera) -> Light:
    """The photo's light, from what it plainly shows of skin and clothes."""
    plain = np.flatnonzero(evidence.known & (parts.part == "skin"))
    plain = plain[:: max(1, len(plain) // SAMPLES)]
    there = replace(room, nearest=room.nearest[plain], share=room.share[plain]).posed(posed.transforms[0])
    away = camera.centre - posed.joints[0, 0].numpy()
    return estimate_light(evidence.color[plain], evidence.normal[plain], there, away / np.linalg.norm(away))


def _lit(room: Room, parts: Anatomy, evidence: Evidence, posed: PosedBody, light: Light) -> np.ndarray:
    """What the photo's light makes of a display-referred colour at each texel, [M, 1]; the sky alone makes it 1.

    Also 1 inside the mouth, which is painted as it looks.
    """
    normal = torch.as_tensor(evidence.normal, dtype=torch.float32)
    caught = room.posed(posed.transforms[0]).light_on(normal, light)
    lit = caught.numpy() ** np.float32(1 / GAMMA)
    return np.where(np.isin(parts.part, list(MOUTH)), np.float32(1.0), lit)[:, None]


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
