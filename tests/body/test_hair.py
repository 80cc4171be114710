"""The hair shell."""

from dataclasses import replace

from backend.body.hair import load_hair_shell
from shared.skeleton import JOINT_INDEX


def test_shell_surrounds_the_head(model):
    vertices, faces, shape_dirs = load_hair_shell(model)
    assert faces.max() == len(vertices) - 1
    assert shape_dirs.shape == (10, len(vertices), 3)
    assert vertices[:, 1].max() > model.template[:, 1].max()
    assert abs(float(vertices[:, 0].mean() - model.joint_template[JOINT_INDEX["head"], 0])) < 0.005


def test_other_bodies_have_none(model):
    assert load_hair_shell(replace(model, sha256="other")) is None
