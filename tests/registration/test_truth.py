"""The whole way on the rendered people whose parameters are known."""

import json

import numpy as np
import pytest
import torch

from backend.body.landmarks import face_landmarks
from backend.photo.observe import observe
from backend.registration.fit import fit_body
from backend.registration.ground import posed_body
from shared.camera import Camera

from .people import procrustes_mm


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["subject_a", "subject_b"])
def test_a_photo_of_a_known_person_is_explained(truth, subject, model):
    folder = truth / subject
    params = np.load(folder / "params.npz")
    width, height = json.loads((folder / "meta.json").read_text())["size"]
    camera = Camera(width, height, params["K"][0], params["world_to_camera"][0])
    registration = fit_body(observe(folder / "photo.png"), model)
    vertices, joints = posed_body(registration, model)
    assert procrustes_mm(joints, params["joints"][0]) < 50

    found = registration.camera.project(joints[:22])[0]
    assert np.linalg.norm(found - camera.project(params["joints"][0][:22])[0], axis=1).mean() < 8
    assert _face_error(registration.camera, vertices, camera, _true_vertices(params, model), model) < 0.05


def _true_vertices(truth, model):
    names = ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")
    pose, transl, expression, betas = (
        torch.from_numpy(np.asarray(values, dtype=np.float32))
        for values in (
            np.concatenate([truth[name][0] for name in names])[None],
            truth["transl"][:1],
            truth["expression"][:1],
            truth["betas"],
        )
    )
    return model.pose(model.shape(betas), pose, transl, expression).vertices[0].numpy()


def _face_error(camera, vertices, true_camera, true_vertices, model):
    """Mean distance of the face landmarks over the distance of the outer eye corners."""
    embedding = face_landmarks(model)
    found, true = (
        view.project(embedding.points(mesh, model.faces))[0]
        for view, mesh in ((camera, vertices), (true_camera, true_vertices))
    )
    usable = embedding.weight > 0
    return np.linalg.norm(found - true, axis=1)[usable].mean() / np.linalg.norm(true[33] - true[263])
