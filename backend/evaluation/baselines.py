"""The photo wrapped round a mesh: what one gets by hand from the naked body, and what our clothed surface adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from backend.avatar.completion import Pose, anatomy, complete
from backend.avatar.projection import project_photo
from backend.avatar.surface import Surface, clothed_surface
from backend.avatar.texels import sample_texels
from backend.body.model import BodyModel
from backend.body.posing import PosedBody, ShapedBody
from backend.evaluation.actor import Actor, Renderer
from backend.evaluation.textured import TexturedMesh
from backend.evaluation.truth import TruthFrame
from backend.registration.hair import hair_pixels
from backend.registration.wearer import wearer_of
from backend.stages import Frame, Observations, Registration
from shared.camera import Camera

TEXTURE = 1024
"""Side of the baselines' textures in texels."""
COMPLETION = 512
"""Side of the map on which the unseen is completed: the avatar's own."""


def textured_body(observations: Observations, registration: Registration, model: BodyModel) -> Renderer:
    """Project the photo on the naked body."""
    naked = replace(registration, offsets=np.zeros_like(registration.offsets), hair=None)
    return textured_mesh(observations, naked, model)


def textured_mesh(observations: Observations, registration: Registration, model: BodyModel) -> Renderer:
    """Project the photo on the clothed surface and complete what it does not show as the avatar does."""
    actor, surface = Actor.of(registration, model), clothed_surface(model, registration)
    mesh = _paint(observations, registration, model, actor, surface)

    def render(frame: TruthFrame) -> Frame:
        expression = torch.as_tensor(frame.expression, dtype=torch.float32)
        return mesh.render(actor.like(frame).transforms[0], expression, frame.camera)

    return render


def _paint(
    observations: Observations, registration: Registration, model: BodyModel, actor: Actor, surface: Surface
) -> TexturedMesh:
    """The photo's own pixels where it shows the surface, the completion of the avatar's coarser map elsewhere."""
    camera, posed = registration.camera, actor.as_registered(registration)
    vertices = surface.pose(posed.transforms[0], torch.as_tensor(registration.expression, dtype=torch.float32)).numpy()
    hair = hair_pixels(observations, wearer_of(registration, model), camera)
    coarse, fine = sample_texels(model, surface, COMPLETION), sample_texels(model, surface, TEXTURE)
    evidence, seen = (project_photo(observations, surface, texels, vertices, hair, camera) for texels in (coarse, fine))
    filled = complete(evidence, anatomy(model, surface, coarse), _pose(actor.shaped, posed, camera))
    base = TexturedMesh.paint(model, surface, coarse, filled, COMPLETION)
    colors = base.shade(fine.face, fine.barycentric)
    colors[seen.known] = seen.color[seen.known]
    return TexturedMesh.paint(model, surface, fine, colors, TEXTURE)


def _pose(shaped: ShapedBody, posed: PosedBody, camera: Camera) -> Pose:
    """The rest joints and the directions from them to the camera."""
    to_rest = torch.linalg.inv(posed.transforms[0].double()).numpy()
    joints = shaped.joints.double().numpy()
    return Pose(joints, to_rest[:, :3, :3] @ camera.centre + to_rest[:, :3, 3] - joints)
