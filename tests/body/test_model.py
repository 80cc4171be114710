"""What a loaded body says of itself, and which files are refused."""

import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from backend.body.files import OFFICIAL
from backend.body.model import BodyModel
from backend.raster.mesh import rasterize_mesh
from shared.camera import Camera
from shared.errors import VivantError
from shared.skeleton import PARENTS
from shared.speech import SHUT


def test_open_body(model):
    assert model.faces.shape == model.uv_faces.shape == (27676, 3)
    assert model.num_betas == 30
    assert len(model.expression_names) == len(model.expression_deltas) == 62
    assert model.pose_dirs is None
    assert model.licence.startswith("CC0")
    assert set(model.part) == {"skin", "left_eye", "right_eye", "upper_teeth", "lower_teeth", "tongue"}
    assert model.template.numpy()[model.faces[model.part == "left_eye"], 0].min() > 0  # left is +x
    assert model.hand_mean_left.shape == model.hand_mean_right.shape == (15, 3)


def test_lids_meet_where_the_talking_motion_shuts_them(model):
    focal, centre = 20_000.0, model.template.numpy()[model.faces[model.part == "left_eye"]].mean((0, 1))
    turned = np.diag([1.0, -1.0, -1.0, 1.0])  # from before the face
    turned[:3, 3] = [-centre[0], centre[1], centre[2] + 1.0]
    camera = Camera(600, 600, np.array([[focal, 0, 300], [0, focal, 300], [0, 0, 1.0]]), turned)

    def bare(weight):
        lids = model.template.numpy() + weight * model.expression_deltas[model.blinks].sum(0).numpy()
        return (model.part[rasterize_mesh(lids, model.faces, camera).face] == "left_eye").sum()

    assert bare(0.0) > 10_000 and bare(SHUT - 0.2) > 0.05 * bare(0.0) and bare(SHUT) < 0.01 * bare(0.0)


def test_official_layout_gets_parts_by_connectivity_and_pca_names(model, official_file):
    official = BodyModel.load(official_file)
    for eye in ("left_eye", "right_eye"):
        np.testing.assert_array_equal(official.part == eye, model.part == eye)
    assert official.expression_names[:2] == ("exp000", "exp001")
    assert "non-commercial" in official.licence
    assert official.sha256 != model.sha256


def test_expressions_map_by_name(model):
    names = ("unknown", "jawOpen", "exp003", "silent", "smile")
    values = np.array([[1.0, 0.5, 1.0, 0.0, 0.25], [0.0, 0.7, 1.0, 0.0, 0.0]])
    mapped, dropped = model.map_expression(names, values)
    assert mapped.shape == (2, 62)
    np.testing.assert_array_equal(mapped[:, model.expression_names.index("jawOpen")], [0.5, 0.7])
    np.testing.assert_array_equal(mapped[:, model.expression_names.index("smile")], [0.25, 0])
    assert np.count_nonzero(mapped) == 3
    assert dropped == ("unknown", "exp003")  # a value that is 0 throughout loses nothing


class Payload:
    """Runs when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["SMPLX_NEUTRAL.pkl", "SMPLX_NEUTRAL.npz"])
def test_row_36_a_pickle_under_any_name_is_refused_with_the_way_to_convert(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps({"v_template": Payload(tmp_path / "ran")}))
    with pytest.raises(VivantError, match=r"is a pickle.*refused.*np\.savez"):
        BodyModel.load(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_row_36_a_pickle_inside_an_archive_is_not_unpickled(tmp_path, official_file):
    np.save(tmp_path / "bad.npy", np.array(Payload(tmp_path / "ran"), dtype=object), allow_pickle=True)
    with zipfile.ZipFile(official_file) as whole, zipfile.ZipFile(tmp_path / "body.npz", "w") as archive:
        for name in whole.namelist():
            bad = name == "v_template.npy"
            archive.writestr(name, (tmp_path / "bad.npy").read_bytes() if bad else whole.read(name))
    with pytest.raises(VivantError, match="v_template"):
        BodyModel.load(tmp_path / "body.npz")
    assert not (tmp_path / "ran").exists()


def test_row_36_a_missing_file_is_named_and_where_to_get_it(tmp_path):
    with pytest.raises(VivantError, match=rf"absent\.npz.*{re.escape(OFFICIAL)}"):
        BodyModel.load(tmp_path / "absent.npz")


def test_truncated_file_is_refused(tmp_path, official_file):
    path = tmp_path / "cut.npz"
    for content in (official_file.read_bytes()[:100_000], b"", b"hello"):
        path.write_bytes(content)
        with pytest.raises(VivantError, match=r"not a readable \.npz: empty, cut off"):
            BodyModel.load(path)


def small_body(**changes):
    """The smallest file that passes: one triangle in SMPL-X's tree."""
    arrays = {
        "v_template": np.eye(3),
        "f": np.array([[0, 1, 2]], dtype=np.uint32),
        "vt": np.zeros((3, 2)),
        "ft": np.array([[0, 1, 2]], dtype=np.uint32),
        "weights": np.eye(3, 55),
        "J_regressor": np.full((55, 3), 1 / 3),
        "shapedirs": np.ones((3, 3, 20)),
        "posedirs": np.zeros((3, 3, 486)),
        "hands_meanl": np.zeros(45),
        "hands_meanr": np.zeros(45),
        "kintree_table": np.array([PARENTS, range(55)]),
    }
    return {key: value for key, value in (arrays | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"weights": None}, "lacks the array weights"),
        ({"vt": None}, "lacks the array vt.*no UV map"),
        ({"weights": np.eye(3, 24)}, r"weights \(float64 \(3, 24\)\)"),
        ({"f": np.array([[0, 1, 7]])}, "the array f"),
        ({"f": np.array([[0.0, 1.0, 2.0]])}, "the array f"),
        ({"v_template": np.full((3, 3), np.nan)}, "v_template"),
        ({"shapedirs": np.ones((3, 3, 10))}, "shapedirs"),
        ({"kintree_table": np.zeros((2, 24), dtype=int)}, "kintree_table"),
        ({"kintree_table": np.zeros((2, 55), dtype=int)}, "55-joint tree"),
        ({"J_regressor": np.array([None])}, "J_regressor cannot be read"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, changes, message):
    path = tmp_path / "body.npz"
    np.savez(path, **small_body(**changes))
    if message is None:
        assert BodyModel.load(path).num_betas == 10
        return
    with pytest.raises(VivantError, match=message):
        BodyModel.load(path)
