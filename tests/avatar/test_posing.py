from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from backend.avatar.posing import OPACITY, THICKNESS, PosableAvatar, bind, quats_of
from backend.body.geometry import face_normals
from backend.stages import Avatar, Light
from shared.skeleton import JOINT_INDEX

EYE = np.array([0.0, 1.0, 3.0])


@pytest.fixture(scope="module")
def binding(surface, texels):
    return bind(surface, torch.as_tensor(texels.face).long(), torch.as_tensor(texels.barycentric))


@pytest.fixture(scope="module")
def avatar(texels, registration):
    count = len(texels)
    rng = np.random.default_rng(0)
    return Avatar(
        face=texels.face,
        barycentric=texels.barycentric,
        offset=rng.normal(0, 0.005, (count, 3)).astype(np.float32),
        log_scale=np.full((count, 1), -5.0, np.float32),
        rgb=np.zeros((count, 3), np.float32),
        rgb_photo=np.zeros((count, 3), np.float32),
        visibility=np.linspace(0, 1, count, dtype=np.float32),
        light=Light(np.zeros(3), np.zeros(3)),
        registration=registration,
        info={},
    )


def as_in_the_photo(posable, registration, eye=None):
    values = (registration.full_pose, registration.transl, registration.expression)
    posture = (torch.as_tensor(value, dtype=torch.float32) for value in values)
    return posable.pose(*posture, registration.camera.centre if eye is None else eye)


def normals(gaussians):
    return Rotation.from_quat(np.roll(gaussians.quats_wxyz.numpy(), -1, axis=1)).apply([0.0, 0.0, 1.0])


def test_at_rest_without_offsets_gaussians_lie_on_the_surface(binding, texels, surface):
    still = torch.zeros(surface.expression_deltas.shape[0])
    at_rest, _ = binding.pose(torch.zeros(len(texels), 3), torch.eye(4).expand(55, 4, 4), still)
    np.testing.assert_allclose(at_rest, texels.interpolate(surface.vertices.numpy(), surface.faces), atol=1e-6)


def test_frames_are_rotations_whose_third_axis_is_the_outward_normal(binding, texels, surface):
    frame = binding.frame.double()
    np.testing.assert_allclose(frame.mT @ frame, np.broadcast_to(np.eye(3), frame.shape), atol=1e-5)
    assert torch.linalg.det(frame).min() > 0.999
    out = torch.zeros(len(texels), 3)
    out[:, 2] = 0.001
    still = torch.zeros(surface.expression_deltas.shape[0])
    lifted = binding.pose(out, torch.eye(4).expand(55, 4, 4), still)[0] - binding.position
    np.testing.assert_allclose(lifted, 0.001 * binding.frame[:, :, 2], atol=1e-6)


def test_posed_gaussians_follow_the_posed_mesh(binding, texels, surface, posed, registration):
    expression = torch.zeros(len(registration.expression_names))
    means, _ = binding.pose(torch.zeros(len(texels), 3), posed.transforms[0], expression)
    mesh = texels.interpolate(posed.vertices[0].numpy(), surface.faces)
    distance = np.linalg.norm(means.numpy() - mesh, axis=1)
    assert np.median(distance) < 1e-4 and distance.max() < 0.005  # weights are mixed before, not after


def test_turning_the_root_turns_every_gaussian(avatar, model):
    posable = PosableAvatar(avatar, model)
    expression = torch.zeros(len(model.expression_names))
    still = torch.zeros(165)
    before = posable.pose(still, torch.zeros(3), expression, EYE).means.numpy()
    turned, shift = still.clone(), torch.tensor([0.3, -0.2, 1.0])
    turned[:3] = torch.tensor([0.2, 1.1, -0.4])
    after = posable.pose(turned, shift, expression, EYE).means.numpy()
    pelvis = model.joint_template[0].numpy()
    rotation = Rotation.from_rotvec(turned[:3].numpy()).as_matrix()
    np.testing.assert_allclose(after, (before - pelvis) @ rotation.T + pelvis + shift.numpy(), atol=1e-5)


def test_an_expression_moves_the_moved_and_nothing_else(avatar, binding, model):
    posable = PosableAvatar(avatar, model)
    calm = torch.zeros(len(model.expression_names))
    open_mouth = calm.clone()
    open_mouth[model.expression_names.index("jawOpen")] = 1.0
    still = torch.zeros(165)
    before, after = (posable.pose(still, torch.zeros(3), values, EYE).means for values in (calm, open_mouth))
    moved = torch.zeros(len(before), dtype=torch.bool)
    moved[binding.moved] = True
    distance = (after - before).norm(dim=1)
    # an open body's expressions may shift joints by rounding alone
    assert distance[~moved].max() < 1e-5 and distance[moved].max() > 0.01


def test_what_is_drawn_is_what_is_stored(avatar, model):
    drawn = as_in_the_photo(PosableAvatar(avatar, model), avatar.registration)
    np.testing.assert_allclose(drawn.colors, 0.5)
    np.testing.assert_allclose(drawn.scales[:, :2], np.exp(-5.0), rtol=1e-6)
    np.testing.assert_allclose(drawn.scales[:, 2], THICKNESS * np.exp(-5.0), rtol=1e-6)
    np.testing.assert_allclose(drawn.opacities, OPACITY * avatar.visibility, rtol=1e-6)
    assert 0.9 < OPACITY < 1
    np.testing.assert_allclose(drawn.quats_wxyz.norm(dim=1), 1, rtol=1e-6)


def test_quaternions_are_those_of_the_rotations():
    rotations = Rotation.random(500, random_state=0)
    halves = Rotation.from_euler("xyz", [[180, 0, 0], [0, 180, 0], [0, 0, 180], [0, 0, 0]], degrees=True)
    for turns in (rotations, halves):
        quats = quats_of(torch.as_tensor(turns.as_matrix()))
        again = Rotation.from_quat(np.roll(quats.numpy(), -1, axis=1))
        np.testing.assert_allclose((again * turns.inv()).magnitude(), 0, atol=1e-6)


def test_gaussians_lie_flat_on_the_posed_surface(binding, texels, surface, posed, registration):
    expression = torch.as_tensor(registration.expression, dtype=torch.float32)
    _, axes = binding.pose(torch.zeros(len(texels), 3), posed.transforms[0], expression)
    up = axes[:, :, 2].numpy()
    mesh = face_normals(posed.vertices[0].numpy(), surface.faces)[texels.face]
    aligned = (up * mesh).sum(1) / np.linalg.norm(mesh, axis=1)
    assert np.median(aligned) > 0.99


def test_posing_is_differentiable_in_the_offset(binding, posed, registration, texels):
    offset = torch.zeros(len(texels), 3, requires_grad=True)
    binding.pose(offset, posed.transforms[0], torch.as_tensor(registration.expression))[0].sum().backward()
    assert (offset.grad.norm(dim=1) > 0.1).all()


def test_clothes_move_the_gaussians_with_them(avatar, model, wearer):
    dressed = replace(avatar.registration, offsets=0.02 * wearer.normals)
    calm = (torch.zeros(165), torch.zeros(3), torch.zeros(len(model.expression_names)))
    naked = PosableAvatar(avatar, model).pose(*calm, EYE).means
    clothed = PosableAvatar(replace(avatar, registration=dressed), model).pose(*calm, EYE).means
    assert (clothed - naked).norm(dim=1).median().item() == pytest.approx(0.02, rel=0.1)


def test_the_photos_light_stays_in_the_room_when_the_person_turns(avatar, model):
    from_the_left = PosableAvatar(replace(avatar, light=Light(np.array([0.8, 0.0, 0.0]), np.zeros(3))), model)
    registration = avatar.registration
    before = as_in_the_photo(from_the_left, registration)
    pose = registration.full_pose.copy()
    pose[:3] = [0.0, np.pi, 0.0]
    after = as_in_the_photo(from_the_left, replace(registration, full_pose=pose))
    sideways = normals(before)[:, 0]
    to_the_light, away = sideways > 0.8, sideways < -0.8
    np.testing.assert_allclose(before.colors, 0.5, atol=1e-6)
    assert after.colors[to_the_light].max() < 0.5 < after.colors[away].min()


def test_the_photos_own_colours_hold_where_and_whence_the_photo_saw(avatar, model):
    stained = PosableAvatar(replace(avatar, rgb_photo=avatar.rgb + 2), model)
    photo, camera = avatar.registration, avatar.registration.camera
    painted = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(as_in_the_photo(stained, photo).colors, painted, atol=1e-5)
    carried = replace(photo, transl=photo.transl + np.float32(0.5))  # the whole person, with the camera
    np.testing.assert_allclose(as_in_the_photo(stained, carried, camera.centre + 0.5).colors, painted, atol=1e-5)
    round_the_side = as_in_the_photo(stained, photo, np.array([3.0, 1.0, 1.0]))
    np.testing.assert_allclose(round_the_side.colors, 0.5, atol=1e-5)
    waving = photo.full_pose.copy()
    waving[3 * JOINT_INDEX["left_shoulder"] : 3 * JOINT_INDEX["left_shoulder"] + 3] += 0.5
    before, after = as_in_the_photo(stained, photo), as_in_the_photo(stained, replace(photo, full_pose=waving))
    moved = (after.means - before.means).norm(dim=1)
    np.testing.assert_allclose(after.colors[moved > 0.03], 0.5, atol=0.08)
    np.testing.assert_allclose(after.colors[moved < 1e-6], painted, atol=0.08)  # in the arm's new shadow, or out of it
    assert (moved > 0.03).sum() > 100 and (moved < 1e-6).sum() > 100


def test_a_closing_lid_loses_the_colours_of_the_open_one(avatar, model):
    stained = PosableAvatar(replace(avatar, rgb_photo=avatar.rgb - 2), model)
    photo, shut = avatar.registration, avatar.registration.expression.copy()
    shut[model.blinks[0]] = 1.0
    before, after = as_in_the_photo(stained, photo), as_in_the_photo(stained, replace(photo, expression=shut))
    moved = (after.means - before.means).norm(dim=1)
    np.testing.assert_allclose(after.colors[moved > 0.003], 0.5, atol=0.05)
    assert (moved > 0.003).sum() > 10 and before.colors.max() < 0.13


def test_its_size_counts_all_that_there_is_of_each_gaussian(avatar, model):
    posable, count = PosableAvatar(avatar, model), len(avatar.face)
    parts = [value for part in vars(posable).values() for value in (part, *getattr(part, "__dict__", {}).values())]
    tensors = [value for value in parts if isinstance(value, torch.Tensor) and value.shape[:1] == (count,)]
    moved = posable._binding.moved, posable._binding.deltas
    assert posable.nbytes == sum(tensor.nbytes for tensor in (*tensors, *moved))
