"""What a client gets to build an armature and a mesh from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from backend.avatar.files import load_avatar
from backend.avatar.surface import clothed_surface
from backend.service.client_files import add_client_files
from backend.service.rig_export import rig_of
from backend.service.texture import bake
from backend.service.texture_map import BODY_SHARE, corner_uvs
from backend.stages import Avatar, HairLayer, Light
from shared.rig import load_rig, save_rig


@pytest.fixture(scope="module")
def haired(fit):
    """The same person under a small tent."""
    peak = np.array([[0.0, 0.6, 0.0], [0.2, 0.3, 0.2], [-0.2, 0.3, 0.2], [0.0, 0.3, -0.2]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2]], np.int32)
    return replace(
        fit,
        hair=HairLayer(peak, faces, np.linspace(0, 1, 4, dtype=np.float32)),
        expression=np.full_like(fit.expression, 0.3),
    )


@pytest.fixture(scope="module")
def rig(haired, model):
    return rig_of(haired, model)


def skinned(rig, transforms, expression):
    """As a client does it: [V, 3]."""
    rest = rig.vertices.copy()
    for e, name in enumerate(rig.expression_names):
        vertices, deltas = rig.expression_delta(name)
        rest[vertices] += expression[e] * deltas
    blended = (rig.skin_weights[..., None, None] * transforms[rig.skin_joints.astype(int)]).sum(1)
    return np.einsum("vij,vj->vi", blended[:, :3, :3], rest) + blended[:, :3, 3]


def test_a_posed_rig_is_the_surface_that_the_gaussians_sit_on(rig, haired, model):
    pose = torch.from_numpy(np.random.default_rng(0).normal(0, 0.3, 165).astype(np.float32))
    shaped = model.shape(torch.as_tensor(haired.betas))
    expression = torch.as_tensor(haired.expression)
    transforms = model.pose(shaped, pose[None], torch.ones(1, 3), expression[None]).transforms[0]
    expected = clothed_surface(model, haired).pose(transforms, expression).numpy()
    np.testing.assert_allclose(skinned(rig, transforms.numpy(), rig.expression), expected, atol=2e-3)
    np.testing.assert_allclose(rig.joints, shaped.joints.numpy())


def test_a_rig_survives_its_file_and_is_small(rig, tmp_path):
    save_rig(tmp_path / "rig.npz", rig)
    again = load_rig(tmp_path / "rig.npz")
    np.testing.assert_allclose(again.vertices, rig.vertices)
    assert list(again.expression_names) == list(rig.expression_names)
    assert (tmp_path / "rig.npz").stat().st_size < 2_000_000


def test_the_rig_knows_the_photo(rig, haired):
    np.testing.assert_allclose(rig.full_pose, haired.full_pose)
    assert tuple(rig.image_size) == (haired.camera.width, haired.camera.height)
    assert rig.body_sha256 == haired.body_sha256


def test_the_body_keeps_its_map_and_hair_has_a_strip_of_its_own(rig, haired, fit, model):
    bare = corner_uvs(model, clothed_surface(model, fit))
    np.testing.assert_allclose(bare, model.uv[model.uv_faces], atol=1e-6)
    hair = rig.uvs[len(model.faces) :]
    assert len(hair) == 3 and hair[..., 0].min() > BODY_SHARE and hair.max() < 1
    assert rig.uvs[: len(model.faces), :, 0].max() <= BODY_SHARE
    one, other = hair[1, 1] - hair[1, 0], hair[1, 2] - hair[1, 0]
    assert abs(one[0] * other[1] - one[1] * other[0]) > 1e-4


def painted(model, registration, color_of):
    """The avatar with Gaussians all over `registration`'s surface, coloured by `color_of(points)`."""
    surface = clothed_surface(model, registration)
    face = np.arange(len(surface.faces), dtype=np.int32)
    middles = surface.vertices.numpy()[surface.faces].mean(1)
    color = np.clip(color_of(middles, face), 0.01, 0.99)
    count = len(face)
    return Avatar(
        face=face,
        barycentric=np.full((count, 3), 1 / 3, np.float32),
        offset=np.zeros((count, 3), np.float32),
        log_scale=np.zeros((count, 1), np.float32),
        rgb=np.log(color / (1 - color)).astype(np.float32),
        rgb_photo=np.zeros((count, 3), np.float32),
        visibility=np.ones(count, np.float32),
        light=Light(np.zeros(3), np.zeros(3)),
        registration=registration,
        info={},
    )


def sampled(texture, uvs):
    """Colours [N, 3] in [0, 1] as a viewport looks them up: v up, first row on top."""
    size = len(texture)
    column, row = (uvs[:, 0] * size).astype(int), ((1 - uvs[:, 1]) * size).astype(int)
    return texture[row.clip(0, size - 1), column.clip(0, size - 1)] / 255.0


def test_the_texture_shows_each_point_in_the_colour_of_its_gaussian(haired, model, avatar_folder):
    def by_place(points, face):
        return 0.5 + points * [0.4, 0.3, 0.9]

    avatar = painted(model, haired, by_place)
    texture, uvs = bake(avatar, model, 512), rig_of(haired, model).uvs
    surface = clothed_surface(model, haired)
    skin = np.flatnonzero(model.part == "skin")
    seen = sampled(texture, uvs[skin].mean(1))
    middles = surface.vertices.numpy()[surface.faces[skin]].mean(1)
    assert np.percentile(np.abs(seen - np.clip(by_place(middles, None), 0.01, 0.99)), 99) < 0.05


def test_no_seam_shows(haired, model):
    """The corners of a triangle lie on the border of a chart for many; colours there are as smooth as the paint."""
    avatar = painted(model, haired, lambda points, face: 0.5 + points * [0.4, 0.3, 0.9])
    texture, uvs = bake(avatar, model, 512), rig_of(haired, model).uvs[: len(model.faces)]
    corners = sampled(texture, uvs.reshape(-1, 2)).reshape(-1, 3, 3)
    skin = model.part == "skin"
    first = np.full((len(model.template), 3), np.nan)
    first[model.faces[skin].ravel()] = corners[skin].reshape(-1, 3)
    apart = np.abs(first[model.faces[skin].ravel()] - corners[skin].reshape(-1, 3)).max(1)
    assert np.percentile(apart, 99) < 0.06


def test_hair_and_eyes_keep_their_own_colours(haired, model):
    hair, eye = np.array([0.9, 0.1, 0.1]), np.array([0.1, 0.9, 0.1])

    def by_part(points, face):
        body = face < len(model.faces)
        is_eye = np.isin(np.pad(model.part, (0, 3))[face], ("left_eye", "right_eye"))
        return np.where(is_eye[:, None], eye, np.where(body[:, None], 0.5, hair))

    texture, uvs = bake(painted(model, haired, by_part), model, 512), rig_of(haired, model).uvs
    np.testing.assert_allclose(sampled(texture, uvs[len(model.faces) :].mean(1)), [hair] * 3, atol=0.01)
    eyes = np.flatnonzero(model.part == "left_eye")
    assert np.percentile(np.abs(sampled(texture, uvs[eyes].mean(1)) - eye), 90) < 0.02


def test_an_avatar_of_the_command_line_gets_its_files_once(avatar_folder, model, tmp_path):
    avatar = load_avatar(avatar_folder, model)
    add_client_files(tmp_path, avatar, model)
    assert Image.open(tmp_path / "texture.png").size == (256, 256)
    load_rig(tmp_path / "rig.npz")
    before = (tmp_path / "texture.png").stat().st_mtime_ns
    add_client_files(tmp_path, avatar, model)
    assert (tmp_path / "texture.png").stat().st_mtime_ns == before
