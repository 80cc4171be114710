"""Levenberg-Marquardt with robust terms and bounds, for the few hundred numbers of one photo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

FIRST_DAMPING, LARGEST_DAMPING = 1e-2, 1e6


DIFFERENCE = 1e-6
"""Step of the forward differences: in double precision the derivatives are good to about six digits."""

Problem = Callable[[Tensor], tuple[Tensor, Tensor]]
"""x [B, P] -> robust [B, M, D], plain [B, K]."""


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
    residuals: Problem,
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
    damping, best = FIRST_DAMPING, _value(residuals, x, weight, scale)
    for _ in range(steps):
        hessian, gradient = _normal_equations(residuals, weight, scale, x, index)
        before = best
        while damping < LARGEST_DAMPING:
            trial = x.clone()
            trial[index] = (x[index] - _step(hessian, gradient, x[index], low[index], high[index], damping)).clamp(
                low[index], high[index]
            )
            value = _value(residuals, trial, weight, scale)
            if value < best:
                x, best, damping = trial, value, max(damping / 5, 1e-7)
                break
            damping *= 5
        if before - best < tolerance * best:
            break
    return Solution(x, best)


def _value(residuals: Problem, x: Tensor, weight: Tensor, scale: Tensor) -> float:
    robust, plain = residuals(x[None])
    return float(cost(robust[0], plain[0], weight, scale))


def _normal_equations(
    residuals: Problem, weight: Tensor, scale: Tensor, x: Tensor, index: Tensor
) -> tuple[Tensor, Tensor]:
    """Gauss-Newton matrix [N, N] and gradient [N], robust rows reweighted at `x`."""
    nearby = x.repeat(len(index) + 1, 1)
    nearby[torch.arange(1, len(nearby)), index] += DIFFERENCE
    robust, plain = residuals(nearby)
    limit = scale.square()
    share = weight * (limit / (limit + robust[0].square().sum(1))).square()  # half the derivative of the robust cost
    rows = torch.cat([(robust * share.sqrt()[:, None]).flatten(1), plain], dim=1)
    jacobian = (rows[1:] - rows[0]) / DIFFERENCE
    return jacobian @ jacobian.T, jacobian @ rows[0]


def _step(hessian: Tensor, gradient: Tensor, x: Tensor, low: Tensor, high: Tensor, damping: float) -> Tensor:
    """The damped step, with entries held that the gradient pushes out of their bounds."""
    held = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
    move = (~held).nonzero()[:, 0]
    block = hessian[move][:, move]
    block = block + torch.diag(damping * block.diagonal() + 1e-9)
    step = torch.zeros_like(gradient)
    step[move] = torch.linalg.solve(block, gradient[move])
    return step
