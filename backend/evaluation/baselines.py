"""The photo wrapped round a mesh: what one gets by hand from the naked body, and what our clothed surface adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from backend.avatar.completion import anatomy, complete
from backend.avatar.projection import project_photo
from backend.avatar.surface import Surface, clothed_surface
from backend.avatar.texels import sample_texels
from backend.body.model import BodyModel
from backend.body.posing import PosedBody, ShapedBody
from backend.evaluation.actor import Actor, Renderer
from backend.evaluation.textured import TexturedMesh
from backend.evaluation.truth import TruthFrame
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
    coarse = sample_texels(model, surface, COMPLETION)
    evidence = project_photo(observations, surface, vertices, coarse, camera)
    view = _view_directions(actor.shaped, posed, camera)
    filled = complete(evidence, anatomy(model, surface, coarse), actor.shaped.joints.numpy(), view)
    base = TexturedMesh.paint(model, surface, coarse, filled, COMPLETION)
    fine = sample_texels(model, surface, TEXTURE)
    seen = project_photo(observations, surface, vertices, fine, camera)
    colors = base.shade(fine.face, fine.barycentric)
    colors[seen.known] = seen.color[seen.known]
    return TexturedMesh.paint(model, surface, fine, colors, TEXTURE)


def _view_directions(shaped: ShapedBody, posed: PosedBody, camera: Camera) -> np.ndarray:
    """From each joint to the camera, in the joint's rest frame: [55, 3] metres."""
    to_rest = torch.linalg.inv(posed.transforms[0].double()).numpy()
    return to_rest[:, :3, :3] @ camera.centre + to_rest[:, :3, 3] - shaped.joints.double().numpy()
