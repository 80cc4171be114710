"""Carrying a truth set's motion over to another fit: exact where the answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.body.model import BodyModel
from backend.evaluation.actor import Actor, Similarity, align, carry_over
from backend.evaluation.cutout import cutout
from backend.evaluation.sources import true_observations, true_registration
from backend.evaluation.truth import load_subject


@pytest.fixture(scope="module")
def model():
    return BodyModel.load()


@pytest.fixture(scope="module")
def subject(truth):
    return load_subject(truth / "subject_b")


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_alignment_finds_the_similarity_that_was_applied(seed, scale):
    rng = np.random.default_rng(seed)
    applied = Similarity(scale, Rotation.random(random_state=seed).as_matrix(), rng.standard_normal(3))
    points = rng.standard_normal((22, 3))
    found = align(points, applied.apply(points))
    assert np.allclose(found.apply(points), applied.apply(points), atol=1e-9)
    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_a_perfect_fit_gives_the_truth_back(subject, model):
    frames, scale = carry_over(subject, true_registration(subject, model), model)
    actor = Actor.of(true_registration(subject, model), model)
    assert scale == pytest.approx(1, abs=1e-5)
    for frame, true in zip(frames, subject.frames, strict=True):
        joints = actor.like(frame).joints[0].numpy()
        assert np.allclose(joints, true.joints, atol=1e-4)
        assert np.allclose(frame.camera.project(joints)[0], true.camera.project(true.joints)[0], atol=0.1)


def test_a_fit_in_a_turned_world_shows_the_same_pictures(subject, model):
    registration = true_registration(subject, model)
    turn, shift = Rotation.from_rotvec([0.3, -0.8, 0.2]), np.array([1.0, -2.0, 0.5])
    root = model.joint_template[0].numpy() + subject.betas @ model.joint_shape_dirs[:, 0].numpy()
    turned = replace(
        registration,
        full_pose=np.concatenate(
            [(turn * Rotation.from_rotvec(registration.full_pose[:3])).as_rotvec(), registration.full_pose[3:]]
        ),
        transl=turn.apply(registration.transl + root) - root + shift,
    )
    frames, _ = carry_over(subject, turned, model)
    actor = Actor.of(turned, model)
    for frame, true in list(zip(frames, subject.frames, strict=True))[::5]:
        joints = actor.like(frame).joints[0].numpy()
        assert np.allclose(frame.camera.project(joints)[0], true.camera.project(true.joints)[0], atol=0.3)


def test_the_cutout_shows_the_photo_unchanged_from_the_photos_own_view(subject, model):
    source = subject.source
    photo = true_observations(subject)
    render = cutout(photo, true_registration(subject, model), model)
    assert np.allclose(render(source).alpha, photo.alpha, atol=1e-4)
    nearer = replace(source, transl=source.transl + 0.5 * source.camera.world_to_camera[2, :3] * -1)
    assert (render(nearer).alpha > 0.5).sum() > 1.2 * (photo.alpha > 0.5).sum()
