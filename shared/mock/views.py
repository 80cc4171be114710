"""The capsule person as frames, pictures and as the rig that Blender builds its armature from."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np

from ..camera import Camera
from ..rig import Rig
from ..skeleton import JOINT_INDEX, NUM_JOINTS
from ..wire.codec import Buffers
from .drawing import draw
from .person import CAPSULES, EXPRESSIONS, REST, Capsule, expression_delta, joint_transforms, posed
from .png import png

BODY_SHA256 = "0" * 64
"""Of no body file: the capsule person is made of numbers in this folder."""

_MIDDLE, _TALL, _WIDE = np.array([0.0, -0.43, 0.0]), 2.0, 1.4  # metres: what a picture of the whole person holds
_BACKGROUND = np.array([0.80, 0.82, 0.84])
_SIDES, _RINGS = 12, (-90, -45, 0, 0, 45, 90)  # of a capsule's mesh; degrees, the two zeros are its straight part
_SWATCHES, _SWATCH = 8, 32  # the texture is 8 x 8 colours of 32 x 32 pixels


def photo_pose() -> np.ndarray:
    """How the person stands in every photo: arms down. [165] axis-angle."""
    pose = np.zeros((NUM_JOINTS, 3))
    pose[JOINT_INDEX["left_shoulder"]], pose[JOINT_INDEX["right_shoulder"]] = (0, 0, -1.0), (0, 0, 1.0)
    pose[JOINT_INDEX["left_elbow"]], pose[JOINT_INDEX["right_elbow"]] = (0, -0.3, 0), (0, 0.3, 0)
    return pose.ravel()


def photo_camera(width: int, height: int, turn: float = 0.0) -> Camera:
    """Sees the whole person, from `turn` radians to the side, in a picture of any shape."""
    focal = 1.6 * max(width, height)
    away = focal * max(_TALL / height, _WIDE / width)  # metres
    c, s = np.cos(turn), np.sin(turn)
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = np.array([[c, 0, -s], [0, -1, 0], [-s, 0, -c]])
    world_to_camera[:3, 3] = -world_to_camera[:3, :3] @ _MIDDLE + (0, 0, away)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(width, height, K, world_to_camera)


def frame(
    pixels: str, camera: Camera, buffers: Buffers, row: int, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Row `row` of a render request: rgba [H, W, 4] (u1 or linear f2, premultiplied) and depth [H, W] f4 metres."""
    expression = {name: float(buffers["expression"][row, k]) for k, name in enumerate(names) if name in EXPRESSIONS}
    rgb, alpha, depth = draw(*posed(buffers["full_pose"][row], buffers["transl"][row], expression), camera)
    if pixels == "half":
        rgb = _linear(rgb, alpha)
        return np.concatenate([rgb, alpha[..., None]], axis=-1).astype(np.float16), depth
    return _bytes(np.concatenate([rgb, alpha[..., None]], axis=-1)), depth


def unknown(names: tuple[str, ...]) -> tuple[str, ...]:
    """What to tell about expressions that this person does not have."""
    missing = [name for name in names if name not in EXPRESSIONS]
    return (f"The mock has no {', '.join(missing[:5])}.",) if missing else ()


@lru_cache(maxsize=32)
def picture(width: int, height: int, turn: float = 0.0, done: float = 1.0) -> np.ndarray:
    """The person as [H, W, 3] u1; `done` below 1 looks like an avatar in training: coarse and pale."""
    coarse = max(1, round(8 * (1 - done)))
    camera = photo_camera(max(1, width // coarse), max(1, height // coarse), turn)
    rgb, alpha, _ = draw(*posed(photo_pose(), np.zeros(3), {}), camera)
    seen = 0.3 + 0.7 * done
    over = _bytes(seen * rgb + (1 - seen * alpha[..., None]) * _BACKGROUND)
    rows = np.minimum(np.arange(height) // coarse, camera.height - 1)
    columns = np.minimum(np.arange(width) // coarse, camera.width - 1)
    shown = over[rows[:, None], columns]
    shown.flags.writeable = False  # it is kept: every photo of this size becomes this picture
    return shown


def overlay(width: int, height: int) -> np.ndarray:
    """The fit laid over the photo, [H, W, 3] u1: here the person with a dot at each joint."""
    pixels = picture(width, height).copy()
    dots, _ = photo_camera(width, height).project(photo_joints())
    half = max(1, min(width, height) // 200)
    for x, y in dots.astype(int):
        pixels[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = (240, 90, 40)
    return pixels


def photo_joints() -> np.ndarray:
    """The joints as they lie in the photo, [55, 3] metres."""
    return joint_transforms(photo_pose())[1]


@lru_cache(maxsize=1)
def turn_table(height: int, views: int = 6) -> np.ndarray:
    """The person from all sides, side by side."""
    return np.concatenate([picture(height // 2, height, 2 * np.pi * k / views) for k in range(views)], axis=1)


def judgement() -> bytes:
    """What a client reads of `registration.npz`: how sure the fit is, and what it says of that."""
    file = io.BytesIO()
    parts = {"body": 0.9, "face": 0.8, "left_hand": 0.1, "right_hand": 0.7}
    notes = ["Left hand not visible: relaxed pose used."]
    np.savez(file, confidence_names=list(parts), confidence=list(parts.values()), notes=notes)
    return file.getvalue()


def texture() -> bytes:
    """A PNG with one swatch for each capsule's colour."""
    cells = np.zeros((_SWATCHES, _SWATCHES, 3))
    for k, color in enumerate(_colors()):
        cells[_SWATCHES - 1 - k // _SWATCHES, k % _SWATCHES] = color  # rows from the bottom, as v runs up
    return png(_bytes(cells.repeat(_SWATCH, axis=0).repeat(_SWATCH, axis=1)))


def rig(width: int, height: int) -> Rig:
    """The person's mesh, each vertex moved by its capsule's joint alone. In the photo it stands on y = 0."""
    meshes = [_mesh(capsule) for capsule in CAPSULES]
    offsets = np.cumsum([0, *(len(points) for points, _ in meshes)])
    joints = np.repeat([capsule.joint for capsule in CAPSULES], np.diff(offsets))
    colors = _colors()
    uvs = [
        np.broadcast_to(_swatch_centre(colors.index(one.color)), (len(faces), 3, 2))
        for one, (_, faces) in zip(CAPSULES, meshes, strict=True)
    ]
    camera, vertices = photo_camera(width, height), np.concatenate([points for points, _ in meshes])
    lift = np.eye(4)
    lift[1, 3] = -vertices[:, 1].min()  # the legs are as at rest
    return Rig(
        vertices=vertices,
        faces=np.concatenate([faces + offset for (_, faces), offset in zip(meshes, offsets[:-1], strict=True)]),
        uvs=np.concatenate(uvs),
        joints=REST,
        skin_joints=joints[:, None],
        skin_weights=np.ones((len(joints), 1)),
        **_expressions(meshes, offsets),
        hand_mean=np.zeros((30, 3)),
        full_pose=photo_pose(),
        transl=lift[:3, 3],
        expression=np.zeros(len(EXPRESSIONS)),
        K=camera.K,
        world_to_camera=camera.world_to_camera @ np.linalg.inv(lift),
        image_size=np.array([width, height]),
        body_sha256=BODY_SHA256,
    )


def _expressions(meshes: list[tuple[np.ndarray, np.ndarray]], offsets: np.ndarray) -> dict[str, Any]:
    start, vertices, deltas = [0], [], []
    for name in EXPRESSIONS:
        for capsule, (points, _), offset in zip(CAPSULES, meshes, offsets[:-1], strict=True):
            delta = expression_delta(name, capsule, points)
            if np.any(delta):
                vertices.append(offset + np.arange(len(points)))
                deltas.append(delta)
        start.append(sum(map(len, vertices)))
    return {
        "expression_names": np.array(EXPRESSIONS),
        "expression_start": np.array(start),
        "expression_vertices": np.concatenate(vertices),
        "expression_deltas": np.concatenate(deltas),
    }


def _mesh(capsule: Capsule) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and faces [T, 3], outward."""
    along = capsule.end - capsule.start
    length = np.linalg.norm(along)
    z = along / length if length > 0 else np.array([0.0, 1.0, 0.0])
    x = np.cross(z, [1.0, 0.0, 0.0] if abs(z[0]) < 0.9 else [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    angle = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)
    circle = np.cos(angle)[:, None] * x + np.sin(angle)[:, None] * np.cross(z, x)  # [sides, 3]
    rings = []
    for k, degrees in enumerate(_RINGS):
        centre = capsule.start if k < len(_RINGS) // 2 else capsule.end
        tilt = np.radians(degrees)
        rings.append(centre + capsule.radius * (np.cos(tilt) * circle + np.sin(tilt) * z))
    return np.concatenate(rings), np.concatenate([_band(k * _SIDES) for k in range(len(_RINGS) - 1)])


def _band(first: int) -> np.ndarray:
    """Triangles [2 sides, 3] between the ring that begins at vertex `first` and the next."""
    a = first + np.arange(_SIDES)
    b = first + (np.arange(_SIDES) + 1) % _SIDES
    return np.concatenate([np.stack([a, b, b + _SIDES], axis=1), np.stack([a, b + _SIDES, a + _SIDES], axis=1)])


def _colors() -> list[tuple[float, ...]]:
    return sorted({capsule.color for capsule in CAPSULES})


def _swatch_centre(k: int) -> np.ndarray:
    return (np.array([k % _SWATCHES, k // _SWATCHES]) + 0.5) / _SWATCHES


def _linear(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Premultiplied sRGB to premultiplied linear: the decoding must see straight colour."""
    straight = np.divide(rgb, alpha[..., None], out=np.zeros_like(rgb), where=alpha[..., None] > 0)
    linear = np.where(straight <= 0.04045, straight / 12.92, ((straight + 0.055) / 1.055) ** 2.4)
    return linear * alpha[..., None]


def _bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
