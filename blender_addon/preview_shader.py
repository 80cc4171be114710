"""Draw a rendered avatar into a viewport, hidden by what stands before it and hiding what stands behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

from ._shared.wire.codec import Envelope
from ._shared.wire.pixels import depth_from_u2

_VERTEX = """
void main()
{
  uv = pos;
  gl_Position = vec4(mix(rect.xy, rect.zw, pos), 0.0, 1.0);
}
"""

# A viewport's handlers draw scene-linear colour; the frame's colour is display sRGB, premultiplied.
_FRAGMENT = """
void main()
{
  vec4 c = texture(colour, uv);
  if (c.a <= 0.0) {
    discard;
  }
  vec4 p = projection * vec4(0.0, 0.0, -texture(depth, uv).r, 1.0);
  gl_FragDepth = (p.z / p.w) * 0.5 + 0.5;
  vec3 d = c.rgb / c.a;
  vec3 linear = mix(d / 12.92, pow((d + 0.055) / 1.055, vec3(2.4)), step(0.04045, d));
  result = vec4(linear * c.a, c.a);
}
"""

_drawer: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class Picture:
    """A frame on the GPU, and where it lies in the view."""

    colour: gpu.types.GPUTexture
    depth: gpu.types.GPUTexture
    rect: tuple[float, float, float, float]  # left, bottom, right, top in [-1, 1]
    nearest: float  # metres


def upload(envelope: Envelope) -> Picture | None:
    """Bring a live frame to the GPU, from within a drawing callback; None if nothing of the avatar is in view."""
    frame = envelope.message
    rgba, steps = envelope.buffers["rgba"], envelope.buffers["depth"]
    if not steps.size:
        return None
    height, width = steps.shape
    rect = (
        2 * frame.x / frame.width - 1,
        1 - 2 * (frame.y + height) / frame.height,
        2 * (frame.x + width) / frame.width - 1,
        1 - 2 * frame.y / frame.height,
    )
    colour = rgba[::-1].astype(np.float32) / 255  # textures begin at the bottom
    depth = depth_from_u2(steps[::-1], frame.near, frame.far)
    return Picture(_texture(colour, "RGBA32F"), _texture(depth, "R32F"), rect, frame.near)


def draw(picture: Picture, projection: Matrix) -> None:
    """Draw into the bound framebuffer, whose depth is that of the scene under the same `projection`."""
    shader, batch = _ready()
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.depth_mask_set(True)
    gpu.state.blend_set("ALPHA_PREMULT")
    shader.bind()
    shader.uniform_sampler("colour", picture.colour)
    shader.uniform_sampler("depth", picture.depth)
    shader.uniform_float("projection", projection)
    shader.uniform_float("rect", picture.rect)
    batch.draw(shader)
    gpu.state.blend_set("NONE")
    gpu.state.depth_mask_set(False)
    gpu.state.depth_test_set("NONE")


def forget() -> None:
    """Let go of the shader."""
    global _drawer
    _drawer = None


def _ready() -> tuple[Any, Any]:
    global _drawer
    if _drawer is None:
        shader = _compiled()
        batch = batch_for_shader(shader, "TRI_FAN", {"pos": [(0, 0), (1, 0), (1, 1), (0, 1)]})
        _drawer = (shader, batch)
    return _drawer


def _compiled() -> gpu.types.GPUShader:
    between = gpu.types.GPUStageInterfaceInfo("vivant_preview")
    between.smooth("VEC2", "uv")
    info = gpu.types.GPUShaderCreateInfo()
    info.vertex_in(0, "VEC2", "pos")
    info.vertex_out(between)
    info.sampler(0, "FLOAT_2D", "colour")
    info.sampler(1, "FLOAT_2D", "depth")
    info.push_constant("MAT4", "projection")
    info.push_constant("VEC4", "rect")
    info.fragment_out(0, "VEC4", "result")
    if hasattr(info, "depth_write"):  # from 4.5 on; before, OpenGL takes gl_FragDepth as it comes
        info.depth_write("ANY")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)


def _texture(pixels: np.ndarray, kind: str) -> gpu.types.GPUTexture:  # [H, W] or [H, W, 4] float32
    data = gpu.types.Buffer("FLOAT", pixels.size, np.ascontiguousarray(pixels).ravel())
    return gpu.types.GPUTexture((pixels.shape[1], pixels.shape[0]), format=kind, data=data)
