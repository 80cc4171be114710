"""Draw a rendered avatar into a viewport, hidden by what stands before it and hiding what stands behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

from ._shared.wire.codec import Envelope

_VERTEX = """
void main()
{
  uv = vec2(pos.x, 1.0 - pos.y); /* pictures begin at the top */
  gl_Position = vec4(mix(rect.xy, rect.zw, pos), 0.0, 1.0);
}
"""

# Blender's textures take floats alone. These two hold whole numbers of 24 bits, exact in float32: red, green and blue
# in the one, alpha and depth in the other; 8 bytes a pixel to convert and upload instead of 20.
# A viewport's handlers draw scene-linear colour; the frame's colour is display sRGB, premultiplied.
_FRAGMENT = """
vec4 texel(ivec2 p)
{
  p = clamp(p, ivec2(0), textureSize(colours, 0) - 1);
  float bgr = texelFetch(colours, p, 0).r;
  float alpha = floor(texelFetch(depths, p, 0).r / 65536.0);
  vec3 high = floor(bgr / vec3(1.0, 256.0, 65536.0));
  return vec4(high - 256.0 * vec3(high.yz, 0.0), alpha) / 255.0;
}

float depth_of(ivec2 p)
{
  p = clamp(p, ivec2(0), textureSize(depths, 0) - 1);
  return mod(texelFetch(depths, p, 0).r, 65536.0);
}

void main()
{
  vec2 place = uv * vec2(textureSize(colours, 0)) - 0.5;
  ivec2 p = ivec2(floor(place));
  vec2 f = place - floor(place);
  vec4 a = texel(p), b = texel(p + ivec2(1, 0)), c = texel(p + ivec2(0, 1)), d = texel(p + ivec2(1, 1));
  vec4 rgba = mix(mix(a, b, f.x), mix(c, d, f.x), f.y);
  if (rgba.a <= alphas.x || rgba.a > alphas.y) {
    discard;
  }
  float most = max(max(a.a, b.a), max(c.a, d.a)); /* where alpha is 0, depth means nothing */
  ivec2 seen = a.a == most ? p : b.a == most ? p + ivec2(1, 0) : c.a == most ? p + ivec2(0, 1) : p + ivec2(1, 1);
  ivec2 nearest = ivec2(floor(place + 0.5));
  float steps = depth_of(texel(nearest).a > 0.0 ? nearest : seen);
  vec4 clip = projection * vec4(0.0, 0.0, -(range.x + steps * (range.y - range.x) / 65535.0), 1.0);
  gl_FragDepth = (clip.z / clip.w) * 0.5 + 0.5;
  vec3 shown = rgba.rgb / rgba.a;
  vec3 linear = mix(shown / 12.92, pow((shown + 0.055) / 1.055, vec3(2.4)), step(0.04045, shown));
  result = vec4(linear * rgba.a, rgba.a);
}
"""

ANY, SOLID, SOFT = (0.0, 2.0), (0.998, 2.0), (0.0, 0.998)  # 254 of 255 is soft
"""Which pixels are drawn: alpha beyond the first and up to the second number."""

_types: Any = gpu.types  # the stubs know no arguments of its constructors
_drawer: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class Picture:
    """A frame on the GPU, and where it lies in the view."""

    colours: gpu.types.GPUTexture
    depths: gpu.types.GPUTexture
    rect: tuple[float, float, float, float]  # left, bottom, right, top in [-1, 1]
    range: tuple[float, float]  # nearest and farthest, metres


@dataclass(frozen=True)
class Packed:
    """A frame as the shader reads it, still in memory."""

    colours: np.ndarray  # [H, W] float32: red + 2**8 green + 2**16 blue
    depths: np.ndarray  # [H, W] float32: depth + 2**16 alpha
    rect: tuple[float, float, float, float]  # left, bottom, right, top in [-1, 1]
    range: tuple[float, float]  # nearest and farthest, metres


def pack(envelope: Envelope) -> Packed | None:
    """Ready a live frame for the GPU, in any thread; None if nothing of the avatar is in view."""
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
    return Packed(*_words(rgba, steps), rect, (frame.near, frame.far))


def _words(
    rgba: np.ndarray,  # [H, W, 4] u1
    steps: np.ndarray,  # [H, W] u2
) -> tuple[np.ndarray, np.ndarray]:  # `Packed.colours` and `Packed.depths`
    words = np.ascontiguousarray(rgba).view("<u4")[..., 0]
    high = words >> 8  # changed in place: new memory costs more than the arithmetic
    high &= 0xFF0000
    high |= steps
    return (words & 0xFFFFFF).astype(np.float32), high.astype(np.float32)


def upload(packed: Packed | None) -> Picture | None:
    """Bring a frame to the GPU, from within a drawing callback; None for nothing."""
    if packed is None:
        return None
    return Picture(_texture(packed.colours), _texture(packed.depths), packed.rect, packed.range)


def draw(pictures: Sequence[Picture], projection: Matrix) -> None:
    """Draw into the bound framebuffer, whose depth is that of the scene under the same `projection`.

    Of several avatars the depth of each pixel decides what is solid; soft edges, from far avatars to near ones, follow.
    """
    far_first = sorted(pictures, key=lambda picture: picture.range, reverse=True)
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.blend_set("ALPHA_PREMULT")
    for alphas in (SOLID, SOFT) if len(pictures) > 1 else (ANY,):
        gpu.state.depth_mask_set(alphas != SOFT)  # an edge must not hide the edge behind it
        for picture in far_first:
            _draw(picture, projection, alphas)
    gpu.state.blend_set("NONE")
    gpu.state.depth_mask_set(False)
    gpu.state.depth_test_set("NONE")


def _draw(picture: Picture, projection: Matrix, alphas: tuple[float, float]) -> None:
    shader, batch = _ready()
    shader.bind()
    shader.uniform_sampler("colours", picture.colours)
    shader.uniform_sampler("depths", picture.depths)
    shader.uniform_float("projection", projection)
    shader.uniform_float("rect", picture.rect)
    shader.uniform_float("range", picture.range)
    shader.uniform_float("alphas", alphas)
    batch.draw(shader)


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
    between = _types.GPUStageInterfaceInfo("vivant_preview")
    between.smooth("VEC2", "uv")
    info = _types.GPUShaderCreateInfo()
    info.vertex_in(0, "VEC2", "pos")
    info.vertex_out(between)
    info.sampler(0, "FLOAT_2D", "colours")
    info.sampler(1, "FLOAT_2D", "depths")
    info.push_constant("MAT4", "projection")
    info.push_constant("VEC4", "rect")
    info.push_constant("VEC2", "range")
    info.push_constant("VEC2", "alphas")
    info.fragment_out(0, "VEC4", "result")
    if hasattr(info, "depth_write"):  # from 4.5 on; before, OpenGL takes gl_FragDepth as it comes
        info.depth_write("ANY")
    info.vertex_source(_VERTEX)
    info.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(info)


def _texture(pixels: np.ndarray) -> gpu.types.GPUTexture:  # [H, W] float32
    data = _types.Buffer("FLOAT", pixels.size, pixels.ravel())
    return _types.GPUTexture((pixels.shape[1], pixels.shape[0]), format="R32F", data=data)
