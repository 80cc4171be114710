"""Levenberg-Marquardt with robust terms and bounds, for the few hundred numbers of one photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp, vmap

FIRST_DAMPING, LARGEST_DAMPING = 1e-2, 1e6


Problem = Callable[[Tensor], tuple[Tensor, Tensor]]


def cost(robust: Tensor, plain: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """The objective: Geman-McClure, s^2 r^2 / (s^2 + r^2), on the robust rows, squares on the plain ones; halved."""
    squared, limit = robust.square().sum(1), scale.square()
    return 0.5 * ((weight * limit * squared / (limit + squared)).sum() + plain.square().sum())


@dataclass(frozen=True)
class Solution:
    """Where the minimiser stopped."""

    x: Tensor  # [P]
    cost: float


def minimise(
    residuals: Problem,  # x [P] -> robust [M, D], plain [K]
    weight: Tensor,  # [M]
    scale: Tensor,  # [M]
    start: Tensor,  # [P]
    free: list[int],  # which entries of x may move
    low: Tensor,  # [P]
    high: Tensor,  # [P]
    *,
    steps: int,
    tolerance: float = 1e-4,  # relative fall of the cost below which it stops
) -> Solution:
    """Minimise over the free entries inside their bounds; a step that would raise the cost is never taken."""
    index = torch.tensor(free)
    x = start.clone()
    x[index] = x[index].clamp(low[index], high[index])
    basis = torch.eye(len(x), dtype=x.dtype)[index]
    damping, best = FIRST_DAMPING, float(cost(*residuals(x), weight, scale))
    for _ in range(steps):
        hessian, gradient = _normal_equations(residuals, weight, scale, x, basis)
        before = best
        while damping < LARGEST_DAMPING:
            trial = x.clone()
            trial[index] = (x[index] - _step(hessian, gradient, x[index], low[index], high[index], damping)).clamp(
                low[index], high[index]
            )
            value = float(cost(*residuals(trial), weight, scale))
            if value < best:
                x, best, damping = trial, value, max(damping / 5, 1e-7)
                break
            damping *= 5
        if before - best < tolerance * best:
            break
    return Solution(x, best)


def _normal_equations(
    residuals: Problem, weight: Tensor, scale: Tensor, x: Tensor, basis: Tensor
) -> tuple[Tensor, Tensor]:
    """Gauss-Newton matrix [N, N] and gradient [N], robust rows reweighted at `x`."""
    tangents = vmap(lambda v: jvp(residuals, (x,), (v,))[1])(basis)  # [N, M, D], [N, K]
    robust, plain = residuals(x)
    limit = scale.square()
    share = weight * (limit / (limit + robust.square().sum(1))).square()  # half the derivative of the robust cost
    robust_rows = (tangents[0] * share.sqrt()[:, None]).flatten(1)
    jacobian = torch.cat([robust_rows, tangents[1]], dim=1)
    value = torch.cat([(robust * share.sqrt()[:, None]).flatten(), plain])
    return jacobian @ jacobian.T, jacobian @ value


def _step(hessian: Tensor, gradient: Tensor, x: Tensor, low: Tensor, high: Tensor, damping: float) -> Tensor:
    """The damped step, with entries held that the gradient pushes out of their bounds."""
    held = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
    move = (~held).nonzero()[:, 0]
    block = hessian[move][:, move]
    block = block + torch.diag(damping * block.diagonal() + 1e-9)
    step = torch.zeros_like(gradient)
    step[move] = torch.linalg.solve(block, gradient[move])
    return step
