import numpy as np
import torch

from backend.registration.correspondence import all_hand_attachments, all_pose_attachments
from backend.registration.parameters import build_prior
from shared.skeleton import BODY, JOINT_NAMES


def test_left_and_right_are_mirror_images(model):
    prior = build_prior(model, 0.0)
    flip = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    for name in JOINT_NAMES[BODY]:
        if name.startswith("left"):
            left, right = prior.layout.joints(name), prior.layout.joints(name.replace("left", "right"))
            assert torch.equal(prior.mean[left] * flip, prior.mean[right])
            assert torch.equal(prior.std[left], prior.std[right])
            ends = torch.stack([prior.low[left] * flip, prior.high[left] * flip])
            assert torch.equal(ends.min(0).values, prior.low[right]) and torch.equal(
                ends.max(0).values, prior.high[right]
            )
    assert all(a.joint.startswith("right") for a in all_hand_attachments("right").values())
    assert sorted(all_pose_attachments()) == [7, 8, *range(11, 33)]


def test_what_is_usual_is_possible(model):
    prior = build_prior(model, 0.0)
    assert (prior.low <= prior.mean).all() and (prior.mean <= prior.high).all() and (prior.std > 0).all()


def test_only_units_that_a_photo_shows_are_fitted(model):
    prior = build_prior(model, 0.0)
    free = {
        name
        for name, low, high in zip(
            model.expression_names, prior.low[prior.layout.expression], prior.high[prior.layout.expression], strict=True
        )
        if high > low
    }
    assert {"jawOpen", "mouthSmileLeft", "eyeBlinkRight", "cheekPuff"} <= free
    assert not free & {"smile", "blink", "eyeLookUpLeft", "mouthClose", "tongueOut"}
    assert (prior.high[prior.layout.joints("jaw")] == 0).all()  # jawOpen does it


def test_body_joints_have_heavy_tails_and_the_rest_has_not(model):
    prior = build_prior(model, 0.0)
    near, far = (prior.deviation((prior.mean + k * prior.std)[None])[0].numpy() for k in (0.1, 10.0))
    body = slice(3 * BODY.start, 3 * BODY.stop)
    assert np.allclose(near, 0.1, rtol=0.01)
    assert (far[body] < 3.0).all() and np.allclose(far[body.stop :], 10.0)
