"""Rectangles of a photo that a detector looks at, and the way back. Image corners are at 0, pixel centres at +0.5."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; may reach over the image until it is clipped."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def around(cls, points: np.ndarray) -> Box:
        """The smallest box that holds `points` [N, 2] pixels."""
        return cls(*map(float, points.min(axis=0)), *map(float, points.max(axis=0)))

    @classmethod
    def square(cls, centre: np.ndarray, side: float) -> Box:
        """A square of `side` pixels about `centre` [2]."""
        x, y = map(float, centre)
        return cls(x - side / 2, y - side / 2, x + side / 2, y + side / 2)

    @property
    def width(self) -> float:
        """Pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Pixels."""
        return self.y1 - self.y0

    @property
    def longer(self) -> float:
        """The longer side in pixels."""
        return max(self.width, self.height)

    @property
    def area(self) -> float:
        """Square pixels; 0 if the box is empty."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def centre(self) -> np.ndarray:
        """[2] pixels."""
        return np.array([self.x0 + self.x1, self.y0 + self.y1]) / 2

    def scaled(self, factor: float) -> Box:
        """The same centre, sides times `factor`."""
        dx, dy = self.width * (factor - 1) / 2, self.height * (factor - 1) / 2
        return Box(self.x0 - dx, self.y0 - dy, self.x1 + dx, self.y1 + dy)

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def intersection(self, other: Box) -> Box:
        """What both hold; its area is 0 if that is nothing."""
        return Box(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def overlap(self, other: Box) -> float:
        """Intersection over union."""
        common = self.intersection(other).area
        return common / max(self.area + other.area - common, 1e-9)

    def contains(self, point: np.ndarray) -> bool:
        """Whether `point` [2] lies inside."""
        return bool(self.x0 <= point[0] <= self.x1 and self.y0 <= point[1] <= self.y1)

    def pixels(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 as whole pixels inside an image of `shape` [H, W, ...]."""
        height, width = shape[:2]
        x0, y0 = int(np.clip(np.floor(self.x0), 0, width)), int(np.clip(np.floor(self.y0), 0, height))
        return x0, y0, int(np.clip(np.ceil(self.x1), x0, width)), int(np.clip(np.ceil(self.y1), y0, height))


@dataclass(frozen=True)
class Crop:
    """Whole pixels of a photo, resized and perhaps mirrored for a detector."""

    x0: int
    y0: int
    x1: int
    y1: int
    width: int  # pixels of the resized picture
    height: int
    mirrored: bool = False

    @classmethod
    def fit(cls, box: Box, shape: tuple[int, ...], longer: int) -> Crop:
        """The part of `box` inside an image of `shape`, resized so that its longer side has `longer` pixels."""
        x0, y0, x1, y1 = box.pixels(shape)
        scale = longer / max(x1 - x0, y1 - y0, 1)
        return cls(x0, y0, x1, y1, max(round((x1 - x0) * scale), 1), max(round((y1 - y0) * scale), 1))

    @property
    def empty(self) -> bool:
        """Whether nothing of the box lies inside the image."""
        return self.x1 - self.x0 < 2 or self.y1 - self.y0 < 2

    def mirror(self) -> Crop:
        """The same crop seen in a mirror."""
        return replace(self, mirrored=not self.mirrored)

    def cut(self, image: np.ndarray) -> np.ndarray:
        """The resized pixels [height, width, ...] of `image` [H, W, ...]."""
        part = image[self.y0 : self.y1, self.x0 : self.x1]
        smaller = self.width < part.shape[1]
        resized = cv2.resize(
            part, (self.width, self.height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        )
        return np.ascontiguousarray(resized[:, ::-1] if self.mirrored else resized)

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Photo pixels [N, 2] of `points` [N, 2], given as fractions of the crop (0 and 1 are its corners)."""
        x, y = points[:, 0], points[:, 1]
        x = 1 - x if self.mirrored else x
        return np.stack([self.x0 + x * (self.x1 - self.x0), self.y0 + y * (self.y1 - self.y0)], axis=1)

    def paste(self, picture: np.ndarray, canvas: np.ndarray) -> None:
        """Resize `picture` [h, w], seen in this crop, back and write it into `canvas` [H, W] float32."""
        upright = np.ascontiguousarray(picture[:, ::-1] if self.mirrored else picture)
        size = (self.x1 - self.x0, self.y1 - self.y0)
        canvas[self.y0 : self.y1, self.x0 : self.x1] = cv2.resize(upright, size, interpolation=cv2.INTER_LINEAR)
