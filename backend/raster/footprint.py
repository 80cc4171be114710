"""What a splat looks like on every provider: the constants of gsplat 1.5.3 (docs/raster.md says where each stands)."""

from __future__ import annotations

NEAR = 0.01
"""Metres. Gaussians whose centre is nearer are not drawn."""

DILATION = 0.3
"""Pixels squared, added to both variances of the projected Gaussian; opacity is not compensated ("classic")."""

FIELD_MARGIN = 0.3
"""The Jacobian is taken at most this share of half the field of view outside the image."""

ALPHA_CUTOFF = 1.0 / 255.0
"""A Gaussian fainter than this at a pixel does not touch it."""

ALPHA_MAX = 0.999
"""A single Gaussian never covers more than this."""

TRANSMITTANCE_STOP = 1e-4
"""A Gaussian that would leave no more light than this is not drawn, and nothing behind it is."""

RADIUS = 3.33
"""Standard deviations. Beyond it even an opaque Gaussian is below `ALPHA_CUTOFF`: sqrt(2 ln 255) = 3.329."""

TILE = 16
"""Pixels, side of the square that is one unit of work."""
