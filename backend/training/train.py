"""Photo-only training: the draft's Gaussians are fitted to the photo, held together by the regularisers.

The photo says nothing about depth and nothing about the far side, so the regularisers decide what turns well:
offsets stay near the surface and alike among neighbours, sizes near the texels' spacing, and the colours of what
the photo does not show stay at their completion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from backend.avatar.draft import Draft, draft_avatar
from backend.avatar.posing import OPACITY, Binding, bind, flat_scales, quats_of
from backend.body.model import BodyModel
from backend.progress import Event, Progress, silent
from backend.raster.splats import Rendered, choose_device, rasterize
from backend.stages import Avatar, Observations, Registration
from backend.training.losses import photo_loss, smoothness
from backend.training.photo import Target, photo_target
from backend.training.settings import TrainingSettings
from shared.errors import DivergedError

SIGMA = 0.6
"""Initial standard deviation of a Gaussian, in texel spacings."""
INSET = 0.5
"""Standard deviations by which Gaussians start below the surface, so that their footprints end at its outline."""
DILATED = 0.3
"""Pixels that they start deeper still, for the raster widens every footprint by half a pixel."""
NEIGHBOURS = 4
ALIKE_WITHIN = 0.035
"""Metres (standard deviation) over which offsets and sizes are made alike: what they mend are errors of pose and cloth,
which vary over centimetres. Alike with the next texels only, they fit the photo's pixels instead."""
LEARNING_RATES = {"offset": 2e-4, "log_scale": 1e-2, "rgb": 3e-2}
REPAINTED = 0.2
"""How far, in sRGB, training may take a colour from its first one for other views than the photo's: what it paints
beyond that shows something else, a lash or dark hair at a cheek's rim."""
LAST_RATE = 0.05
"""Share of the learning rates at the last step of the cosine schedule."""

OFFSET_SIZE, OFFSET_SMOOTH = 1e-3, 1e-1
SCALE_SIZE, SCALE_SMOOTH = 2e-2, 1e-2
"""Weights of the regularisers; offsets are measured in texel spacings, sizes in logarithms."""


@dataclass(frozen=True)
class Trained:
    """A trained avatar and how the loss fell."""

    avatar: Avatar
    losses: dict[str, list[float]]  # name -> value per step
    photo_psnr: float  # dB, premultiplied colour inside the matte, at the training size


@dataclass(frozen=True)
class Parameters:
    """What is optimised, and what it is held to."""

    offset: Tensor  # [N, 3] metres
    log_scale: Tensor  # [N, 1]
    rgb: Tensor  # [N, 3] logits
    bared: Tensor  # [N, 1] bool: of these the photo tells the colour
    placed: Tensor  # [N, 1] bool: of these it tells the place
    first_offset: Tensor
    first_log_scale: Tensor
    first_rgb: Tensor
    spacing: Tensor  # [N, 1] metres
    neighbours: Tensor  # [N, NEIGHBOURS] int64


def train(
    observations: Observations,
    registration: Registration,
    model: BodyModel,
    settings: TrainingSettings,
    *,
    progress: Progress = silent,
) -> Trained:
    """Make an avatar from one registered photo.

    Raises:
        VivantError: the device asked for does not work.
        DivergedError: the loss is no number any more.
    """
    torch.manual_seed(settings.seed)
    device = choose_device(settings.device, progress)
    draft = draft_avatar(observations, registration, model, settings.texture, settings.show_unseen)
    progress(Event("training", 0, settings.steps, f"{len(draft.texels)} Gaussians on {device}"))
    target = photo_target(observations, registration.camera, settings.size).to(device)
    pixel = float(target.camera.project(draft.posed.joints[0, :1].numpy())[1][0] / target.camera.K[0, 0])
    parameters = _parameters(draft, pixel, settings.seed, device)
    draw = _drawer(draft, registration, parameters, target, device)
    losses = _optimise(parameters, draw, target, settings, progress)
    with torch.no_grad():
        psnr = _psnr(draw(), target)
    return Trained(_avatar(draft, registration, parameters), losses, psnr)


def _parameters(
    draft: Draft,
    pixel: float,  # metres that a pixel of the photo spans at the person
    seed: int,
    device: torch.device,
) -> Parameters:
    spacing = torch.as_tensor(draft.texels.spacing)[:, None]
    log_scale = torch.log(SIGMA * spacing)
    offset = torch.zeros(len(spacing), 3)
    offset[:, 2] = -INSET * SIGMA * spacing[:, 0] - DILATED * pixel
    rgb, in_photo = (
        torch.as_tensor(color, dtype=torch.float32).clamp(0.01, 0.99).logit() for color in (draft.color, draft.in_photo)
    )
    told = (torch.as_tensor(which)[:, None] for which in (draft.bared, ~draft.guessed))
    fixed = (*told, offset, log_scale, rgb, spacing, _neighbours(draft, seed))
    trained = (offset.clone(), log_scale.clone(), in_photo)
    return Parameters(*(x.to(device).requires_grad_() for x in trained), *(x.to(device) for x in fixed))


def _neighbours(draft: Draft, seed: int) -> Tensor:
    """For each texel some of the same limb, scattered round it by `ALIKE_WITHIN`, [N, NEIGHBOURS]."""
    position = draft.texels.interpolate(draft.surface.vertices.numpy(), draft.surface.faces)
    apart = np.concatenate([position, 10.0 * draft.limb[:, None]], axis=1)
    scatter = np.random.default_rng(seed).normal(0.0, ALIKE_WITHIN, (NEIGHBOURS, *position.shape))
    looks = apart + np.pad(scatter, ((0, 0), (0, 0), (0, 1)))
    return torch.as_tensor(cKDTree(apart).query(looks)[1].T.copy())


def _drawer(
    draft: Draft, registration: Registration, parameters: Parameters, target: Target, device: torch.device
) -> Callable[[], Rendered]:
    """A function that draws the current parameters in the photo's pose and view."""
    binding = bind(draft.surface, torch.as_tensor(draft.texels.face).long(), torch.as_tensor(draft.texels.barycentric))
    binding = Binding(*(tensor.to(device) for tensor in vars(binding).values()))
    transforms = draft.posed.transforms[0].to(device)
    expression = torch.as_tensor(registration.expression, dtype=torch.float32, device=device)
    opacities = (OPACITY * torch.as_tensor(draft.visibility)).to(device)
    with torch.no_grad():
        quats = quats_of(binding.pose(parameters.offset, transforms, expression)[1])

    def draw() -> Rendered:
        offset = torch.where(parameters.placed, parameters.offset, parameters.first_offset)
        means, _ = binding.pose(offset, transforms, expression)
        scales = flat_scales(parameters.log_scale)
        rgb = torch.where(parameters.bared, parameters.rgb, parameters.first_rgb)
        return rasterize(means, quats, scales, opacities, rgb.sigmoid(), target.camera, device.type)

    return draw


def _optimise(
    parameters: Parameters,
    draw: Callable[[], Rendered],
    target: Target,
    settings: TrainingSettings,
    progress: Progress,
) -> dict[str, list[float]]:
    groups = [{"params": [getattr(parameters, name)], "lr": rate} for name, rate in LEARNING_RATES.items()]
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-15)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * step / settings.steps))
    )
    backdrops = torch.rand(settings.steps, generator=torch.Generator().manual_seed(settings.seed)).tolist()
    losses: dict[str, list[float]] = {"photo": [], "regularisers": []}
    for step, backdrop in enumerate(backdrops, start=1):
        rendered = draw()
        photo = photo_loss(rendered.rgb, rendered.alpha, target.rgb, target.alpha, backdrop)
        held = _regularisers(parameters)
        _check(photo + held, step)
        optimiser.zero_grad()
        (photo + held).backward()
        optimiser.step()
        schedule.step()
        losses["photo"].append(photo.item())
        losses["regularisers"].append(held.item())
        picture = partial(_picture, rendered)
        progress(Event("training", step, settings.steps, f"loss {losses['photo'][-1]:.4f}", picture))
    return losses


def _check(loss: Tensor, step: int) -> None:
    if not loss.isfinite():
        raise DivergedError(
            f"The training left the numbers at step {step}. Resume the job to train anew from the fit; if it happens "
            "again, use another seed or a smaller texture."
        )


def _picture(rendered: Rendered) -> np.ndarray:
    """The render over white, [H, W, 3] uint8 sRGB."""
    over = rendered.rgb.detach() + (1 - rendered.alpha.detach()[..., None])
    return (over.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def _regularisers(parameters: Parameters) -> Tensor:
    moved = (parameters.offset - parameters.first_offset) / parameters.spacing
    grown = parameters.log_scale - parameters.first_log_scale
    return (
        OFFSET_SIZE * moved.square().sum(1).mean()
        + OFFSET_SMOOTH * smoothness(moved, parameters.neighbours)
        + SCALE_SIZE * grown.square().mean()
        + SCALE_SMOOTH * smoothness(grown, parameters.neighbours)
    )


def _psnr(rendered: Rendered, target: Target) -> float:
    inside = target.alpha > 0.5
    return float(-10 * torch.log10((rendered.rgb - target.rgb)[inside].square().mean()))


def _avatar(draft: Draft, registration: Registration, parameters: Parameters) -> Avatar:
    """Drop what is never seen and freeze the rest."""
    shown = draft.visibility > 0
    trust = torch.as_tensor(draft.trust, dtype=torch.float32, device=parameters.rgb.device)[:, None]
    elsewhere = torch.lerp(parameters.first_rgb, _held(parameters), trust)
    return Avatar(
        face=draft.texels.face[shown],
        barycentric=draft.texels.barycentric[shown],
        offset=parameters.offset.detach().cpu().numpy()[shown],
        log_scale=parameters.log_scale.detach().cpu().numpy()[shown],
        rgb=elsewhere.cpu().numpy()[shown],
        rgb_photo=parameters.rgb.detach().cpu().numpy()[shown],
        visibility=draft.visibility[shown],
        light=draft.light,
        registration=registration,
        info={},
    )


def _held(parameters: Parameters) -> Tensor:
    """Trained logits [N, 3] whose colours are at most `REPAINTED` from the first ones."""
    first = parameters.first_rgb.sigmoid()
    change = (parameters.rgb.detach().sigmoid() - first).clamp(-REPAINTED, REPAINTED)
    return (first + change).clamp(0.01, 0.99).logit()
