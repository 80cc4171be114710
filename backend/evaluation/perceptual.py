"""Perceptual distances, each under its true name: ST-LPIPS with weights from a wheel, LPIPS where its backbone is.

ST-LPIPS: Ghildyal and Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022. Only the weight files of the
`stlpips-pytorch` package are read (its metadata says BSD-2); its code, partly under non-commercial headers, is
neither imported nor copied: the network is written anew from the published layer layout.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from shared.errors import VivantError

_FILES = {
    "alex": ("alex_shift_tolerant.pth", "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee"),
    "vgg": ("vgg_shift_tolerant.pth", "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250"),
}
_VGG_STAGES = ((0, 2), (6, 8), (12, 14, 16), (20, 22, 24), (28, 30, 32))  # convolution indices within slices 1-5
_LPIPS_BACKBONE = "alexnet-owt-7be5be79.pth"  # torchvision's name in the torch hub cache

Distance = Callable[[Tensor, Tensor], Tensor]  # two [B, 3, H, W] in [0, 1] -> [B]


@dataclass(frozen=True)
class PerceptualMetric:
    """One metric, whether it can be computed here, and what to do if not."""

    name: str  # the key in the results
    provider: str  # what computes it
    available: bool
    hint: str  # how to get it; empty when available


def perceptual_metrics() -> tuple[PerceptualMetric, ...]:
    """Say which perceptual metrics can be computed on this computer. Downloads nothing, imports no package."""
    st, lpips = _weight_file("alex") is not None, _lpips_backbone() is not None
    return (
        PerceptualMetric("st_lpips", "stlpips-pytorch 0.0.2 AlexNet weights", st, "" if st else _ST_HINT),
        PerceptualMetric("lpips", "lpips with torchvision's AlexNet", lpips, "" if lpips else _LPIPS_HINT),
    )


def load_metric(name: str, device: torch.device) -> Distance:
    """Load `st_lpips` (AlexNet) or `lpips` (AlexNet), differentiable in both images.

    Raises:
        VivantError: the weights are not on this computer, or are not the known file.
    """
    if name == "st_lpips":
        return ShiftTolerantLpips("alex").to(device)
    if _lpips_backbone() is None:
        raise VivantError(_LPIPS_HINT)
    import lpips

    network = lpips.LPIPS(net="alex", verbose=False).to(device).eval()
    return lambda a, b: network(a, b, normalize=True).reshape(-1)


def fit_size(image: np.ndarray, longest: int) -> Tensor:
    """Shrink `image` [H, W, 3] in [0, 1] so that its longer side is at most `longest`; [1, 3, h, w] float32.

    Crops under 64 pixels are enlarged to 64 on the shorter side: the networks halve the picture several times.
    """
    height, width = image.shape[:2]
    scale = max(min(1.0, longest / max(height, width)), 64 / min(height, width))
    pixels = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)).permute(2, 0, 1)[None]
    size = (round(height * scale), round(width * scale))
    return pixels if size == (height, width) else F.interpolate(pixels, size, mode="bilinear", antialias=True)


class ShiftTolerantLpips(torch.nn.Module):
    """ST-LPIPS with its own anti-aliased AlexNet (`alex`) or VGG16 (`vgg`).

    Raises:
        VivantError: the weight file is missing or is not the known one.
    """

    def __init__(self, network: str = "alex") -> None:
        super().__init__()
        self.network = network
        for name, value in _read_weights(network).items():
            self.register_buffer(name.replace(".", "_"), value)

    def forward(
        self,
        a: Tensor,  # [B, 3, H, W] in [0, 1]
        b: Tensor,  # [B, 3, H, W] in [0, 1]
    ) -> Tensor:  # [B]
        """Return the distance of each pair: 0 for equal pictures, about 0.7 for unrelated ones."""
        total = torch.zeros(len(a), device=a.device)
        for i, (f, g) in enumerate(zip(self.features(a), self.features(b), strict=True)):
            difference = (_unit(f) - _unit(g)) ** 2
            total = total + F.conv2d(difference, self._get(f"lin{i}.model.1.weight")).mean((1, 2, 3))
        return total

    def features(self, image: Tensor) -> list[Tensor]:
        """Return the five feature maps of `image` [B, 3, H, W] in [0, 1]."""
        x = (2 * image - 1 - self._get("scaling_layer.shift")) / self._get("scaling_layer.scale")
        return self._alex(x) if self.network == "alex" else self._vgg(x)

    def _alex(self, x: Tensor) -> list[Tensor]:
        taps = [F.relu(_blur(self._convolve(x, "slice1.0", 2)))]
        taps.append(F.relu(self._convolve(_blur(F.max_pool2d(taps[-1], 3, 1)), "slice2.5", 2)))
        taps.append(F.relu(self._convolve(_blur(F.max_pool2d(taps[-1], 3, 1)), "slice3.9", 1)))
        taps.append(F.relu(self._convolve(taps[-1], "slice4.11", 1)))
        taps.append(F.relu(self._convolve(taps[-1], "slice5.13", 1)))
        return taps

    def _vgg(self, x: Tensor) -> list[Tensor]:
        taps: list[Tensor] = []
        for stage, indices in enumerate(_VGG_STAGES, 1):
            x = _blur(F.max_pool2d(x, 2, 1)) if taps else x
            for index in indices:
                x = F.relu(self._convolve(x, f"slice{stage}.{index}", 1))
            taps.append(x)
        return taps

    def _convolve(self, x: Tensor, name: str, padding: int) -> Tensor:
        return F.conv2d(x, self._get(f"net.{name}.weight"), self._get(f"net.{name}.bias"), padding=padding)

    def _get(self, name: str) -> Tensor:
        return self.get_buffer(name.replace(".", "_"))


def _blur(x: Tensor) -> Tensor:
    """Low-pass and halve: the anti-aliasing that makes the networks tolerate small shifts (Zhang, ICML 2019)."""
    taps = x.new_tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=x.shape[1])


def _unit(features: Tensor) -> Tensor:
    return features / (features.norm(dim=1, keepdim=True) + 1e-10)


def _weight_file(network: str) -> Path | None:
    package = importlib.util.find_spec("stlpips_pytorch")
    if package is None or not package.submodule_search_locations:
        return None
    path = Path(package.submodule_search_locations[0]) / "weights" / "vST0.0" / _FILES[network][0]
    return path if path.is_file() else None


def _read_weights(network: str) -> dict[str, Tensor]:
    path = _weight_file(network)
    if path is None:
        raise VivantError(_ST_HINT)
    if hashlib.sha256(path.read_bytes()).hexdigest() != _FILES[network][1]:
        raise VivantError(f"{path} is not the weight file of stlpips-pytorch 0.0.2. Install that version again.")
    return torch.load(path, map_location="cpu", weights_only=True)


def _lpips_backbone() -> Path | None:
    if any(importlib.util.find_spec(package) is None for package in ("lpips", "torchvision")):
        return None
    path = Path(torch.hub.get_dir()) / "checkpoints" / _LPIPS_BACKBONE
    return path if path.is_file() else None


_ST_HINT = "ST-LPIPS needs the weights inside a package: python -m pip install --no-deps stlpips-pytorch==0.0.2"
_LPIPS_HINT = (
    f"LPIPS needs `pip install lpips torchvision` and torchvision's {_LPIPS_BACKBONE} in torch's hub cache "
    "(torchvision.models.alexnet(weights='DEFAULT') fetches it, 233 MB)."
)
