"""A made-up person to rig: few vertices, real joints, and linear blend skinning in plain numpy to hold Blender to."""

from pathlib import Path

import numpy as np

from shared.rig import Rig
from shared.rotations import matrices_from_axis_angles
from shared.skeleton import NUM_JOINTS, PARENTS

ROOT = Path(__file__).resolve().parents[2]
PER_JOINT = 6
NAMES = ("cheekPuff", "smile", "cheekPuff", "jawOpen", "mouthSmileLeft", "eyeBlinkLeft", "browInnerUp")
"""As in the open body, one name comes twice."""


def joints():
    """The open body's resting joints [55, 3]."""
    with np.load(ROOT / "backend/body/assets/open_body.npz") as body:
        return (body["J_regressor"] @ body["v_template"]).astype(np.float32)


def made_up_rig(seed=0):
    """A cloud of small tetrahedra around the joints, skinned at random to four of them."""
    rng = np.random.default_rng(seed)
    rest = joints()
    count = NUM_JOINTS * PER_JOINT
    vertices = np.repeat(rest, PER_JOINT, axis=0) + rng.normal(0, 0.04, (count, 3))
    skin_joints = np.stack([rng.permutation(NUM_JOINTS)[:4] for _ in range(count)]).astype(np.uint8)
    moved = np.concatenate([rng.permutation(count)[:20] for _ in NAMES]).astype(np.int32)
    return Rig(
        vertices=vertices.astype(np.float32),
        faces=np.arange(count, dtype=np.int32).reshape(-1, 3),
        uvs=rng.uniform(0, 1, (count // 3, 3, 2)).astype(np.float32),
        joints=rest,
        skin_joints=skin_joints,
        skin_weights=rng.dirichlet(np.ones(4), count).astype(np.float32),
        expression_names=np.array(NAMES),
        expression_start=20 * np.arange(len(NAMES) + 1, dtype=np.int32),
        expression_vertices=moved,
        expression_deltas=rng.normal(0, 0.02, (len(moved), 3)).astype(np.float32),
        hand_mean=rng.normal(0, 0.2, (30, 3)).astype(np.float32),
        full_pose=random_poses(rng, 1)[0].astype(np.float32),
        transl=np.array([0.02, 1.2, -0.1], np.float32),
        expression=np.array([0.0, 0.1, 0.6, 0.3, 1.4, 0.0, -0.2], np.float32),
        K=np.array([[700.0, 0, 250], [0, 700.0, 270], [0, 0, 1]], np.float32),
        world_to_camera=np.array([[1, 0, 0, 0], [0, -1, 0, 1.1], [0, 0, -1, 2.5], [0, 0, 0, 1]], np.float32),
        image_size=np.array([512, 640], np.int32),
        body_sha256="0" * 64,
    )


def random_poses(rng, frames, largest=3.1):
    """Axis-angles [frames, 165] with angles up to `largest` radians."""
    axes = rng.normal(size=(frames, NUM_JOINTS, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    return (axes * rng.uniform(0, largest, (frames, NUM_JOINTS, 1))).reshape(frames, -1)


def posed(rig, full_pose, transl, values):
    """Joints [55, 3] and vertices [V, 3] of a posed rig, metres, SMPL-X axes; `values`: expression name -> weight."""
    rotations = matrices_from_axis_angles(np.asarray(full_pose, np.float64).reshape(-1, 3))
    transforms = np.tile(np.eye(4), (NUM_JOINTS, 1, 1))
    for joint, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = rig.joints[joint] - (rig.joints[parent] if parent >= 0 else 0)
        transforms[joint] = transforms[parent] @ local if parent >= 0 else local
    places = transforms[:, :3, 3] + transl
    transforms[:, :3, 3] += transl - np.einsum("jab,jb->ja", transforms[:, :3, :3], rig.joints)
    blended = np.einsum("vk,vkab->vab", rig.skin_weights, transforms[rig.skin_joints])
    rest = _expressed(rig, values)
    return places, np.einsum("vab,vb->va", blended[:, :3, :3], rest) + blended[:, :3, 3]


def _expressed(rig, values):
    rest = rig.vertices.astype(np.float64)
    for column in {str(name): column for column, name in enumerate(rig.expression_names)}.values():
        rows = slice(rig.expression_start[column], rig.expression_start[column + 1])
        rest[rig.expression_vertices[rows]] += values.get(NAMES[column], 0) * rig.expression_deltas[rows]
    return rest


def evaluated_vertices(body):
    """The vertices [V, 3] of a mesh object as Blender evaluates it, world, Blender axes."""
    import bpy

    item = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = item.to_mesh()
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    matrix = np.array(item.matrix_world)
    item.to_mesh_clear()
    return flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
