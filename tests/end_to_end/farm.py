"""Runs inside a Blender that knows nothing of us: render all frames of a file, as a farm does."""

import os
import sys

import bpy

bpy.ops.wm.read_factory_settings()
bpy.ops.wm.open_mainfile(filepath=sys.argv[-1])
assert not hasattr(bpy.types.Scene, "vivant")
bpy.ops.render.render(animation=True)
sys.stdout.flush()
os._exit(0)  # bpy 4.2 crashes and 4.5 hangs in the interpreter's own end
