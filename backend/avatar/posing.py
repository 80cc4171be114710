"""From an avatar and a pose to Gaussians in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.avatar.anatomy import LID
from backend.avatar.light import Room, gain
from backend.avatar.surface import Surface, clothed_surface
from backend.body.model import BodyModel
from backend.stages import Avatar

OPACITY = 0.95
"""Of every visible Gaussian, fixed as in the paper: near 1, so that surfaces hide what lies behind them."""
THICKNESS = 0.1
"""Extent of a Gaussian along the surface's normal over that within the surface. The paper's are round; flat ones do
not bulge over the outline, so they can lie on the surface instead of under it."""

FADE = 0.005
"""Metres (standard deviation) that a Gaussian moves, as the pelvis sees it, while it loses the photo's own colour. What
the photo only seems to show of it, such as a badge behind the outline of a sleeve, does not move with it."""
LID_FADE = 0.001
"""The same for eyelids: open, they are the shadow and the lash at a crease, which would blacken a closing eye."""
BEHIND = 0.1
"""Metres that such a thing may lie behind it: how far the two part when the camera goes round them."""


@dataclass(frozen=True)
class Gaussians:
    """What the rasteriser draws."""

    means: Tensor  # [N, 3] metres, world
    quats_wxyz: Tensor  # [N, 4]
    scales: Tensor  # [N, 3] metres
    opacities: Tensor  # [N]
    colors: Tensor  # [N, 3] display-referred sRGB


@dataclass(frozen=True)
class Binding:
    """Where each Gaussian hangs on the rest surface, and what moves it there. Constant while its offset is trained."""

    position: Tensor  # [N, 3] metres, surface point in the rest pose
    frame: Tensor  # [N, 3, 3] columns tangent, bitangent, normal of the rest triangle
    weights: Tensor  # [N, 55]
    moved: Tensor  # [P] int64, the Gaussians that expressions move
    deltas: Tensor  # [E, P, 3] metres, how

    def pose(self, offset: Tensor, transforms: Tensor, expression: Tensor) -> tuple[Tensor, Tensor]:
        """Posed centres [N, 3] and axes [N, 3, 3] (columns; the third is the surface's normal).

        `offset` [N, 3] is in the triangles' frames, `transforms` [55, 4, 4] and `expression` [E] are one frame's.
        """
        canonical = self.position + (self.frame @ offset[:, :, None])[:, :, 0]
        canonical = canonical.index_add(0, self.moved, torch.einsum("e,epk->pk", expression, self.deltas))
        blended = (self.weights @ transforms[:, :3].reshape(-1, 12)).view(-1, 3, 4)
        centres = (blended[:, :, :3] @ canonical[:, :, None])[:, :, 0] + blended[:, :, 3]
        return centres, _straightened(blended[:, :, :3] @ self.frame)


def _straightened(frames: Tensor) -> Tensor:
    """Rotations [N, 3, 3] that keep the tangent and normal of `frames` [N, 3, 3], which skinning shears."""
    tangent = torch.nn.functional.normalize(frames[:, :, 0], dim=1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(tangent, frames[:, :, 1]), dim=1)
    return torch.stack([tangent, torch.linalg.cross(normal, tangent), normal], dim=2)


def quats_of(rotations: Tensor) -> Tensor:
    """Unit quaternions [N, 4] (wxyz) of rotation matrices [N, 3, 3], by the largest component of the four."""
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(1) for row in rotations.unbind(1))
    squares = torch.stack([1 + a + e + i, 1 + a - e - i, 1 - a + e - i, 1 - a - e + i], dim=1)
    rows = torch.stack(
        [
            torch.stack([squares[:, 0], h - f, c - g, d - b], dim=1),
            torch.stack([h - f, squares[:, 1], d + b, c + g], dim=1),
            torch.stack([c - g, d + b, squares[:, 2], h + f], dim=1),
            torch.stack([d - b, c + g, h + f, squares[:, 3]], dim=1),
        ],
        dim=1,
    )
    largest = squares.argmax(1)
    return torch.nn.functional.normalize(rows[torch.arange(len(rows), device=rows.device), largest], dim=1)


def flat_scales(log_scale: Tensor) -> Tensor:
    """Standard deviations [N, 3] metres along tangent, bitangent and normal, from `log_scale` [N, 1]."""
    return log_scale.exp() * log_scale.new_tensor([1.0, 1.0, THICKNESS])


def bind(surface: Surface, face: Tensor, barycentric: Tensor) -> Binding:
    """Attach points to a surface. `face` [N] int64, `barycentric` [N, 3]."""
    triangles = torch.as_tensor(surface.faces)[face]  # [N, 3]
    corners = surface.vertices[triangles]
    tangent = torch.nn.functional.normalize(corners[:, 1] - corners[:, 0], dim=1)
    normal = torch.linalg.cross(tangent, corners[:, 2] - corners[:, 0])
    normal = torch.nn.functional.normalize(normal, dim=1)
    frame = torch.stack([tangent, torch.linalg.cross(normal, tangent), normal], dim=2)
    mix = barycentric[:, :, None]
    mobile = (surface.expression_deltas != 0).any(dim=2).any(dim=0)  # [V+H]
    moved = mobile[triangles].any(dim=1).nonzero()[:, 0]
    return Binding(
        position=(corners * mix).sum(1),
        frame=frame,
        weights=(surface.weights[triangles] * mix).sum(1),
        moved=moved,
        deltas=(surface.expression_deltas[:, triangles[moved]] * mix[moved]).sum(2),
    )


@dataclass(frozen=True)
class _Posed:
    """Where a pose brings the Gaussians, as far as their colours depend on it."""

    means: Tensor  # [N, 3] metres, world
    light: Tensor  # [N] what falls there
    pelvis: Tensor  # [3] metres, world

    @property
    def from_pelvis(self) -> Tensor:
        """The way there from the pelvis, [N, 3] metres."""
        return self.means - self.pelvis

    def view_from(self, eye: np.ndarray) -> Tensor:
        """The unit direction [3] from the pelvis to a point [3] (metres, world)."""
        away = torch.as_tensor(eye, dtype=torch.float32).to(self.pelvis) - self.pelvis
        return torch.nn.functional.normalize(away, dim=0)


class PosableAvatar:
    """An avatar ready to be posed again and again on one device."""

    def __init__(self, avatar: Avatar, model: BodyModel, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        surface = clothed_surface(model, avatar.registration)
        binding = bind(surface, torch.as_tensor(avatar.face).long(), torch.as_tensor(avatar.barycentric))
        self._binding = Binding(*(tensor.to(self.device) for tensor in vars(binding).values()))
        self._skeleton = model.subset(torch.zeros(0, dtype=torch.long))
        self._shaped = self._skeleton.shape(torch.as_tensor(avatar.registration.betas, dtype=torch.float32))
        self._offset = torch.as_tensor(avatar.offset).to(self.device)
        self._scales = flat_scales(torch.as_tensor(avatar.log_scale)).to(self.device)
        self._opacities = (OPACITY * torch.as_tensor(avatar.visibility)).to(self.device)
        self._colors = torch.as_tensor(avatar.rgb).sigmoid().to(self.device)
        self._photo_colors = torch.as_tensor(avatar.rgb_photo).sigmoid().to(self.device)
        self._light = avatar.light
        self._room = Room.of(surface, binding.position).to(self.device)
        photo = avatar.registration
        pose, transl, expression = (
            torch.as_tensor(values, dtype=torch.float32) for values in (photo.full_pose, photo.transl, photo.expression)
        )
        in_photo, _ = self._posed(pose, transl, expression)
        self._photo_light = in_photo.light
        self._photo_place = in_photo.from_pelvis
        self._photo_view = in_photo.view_from(photo.camera.centre)
        self._fade = torch.full((len(avatar.face), 1), FADE)
        self._fade[binding.moved[binding.deltas[model.blinks].norm(dim=2).gt(LID).any(dim=0)]] = LID_FADE
        self._fade = self._fade.to(self.device)

    @property
    def nbytes(self) -> int:
        """Bytes that its Gaussians take on the device."""
        photo = (self._photo_colors, self._photo_place, self._photo_light, self._fade)
        own = (self._offset, self._scales, self._opacities, self._colors, *photo, self._room.nearest, self._room.share)
        return sum(tensor.nbytes for tensor in (*vars(self._binding).values(), *own))

    def pose(self, full_pose: Tensor, transl: Tensor, expression: Tensor, eye: np.ndarray) -> Gaussians:
        """Gaussians of one frame, coloured for who looks from `eye` [3] (metres, world).

        `full_pose` [165], `transl` [3] metres, `expression` [E] of the body's own basis.
        """
        now, axes = self._posed(full_pose, transl, expression)
        colors = torch.lerp(self._colors, self._photo_colors, self._as_in_photo(now, eye))
        lit = (colors * gain(now.light, self._photo_light)[:, None]).clamp(max=1.0)
        return Gaussians(now.means, quats_of(axes), self._scales, self._opacities, lit)

    def _as_in_photo(self, now: _Posed, eye: np.ndarray) -> Tensor:
        """How much each Gaussian is where the photo saw it, and seen from there, [N, 1] in [0, 1]."""
        moved = now.from_pelvis - self._photo_place
        turned = BEHIND / FADE * (now.view_from(eye) - self._photo_view)
        return torch.exp(-0.5 * ((moved / self._fade).square().sum(1, keepdim=True) + turned.square().sum()))

    def _posed(self, full_pose: Tensor, transl: Tensor, expression: Tensor) -> tuple[_Posed, Tensor]:
        """Where the Gaussians are, and their axes [N, 3, 3]."""
        body = self._skeleton.pose(self._shaped, full_pose[None], transl[None], expression[None])
        transforms = body.transforms[0].to(self.device)
        means, axes = self._binding.pose(self._offset, transforms, expression.to(self.device))
        light = self._room.posed(transforms).light_on(axes[:, :, 2], self._light)
        return _Posed(means, light, body.joints[0, 0].to(self.device)), axes
