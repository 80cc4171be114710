import torch
from hypothesis import given
from hypothesis import strategies as st

from backend.registration.levenberg import minimise

NUMBERS = st.floats(-3, 3)


def line(points):
    """Residuals of y = a x + b at `points` [M, 2]."""

    def residuals(x):
        return (x[:, :1] * points[:, 0] + x[:, 1:] - points[:, 1])[..., None], torch.zeros(len(x), 1, dtype=x.dtype)

    return residuals


def solve(points, low=-10.0, high=10.0, free=(0, 1), start=(0.0, 0.0)):
    count = len(points)
    return minimise(
        line(points),
        torch.ones(count, dtype=torch.float64),
        torch.full((count,), 0.5, dtype=torch.float64),
        torch.tensor(start, dtype=torch.float64),
        list(free),
        torch.full((2,), low, dtype=torch.float64),
        torch.full((2,), high, dtype=torch.float64),
        steps=60,
        tolerance=1e-9,
    ).x


def on_line(slope, height):
    x = torch.linspace(-1, 1, 40, dtype=torch.float64)
    return torch.stack([x, slope * x + height], dim=1)


@given(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_a_line_is_found(slope, height):
    assert torch.allclose(solve(on_line(slope, height)), torch.tensor([slope, height], dtype=torch.float64), atol=1e-3)


def test_a_quarter_of_wrong_points_is_ignored():
    points = on_line(0.2, 0.1)
    points[::4, 1] += 5.0
    assert torch.allclose(solve(points), torch.tensor([0.2, 0.1], dtype=torch.float64), atol=0.02)


@given(NUMBERS, NUMBERS)
def test_bounds_hold_and_fixed_entries_stay(slope, height):
    found = solve(on_line(slope, height), low=-0.1, high=0.1)
    assert (found.abs() <= 0.1).all()
    assert solve(on_line(slope, height), free=[0], start=(0.0, 0.7))[1] == 0.7
