"""The dataclasses that flow from stage to stage. Imports no room; every room may import it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.camera import Camera


@dataclass(frozen=True)
class Landmarks:
    """2D points of one part, in pixels of the working image. Confidence 0 means: do not use this point."""

    points: np.ndarray  # [N, 2] pixels, pixel centres at +0.5
    confidence: np.ndarray  # [N] in [0, 1]

    @property
    def found(self) -> bool:
        """Whether any point may be used."""
        return bool((self.confidence > 0).any())


@dataclass(frozen=True)
class Observations:
    """What the photo shows: the output of `backend/photo`, the input of `backend/registration`.

    The working image is the upright photo, scaled down (never up) so that the person's box is at most 1024 px on
    its longer side. All pixels below are pixels of the working image.
    """

    rgb: np.ndarray  # [H, W, 3] uint8 sRGB
    foreground: np.ndarray  # [H, W, 3] uint8 sRGB, the person's own colour, background removed; defined where alpha > 0
    alpha: np.ndarray  # [H, W] float32 in [0, 1], the chosen person's matte
    box: tuple[int, int, int, int]  # x0, y0, x1, y1 of the chosen person, pixels, inside the image
    focal: float | None  # pixels, from EXIF; None if the photo does not say
    body: Landmarks  # 33 MediaPipe pose landmarks
    body_world: np.ndarray  # [33, 3] metres, MediaPipe's own hip-centred frame (x right in the image, y down, z away)
    face: Landmarks  # 478 MediaPipe face landmarks
    left_hand: Landmarks  # 21 MediaPipe hand landmarks, the person's left
    right_hand: Landmarks  # 21
    providers: dict[str, str] = field(default_factory=dict)  # e.g. {"matte": "mediapipe 0.10.21 + pymatting 1.1"}
    licences: dict[str, str] = field(default_factory=dict)  # the same keys -> the licence of the models used
    notes: tuple[str, ...] = ()  # plain sentences for the user: choices made, parts not seen


@dataclass(frozen=True)
class HairLayer:
    """A surface for hair that hangs clear of the skin. Rest pose of the fitted body, metres."""

    vertices: np.ndarray  # [H, 3]
    faces: np.ndarray  # [G, 3] int32, counter-clockwise outside
    on_chest: np.ndarray  # [H] in [0, 1]: how far it follows the chest, on which it comes to lie, and not the head


@dataclass(frozen=True)
class Registration:
    """The photo explained by an SMPL-X-format body: the output of `backend/registration`."""

    body_sha256: str
    betas: np.ndarray  # [B]
    expression: np.ndarray  # [E]
    expression_names: tuple[str, ...]  # [E]
    full_pose: np.ndarray  # [165] axis-angle, radians; hands as full poses
    transl: np.ndarray  # [3] metres
    camera: Camera  # of the working image
    offsets: np.ndarray  # [V, 3] metres, clothed surface minus body, rest pose
    confidence: dict[str, float]  # body part -> [0, 1]
    hair: HairLayer | None = None
    hair_pixels: np.ndarray | None = None  # [H, W] bool, where the photo shows hair; None: nobody looked for it
    notes: tuple[str, ...] = ()  # plain sentences: what was not seen and what was assumed instead


@dataclass(frozen=True)
class Light:
    """The photo's light as the person stands in it, in the world's axes: a sky all round, and one lamp far away."""

    sky: np.ndarray  # [3] its radiance from the unit direction d is 1 + d . sky
    lamp: np.ndarray  # [3] towards the lamp, as long as what it adds to a surface that faces it; the sky adds 1


@dataclass(frozen=True)
class Avatar:
    """Gaussians coupled to the clothed mesh. `face` indexes the body's triangles, then the hair layer's."""

    face: np.ndarray  # [N] int32
    barycentric: np.ndarray  # [N, 3]
    offset: np.ndarray  # [N, 3] metres, in the triangle's frame (tangent, bitangent, normal) of the rest surface
    log_scale: np.ndarray  # [N, 1] log metres
    rgb: np.ndarray  # [N, 3] logits of display-referred sRGB
    rgb_photo: np.ndarray  # [N, 3] the same, for the photo's own pose and view
    visibility: np.ndarray  # [N] in [0, 1]: 0 hides what the photo does not contain
    light: Light
    registration: Registration
    info: dict[str, Any]  # avatar.json: schema version, settings, provenance, licences


@dataclass(frozen=True)
class Frame:
    """One rendered view."""

    rgb: np.ndarray  # [H, W, 3] float32, premultiplied, display-referred sRGB in [0, 1]
    alpha: np.ndarray  # [H, W] float32
    depth: np.ndarray  # [H, W] float32 planar z in metres, alpha-normalised; undefined where alpha is 0
