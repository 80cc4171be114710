"""Posing against `smplx`, against plain references, and near degenerate rotations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch.testing import assert_close

from backend.body.bench import load_reference, run_reference
from backend.body.model import BodyModel
from backend.body.posing import pose_joints, rodrigues
from backend.body.skinning import SkinningWeights, skin, skin_reference
from shared.skeleton import NUM_JOINTS, PARENTS

METRES = 1e-5


def random_parameters(body, frames, dtype=torch.float32):
    random = torch.Generator().manual_seed(0)
    betas = torch.randn(body.num_betas, generator=random, dtype=dtype)
    full_pose = 0.5 * torch.randn(frames, 165, generator=random, dtype=dtype)
    transl = torch.randn(frames, 3, generator=random, dtype=dtype)
    return betas, full_pose, transl, torch.rand(frames, len(body.expression_deltas), generator=random, dtype=dtype)


def assert_equals_smplx(model, reference, frames):
    betas, full_pose, transl, expression = random_parameters(model, frames)
    with torch.no_grad():
        wanted = run_reference(reference, betas, full_pose, transl, expression)
        posed = model.pose(model.shape(betas), full_pose, transl, expression)
    assert_close(posed.vertices, wanted.vertices, atol=METRES, rtol=0)
    assert_close(posed.joints, wanted.joints[:, :NUM_JOINTS], atol=METRES, rtol=0)


@pytest.mark.parametrize("frames", [1, 5])
def test_open_body_equals_smplx(model, frames):
    assert_equals_smplx(model, load_reference(), frames)


def test_official_layout_with_pose_correctives_equals_smplx(official_file):
    model = BodyModel.load(official_file)
    assert model.pose_dirs is not None
    assert_equals_smplx(model, load_reference(official_file), 2)


def test_fewer_betas_mean_the_rest_are_zero(model):
    betas = torch.randn(10)
    padded = torch.cat([betas, torch.zeros(model.num_betas - 10)])
    assert_close(model.shape(betas).vertices, model.shape(padded).vertices)
    assert_close(model.shape().vertices, model.shape(torch.zeros(model.num_betas)).vertices)


def test_transforms_carry_the_rest_pose_to_the_world(model):
    betas, full_pose, transl, _ = random_parameters(model, 2)
    shaped = model.shape(betas)
    posed = model.pose(shaped, full_pose, transl, torch.zeros(2, len(model.expression_names)))
    blended = torch.einsum("vj,bjrc->bvrc", model.weights, posed.transforms)
    homogeneous = torch.cat([shaped.vertices, torch.ones(len(shaped.vertices), 1)], dim=1)
    assert_close((blended @ homogeneous[..., None])[..., :3, 0], posed.vertices, atol=METRES, rtol=0)


def test_subset_poses_the_same_points(model, official_file):
    for body in (model, BodyModel.load(official_file)):
        betas, *rest = random_parameters(body, 3)
        chosen = torch.tensor([9120, 0, 13885, 500, 9120])
        few = body.subset(chosen)
        posed = few.pose(few.shape(betas), *rest)
        assert_close(posed.vertices, body.pose(body.shape(betas), *rest).vertices[:, chosen], atol=1e-6, rtol=0)


def test_joint_chain_equals_going_joint_by_joint():
    rotations = rodrigues(torch.randn(3, NUM_JOINTS, 3, dtype=torch.float64))
    rest = torch.randn(3, NUM_JOINTS, 3, dtype=torch.float64)
    transl = torch.randn(3, 3, dtype=torch.float64)
    transforms, joints = pose_joints(rotations, rest, transl)
    turned, places = [rotations[:, 0]], [rest[:, 0] + transl]
    for joint in range(1, NUM_JOINTS):
        parent = PARENTS[joint]
        bone = rest[:, joint] - rest[:, parent]
        turned.append(turned[parent] @ rotations[:, joint])
        places.append(places[parent] + (turned[parent] @ bone[..., None])[..., 0])
    assert_close(joints, torch.stack(places, dim=1))
    assert_close(transforms[..., :3, :3], torch.stack(turned, dim=1))
    assert_close((transforms[..., :3, :3] @ rest[..., None])[..., 0] + transforms[..., :3, 3], joints)


def test_parents_come_before_their_children():
    assert all(parent < joint for joint, parent in enumerate(PARENTS))


def test_compiled_skinning_equals_the_reference_with_gradients(model):
    weights = SkinningWeights.of(model.weights)
    inputs = torch.randn(3, NUM_JOINTS, 4, 4), torch.randn(3, len(model.template), 3)
    upstream = torch.randn(3, len(model.template), 3)
    results = []
    for function in (skin, skin_reference):
        transforms, rest = (tensor.clone().requires_grad_() for tensor in inputs)
        skinned = function(weights, transforms, rest)
        results.append((skinned, *torch.autograd.grad(skinned, (transforms, rest), upstream)))
    for ours, plain in zip(*results, strict=True):
        assert (ours - plain).norm() < 1e-5 * plain.norm()


def test_gradients_in_double_precision(official_file):
    points = BodyModel.load(official_file).subset(torch.tensor([9120, 8079, 616, 5770])).to(torch.float64)
    betas, full_pose, transl, expression = random_parameters(points, 1, torch.float64)
    full_pose[0, 30:60] = 0  # angle 0 is where naive formulas fail

    def vertices(betas, full_pose, transl, expression):
        posed = points.pose(points.shape(betas), full_pose, transl, expression)
        return posed.vertices, posed.joints

    inputs = tuple(value.requires_grad_() for value in (betas, full_pose, transl, expression))
    assert torch.autograd.gradcheck(vertices, inputs, eps=1e-6, atol=1e-6, fast_mode=True)


@given(st.lists(st.floats(-7, 7), min_size=3, max_size=3))
def test_rodrigues_is_the_rotation_of_its_vector(vector):
    rotation = rodrigues(torch.tensor(vector, dtype=torch.float64))
    np.testing.assert_allclose(rotation, Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-20, 1e-8, 1e-4, 9.9999e-3, 1.00001e-2, np.pi - 1e-7, np.pi, 2 * np.pi])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rodrigues_and_its_gradient_stay_right_at_degenerate_angles(angle, dtype):
    axis = torch.tensor([0.48, -0.6, 0.64], dtype=dtype)
    vector = (angle * axis).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(rodrigues, vector)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    wanted = Rotation.from_rotvec(vector.detach().double().numpy()).as_matrix()
    np.testing.assert_allclose(rodrigues(vector).detach(), wanted, atol=tolerance)
    step = 1e-6 * np.eye(3)
    at = vector.detach().double().numpy()
    slopes = [Rotation.from_rotvec(at + d).as_matrix() - Rotation.from_rotvec(at - d).as_matrix() for d in step]
    np.testing.assert_allclose(jacobian, np.stack(slopes, axis=-1) / 2e-6, atol=1e-5)


def test_small_change_of_pose_moves_the_body_little_at_half_turns(model):
    expression = torch.zeros(2, len(model.expression_names))
    pose = torch.zeros(2, 165)
    pose[:, 1] = np.pi
    pose[0, 1] -= 1e-4
    pose[1, 1] += 1e-4
    posed = model.pose(model.shape(), pose, torch.zeros(2, 3), expression).vertices
    assert (posed[0] - posed[1]).norm(dim=1).max() < 2e-4
