"""The fit finds back what a perfect detector reports, and says what it could not see."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.progress import Cancelled
from backend.registration.fit import fit_body
from backend.registration.ground import posed_body
from backend.registration.parameters import build_prior
from backend.stages import Landmarks
from shared.errors import VivantError
from shared.skeleton import JOINT_INDEX, LEFT_HAND

from .people import FOCAL, moved, procrustes_mm, unseen


def test_a_fully_seen_person_is_found_back(seen, registration, model):
    vertices, joints = posed_body(registration, model)
    pixels = registration.camera.project(joints[:22])[0]
    true = seen.joints[:22] * [1, -1, -1]
    assert np.linalg.norm(pixels - (true[:, :2] / true[:, 2:] * FOCAL + [240, 400]), axis=1).mean() < 3.0
    assert procrustes_mm(joints, seen.joints) < 30
    assert min(registration.confidence.values()) > 0.9
    assert registration.notes == ()
    assert np.all(registration.offsets == 0) and registration.offsets.shape == vertices.shape
    assert registration.hair is None


def test_the_person_stands_on_the_floor_over_the_origin_and_upright(registration, model):
    vertices, joints = posed_body(registration, model)
    assert vertices[:, 1].min() == pytest.approx(0, abs=1e-4)
    assert joints[0, [0, 2]] == pytest.approx([0, 0], abs=1e-4)
    lean = joints[[16, 17]].mean(0) - joints[[7, 8]].mean(0)
    assert abs(lean[2]) < 0.01


def test_the_fit_is_deterministic_and_stays_within_the_limits(seen, registration, model):
    again = fit_body(seen.observations, model)
    assert np.array_equal(again.full_pose, registration.full_pose) and np.array_equal(again.betas, registration.betas)
    prior = build_prior(model, 0.0)
    pose = torch.from_numpy(registration.full_pose)[3:]  # the root has been turned with the camera
    assert (pose >= prior.low[3:165] - 1e-9).all() and (pose <= prior.high[3:165] + 1e-9).all()
    assert registration.expression.min() >= 0 and registration.expression.max() <= 1


@pytest.mark.parametrize("rows", [pytest.param([14], marks=pytest.mark.slow), [25, 13]])
def test_wrong_landmarks_do_not_drag_the_body_along(seen, model, rows):
    wrong = replace(seen.observations, body=moved(seen.observations.body, rows, (130.0, -110.0)))
    found = fit_body(wrong, model)
    assert procrustes_mm(posed_body(found, model)[1], seen.joints) < 45


def test_legs_outside_the_picture_take_a_standing_pose(seen, model):
    confidence = np.where(np.arange(33) >= 23, 0.0, 1.0)
    points = np.where(confidence[:, None] > 0, seen.observations.body.points, 5000.0)
    height = int(seen.observations.body.points[23, 1]) - 60
    cut = replace(
        seen.observations,
        rgb=seen.observations.rgb[:height],
        alpha=seen.observations.alpha[:height],
        body=Landmarks(points, confidence),
        left_hand=unseen(seen.observations.left_hand),
        right_hand=unseen(seen.observations.right_hand),
    )
    found = fit_body(cut, model)
    knees = found.full_pose.reshape(55, 3)[[JOINT_INDEX["left_knee"], JOINT_INDEX["right_knee"]]]
    assert np.abs(knees).max() < 0.15
    assert "Legs not visible: a standing pose is used." in found.notes
    nose = found.camera.project(posed_body(found, model)[1][[JOINT_INDEX["head"]]])[0][0]
    true = seen.joints[JOINT_INDEX["head"]]
    assert np.linalg.norm(nose[0] - (240 - FOCAL * true[0] / true[2])) < 8


def test_a_hand_that_is_not_seen_is_relaxed_and_said_so(seen, model):
    found = fit_body(replace(seen.observations, left_hand=unseen(seen.observations.left_hand)), model)
    fingers = found.full_pose.reshape(55, 3)[LEFT_HAND]
    assert np.allclose(fingers, model.hand_mean_left, atol=0.26)  # limits shave the widest of the means
    assert found.confidence["left_hand"] == 0 and found.confidence["right_hand"] > 0.9
    assert found.notes == ("Left hand not visible: relaxed pose used.",)


@pytest.mark.slow
def test_a_body_with_pca_expressions_opens_its_mouth_by_the_jaw(seen, model):
    names = tuple(f"exp{k:03d}" for k in range(len(model.expression_names)))
    found = fit_body(seen.observations, replace(model, expression_names=names))
    prior = build_prior(replace(model, expression_names=names), 0.0)
    jaw = found.full_pose.reshape(55, 3)[JOINT_INDEX["jaw"]]
    assert jaw[0] >= 0 and np.abs(jaw).max() > 1e-4
    assert np.all(np.abs(found.expression) <= prior.high[prior.layout.expression].numpy() + 1e-9)
    assert procrustes_mm(posed_body(found, model)[1], seen.joints) < 30


def test_a_focal_length_from_the_file_is_kept(seen, model):
    found = fit_body(replace(seen.observations, focal=1234.5), model)
    assert found.camera.K[0, 0] == pytest.approx(1234.5) == found.camera.K[1, 1]


def test_too_little_of_a_person_is_refused(seen, model):
    confidence = np.zeros(33)
    confidence[:3] = 1
    with pytest.raises(VivantError, match="Too little of the person"):
        fit_body(replace(seen.observations, body=Landmarks(seen.observations.body.points, confidence)), model)


def test_cancelling_stops_the_fit_and_leaves_the_thread_count_alone(seen, model):
    threads = torch.get_num_threads()

    def stop(event):
        raise Cancelled

    with pytest.raises(Cancelled):
        fit_body(seen.observations, model, progress=stop)
    assert torch.get_num_threads() == threads
