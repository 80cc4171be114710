"""A body file in the official layout from photo to frames: no names for its expressions, no teeth, pose correctives."""

import json
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from backend.avatar.files import load_avatar
from backend.body.model import BodyModel
from backend.cli import DONE, FAILED, main
from shared.talking import talking_motion
from tests.conftest import EXAMPLES

pytestmark = pytest.mark.slow

PER_VERTEX = ("v_template", "weights", "shapedirs", "posedirs")


@pytest.fixture(scope="module")
def body(tmp_path_factory):
    """The open body without what official files lack, and with what they have beside it."""
    with resources.as_file(resources.files("backend.body.assets") / "open_body.npz") as path, np.load(path) as archive:
        own = {key: archive[key] for key in archive.files}
    outside = np.isin(own["open_part"], ("body", "l-eye", "r-eye"))
    kept = np.unique(own["f"][outside])
    number = np.full(len(own["v_template"]), -1)
    number[kept] = np.arange(len(kept))
    own |= {key: own[key][kept] for key in PER_VERTEX}
    own |= {"f": number[own["f"][outside]].astype(np.uint32), "ft": own["ft"][outside].astype(np.uint32)}
    own["J_regressor"] = own["J_regressor"][:, kept]
    np.testing.assert_allclose(own["J_regressor"].sum(axis=1), 1, atol=1e-4)
    own["posedirs"] = np.random.default_rng(0).normal(0, 1e-4, own["posedirs"].shape).astype(np.float32)
    own["joint2num"] = np.array({"pelvis": 0}, dtype=object)
    path = tmp_path_factory.mktemp("official") / "SMPLX_NEUTRAL.npz"
    np.savez(path, **{key: value for key, value in own.items() if not key.startswith("open_")})
    return path


@pytest.fixture(scope="module")
def avatar(body, tmp_path_factory):
    out = tmp_path_factory.mktemp("avatars") / "me"
    tiny = ["--texture", "128", "--size", "256", "--steps", "10"]
    assert main(["build", str(EXAMPLES / "astronaut.png"), "--out", str(out), "--body", str(body), *tiny]) == DONE
    return out


def test_the_avatar_stands_on_that_body_and_says_so(avatar, body):
    model = BodyModel.load(body)
    loaded = load_avatar(avatar, model)
    assert loaded.info["photo_psnr_db"] > 18 and loaded.registration.confidence["face"] > 0.5
    info = json.loads((avatar / "avatar.json").read_text(encoding="utf-8"))
    assert info["body_sha256"] == model.sha256
    assert "non-commercial" in info["licences"]["body"] and "brought" in info["providers"]["body"]
    assert "non-commercial" in (avatar / "report.html").read_text(encoding="utf-8")


def test_it_plays_with_that_file_and_is_refused_with_another(avatar, body, tmp_path, capsys):
    talking_motion(0.2, 10.0).save(tmp_path / "talk.npz")
    words = ["render", str(avatar), "--motion", str(tmp_path / "talk.npz"), "--size", "96x96", "--out"]
    assert main([*words, str(tmp_path / "frames"), "--body", str(body)]) == DONE
    picture = np.asarray(Image.open(tmp_path / "frames" / "000000.png"))
    assert 0.2 < (picture[..., 3] > 128).mean() < 0.9
    assert "no expression" in capsys.readouterr().err  # ARKit's names mean nothing on a PCA basis, and that is said
    assert main([*words, str(tmp_path / "others")]) == FAILED
    assert "--body" in capsys.readouterr().err and not (tmp_path / "others").exists()
