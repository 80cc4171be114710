"""Textured meshes: the photo's own view gives the photo back where the photo shows the surface."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.avatar.projection import project_photo
from backend.avatar.surface import clothed_surface
from backend.avatar.texels import sample_texels
from backend.body.model import BodyModel
from backend.evaluation.actor import Actor
from backend.evaluation.sources import true_observations, true_registration
from backend.evaluation.textured import TexturedMesh
from backend.evaluation.truth import load_subject
from backend.stages import HairLayer


@pytest.fixture(scope="module")
def scene(truth):
    model = BodyModel.load()
    subject = load_subject(truth / "subject_b")
    return subject, model, true_registration(subject, model)


def test_the_photo_painted_on_the_body_looks_like_the_photo(scene):
    subject, model, registration = scene
    source = subject.source
    surface = clothed_surface(model, registration)
    texels = sample_texels(model, surface, 512)
    posed = Actor.of(registration, model).like(source)
    vertices, observations = posed.vertices[0].numpy(), true_observations(subject)
    no_hair = np.zeros(observations.alpha.shape, dtype=bool)
    evidence = project_photo(observations, surface, texels, vertices, no_hair, source.camera)
    green = np.where(evidence.known[:, None], evidence.color, np.float32([0, 1, 0]))
    mesh = TexturedMesh.paint(model, surface, texels, green, 512)
    frame = mesh.render(posed.transforms[0], torch.as_tensor(source.expression), source.camera)
    unseen = (frame.rgb[..., 1] > 0.9) & (frame.rgb[..., 0] < 0.1)
    shown = (frame.alpha == 1) & ~unseen & (observations.alpha == 1)
    error = np.abs(frame.rgb - observations.foreground / 255.0)[shown]
    assert shown.sum() > 0.7 * (frame.alpha == 1).sum()
    assert np.median(error) < 0.02 and frame.alpha.max() == 1
    truth = np.isfinite(frame.depth) & (source.depth > 0) & (frame.alpha == 1)
    assert 0 < np.median(frame.depth[truth] - source.depth[truth]) < 0.05  # clothes lie in front of the skin


def test_a_hair_layer_is_drawn_with_its_own_colours(scene):
    subject, model, registration = scene
    shaped = model.shape(torch.as_tensor(subject.betas)).vertices.numpy()
    top = np.array([0, shaped[:, 1].max(), 0])
    corners = top + np.array([[-0.2, 0.02, 0], [0.2, 0.02, 0], [0, 0.2, 0]])  # a triangle over the head
    hair = HairLayer(corners, np.array([[0, 1, 2]], dtype=np.int32), np.zeros(3, np.float32))
    hairy = replace(registration, hair=hair)
    surface = clothed_surface(model, hairy)
    texels = sample_texels(model, surface, 128)
    colors = np.where(texels.uv[:, :1] < 0, np.float32([1, 0, 0]), np.float32([0, 0, 1]))
    source = subject.source
    posed = Actor.of(registration, model).like(source)
    mesh = TexturedMesh.paint(model, surface, texels, colors, 128)
    frame = mesh.render(posed.transforms[0], torch.as_tensor(source.expression), source.camera)
    red, blue = frame.rgb[..., 0] == 1, frame.rgb[..., 2] == 1
    assert red.sum() > 1000 and blue.sum() > 10_000 and not (frame.rgb[..., 1] > 0).any()
    assert np.flatnonzero(red.any(1))[0] < np.flatnonzero(blue.any(1))[0]
