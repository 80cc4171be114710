from dataclasses import replace

import pytest
import torch

from backend.body.landmarks import face_landmarks
from backend.registration.rig import build_rig, posed


@pytest.fixture(scope="module")
def corrective(model):
    """The open body with pose correctives, as official files have them."""
    generator = torch.Generator().manual_seed(0)
    return replace(model, pose_dirs=1e-3 * torch.randn(486, *model.template.shape, generator=generator))


@pytest.mark.parametrize("kind", ["model", "corrective"])
def test_landmarks_move_with_the_mesh(kind, request):
    model = request.getfixturevalue(kind)
    generator = torch.Generator().manual_seed(1)
    pose, transl = 0.3 * torch.randn(1, 165, generator=generator), torch.randn(1, 3, generator=generator)
    betas, expression = (
        torch.randn(1, 20, generator=generator),
        torch.rand(1, len(model.expression_names), generator=generator),
    )
    rig, embedding = build_rig(model), face_landmarks(model)
    mesh = model.pose(model.shape(betas[0]), pose, transl, expression).vertices[0].double().numpy()
    on_mesh = embedding.points(mesh, model.faces)[rig.face_rows]
    on_rig = posed(rig.face, pose.double(), transl.double(), betas.double(), expression.double())[0].numpy()
    assert abs(on_rig - on_mesh).max() < 2e-3  # a blend of three vertices' weights is not quite the blend of the three


def test_bodies_of_different_shape_can_be_posed_at_once(model):
    rig = build_rig(model)
    betas = torch.randn(4, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    pose, transl = torch.zeros(4, 165, dtype=torch.float64), torch.zeros(4, 3, dtype=torch.float64)
    expression = torch.zeros(4, len(model.expression_names), dtype=torch.float64)
    together = posed(rig.pose, pose, transl, betas, expression)
    for k in range(4):
        alone = posed(rig.pose, pose[:1], transl[:1], betas[k : k + 1], expression[:1])
        assert torch.allclose(together[k], alone[0], atol=1e-12)
    assert torch.allclose(together, model_points(rig, betas), atol=1e-12)


def model_points(rig, betas):
    """Rest positions by the shape space alone."""
    return torch.stack([rig.pose.shape(one).vertices for one in betas])
