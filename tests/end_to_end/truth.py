"""What a composite must look like, in numpy, from the avatar's frame and a render of the scene without it."""

import cv2
import numpy as np
import OpenEXR


def frame(path):
    """[H, W, 4] premultiplied linear; [H, W] metres. Read by OpenEXR, not by anything of ours."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = file.channels()
        rgba = np.stack([channels[f"Avatar.Combined.{name}"].pixels for name in "RGBA"], -1)
        return rgba.astype(np.float64), channels["Avatar.Depth.Z"].pixels.astype(np.float64)


def picture(path):
    """[H, W, 3] in [0, 1], as displayed, from 16 bits."""
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1] / 65535.0


def composite(rgba, depth, scene, scene_depth):
    """The avatar laid into the displayed scene [H, W, 3] where it is nearer than `scene_depth` [H, W]; as displayed."""
    front = np.where((depth < scene_depth)[..., None], rgba, 0)
    return encoded(front[..., :3] + (1 - front[..., 3:]) * decoded(scene))


def encoded(linear):
    """Linear Rec.709 to sRGB."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def decoded(srgb):
    """sRGB to linear Rec.709."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def edges(mask, width=1):
    """Pixels no further than `width` from a border of the mask, diagonals included."""
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    values = mask.astype(np.uint8)
    return cv2.dilate(values, kernel) != cv2.erode(values, kernel)


def overlap(one, other):
    """Intersection over union of two masks."""
    return (one & other).sum() / (one | other).sum()
