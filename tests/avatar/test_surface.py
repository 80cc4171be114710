from dataclasses import replace

import numpy as np
import torch

from backend.avatar.surface import clothed_surface
from shared.skeleton import JOINT_INDEX


def test_without_clothes_it_poses_like_the_body(surface, posed, registration):
    expression = torch.as_tensor(registration.expression)
    np.testing.assert_allclose(surface.pose(posed.transforms[0], expression), posed.vertices[0], atol=1e-6)


def test_expressions_move_it_like_the_body(surface, registration, model):
    expression = torch.zeros(len(model.expression_names))
    expression[model.expression_names.index("jawOpen")] = 0.8
    pose, transl = torch.as_tensor(registration.full_pose)[None], torch.as_tensor(registration.transl)[None]
    body = model.pose(model.shape(), pose, transl, expression[None])
    np.testing.assert_allclose(surface.pose(body.transforms[0], expression), body.vertices[0], atol=1e-5)


def test_offsets_are_added_in_the_rest_pose(surface, registration, model):
    offsets = np.random.default_rng(0).normal(0, 0.01, registration.offsets.shape)
    moved = clothed_surface(model, replace(registration, offsets=offsets)).vertices - surface.vertices
    np.testing.assert_allclose(moved, offsets, atol=1e-6)


def test_hair_follows_the_chest_as_far_as_it_lies_on_it(roof, registration, posed, model):
    fallen = replace(roof, on_chest=np.linspace(0, 1, len(roof.vertices), dtype=np.float32))
    hairy = clothed_surface(model, replace(registration, hair=fallen))
    head, chest = (posed.transforms[0, JOINT_INDEX[name], :3].numpy() for name in ("head", "spine3"))
    carried = [roof.vertices @ bone[:, :3].T + bone[:, 3] for bone in (head, chest)]
    expected = carried[0] + fallen.on_chest[:, None] * (carried[1] - carried[0])
    moved = hairy.pose(posed.transforms[0], torch.as_tensor(registration.expression))[-len(roof.vertices) :]
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_hair_follows_the_head_rigidly(roof, registration, posed, model):
    hairy = clothed_surface(model, replace(registration, hair=roof))
    assert hairy.num_body_faces == len(model.faces) and len(hairy.faces) == len(model.faces) + 2
    np.testing.assert_allclose(hairy.vertices[hairy.faces[-2:]], roof.vertices[roof.faces], atol=1e-6)
    grin = torch.ones(len(model.expression_names))
    head = posed.transforms[0, JOINT_INDEX["head"]].numpy()
    moved = hairy.pose(posed.transforms[0], grin)[-len(roof.vertices) :]
    np.testing.assert_allclose(moved, roof.vertices @ head[:3, :3].T + head[:3, 3], atol=1e-5)
