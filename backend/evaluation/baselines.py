"""The photo wrapped round a mesh: what one gets by hand from the naked body, and what our clothed surface adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from backend.avatar.draft import draft_avatar, seen_hair
from backend.avatar.projection import project_photo
from backend.avatar.texels import sample_texels
from backend.body.model import BodyModel
from backend.evaluation.actor import Actor, Renderer
from backend.evaluation.textured import TexturedMesh
from backend.evaluation.truth import TruthFrame
from backend.stages import Frame, Observations, Registration

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
    actor, mesh = Actor.of(registration, model), _paint(observations, registration, model)

    def render(frame: TruthFrame) -> Frame:
        expression = torch.as_tensor(frame.expression, dtype=torch.float32)
        return mesh.render(actor.like(frame).transforms[0], expression, frame.camera)

    return render


def _paint(observations: Observations, registration: Registration, model: BodyModel) -> TexturedMesh:
    """The photo's own pixels where it shows the surface, the colours of the untrained avatar elsewhere."""
    draft = draft_avatar(observations, registration, model, COMPLETION, show_unseen=True)
    surface, expression = draft.surface, torch.as_tensor(registration.expression, dtype=torch.float32)
    vertices = surface.pose(draft.posed.transforms[0], expression).numpy()
    texels = sample_texels(model, surface, TEXTURE)
    seen = project_photo(observations, surface, texels, vertices, seen_hair(registration), registration.camera)
    base = TexturedMesh.paint(model, surface, draft.texels, draft.color, COMPLETION)
    colors = base.shade(texels.face, texels.barycentric)
    colors[seen.known] = seen.color[seen.known]
    return TexturedMesh.paint(model, surface, texels, colors, TEXTURE)
