"""How far our fit to the photo is from the truth: joints, face, silhouette."""

from __future__ import annotations

import numpy as np
import torch

from backend.avatar.surface import clothed_surface
from backend.body.landmarks import LandmarkEmbedding, face_landmarks
from backend.body.model import BodyModel
from backend.evaluation.actor import Actor, align
from backend.evaluation.metrics import iou
from backend.evaluation.sources import true_registration
from backend.evaluation.truth import TruthSubject
from backend.raster.mesh import rasterize_mesh
from backend.stages import Registration
from shared.skeleton import NUM_BODY_JOINTS

_OUTER_EYE_CORNERS = (33, 263)  # MediaPipe's landmark numbers


def fit_error(subject: TruthSubject, registration: Registration, model: BodyModel) -> dict[str, float]:
    """Return the errors of `registration` against the subject's photo frame.

    `joints_2d_px`: mean distance of the 22 body joints in pixels of the true photo. `joints_pa_mm`: their mean 3D
    distance after Procrustes alignment (rotation, translation, scale). `face_nme`: mean 2D distance of the face
    landmarks over the true distance of the outer eye corners. `silhouette_iou`: clothed mesh against true matte.
    """
    source = subject.source
    camera = registration.camera.resized(source.camera.width, source.camera.height)
    posed = Actor.of(registration, model).as_registered(registration)
    true = Actor.of(true_registration(subject, model), model).like(source)
    joints, true_joints = (body.joints[0, :NUM_BODY_JOINTS].double().numpy() for body in (posed, true))
    embedding = face_landmarks(model)
    face, _ = camera.project(_on_surface(embedding, posed.vertices[0].double().numpy(), model))
    true_face, _ = source.camera.project(_on_surface(embedding, true.vertices[0].double().numpy(), model))
    eyes = np.linalg.norm(np.subtract(*true_face[list(_OUTER_EYE_CORNERS)]))
    surface = clothed_surface(model, registration)
    vertices = surface.pose(posed.transforms[0], torch.as_tensor(registration.expression, dtype=torch.float32))
    seen = rasterize_mesh(vertices.numpy(), surface.faces, camera).face >= 0
    return {
        "joints_2d_px": _mean_distance(camera.project(joints)[0], source.camera.project(true_joints)[0]),
        "joints_pa_mm": 1000.0 * _mean_distance(align(joints, true_joints).apply(joints), true_joints),
        "face_nme": _mean_distance(face[embedding.weight > 0], true_face[embedding.weight > 0]) / float(eyes),
        "silhouette_iou": iou(seen.astype(np.float32), source.rgba()[..., 3] / 255.0),
    }


def _on_surface(embedding: LandmarkEmbedding, vertices: np.ndarray, model: BodyModel) -> np.ndarray:
    return np.einsum("lk,lkc->lc", embedding.barycentric, vertices[model.faces[embedding.face]])


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=1).mean())
