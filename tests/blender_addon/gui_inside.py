"""Runs inside the Blender under test: executes the code that the test leaves in a file, and answers in another one."""

import json
import os
import sys  # noqa: F401 (for questions)
import traceback
from pathlib import Path

import bpy

FOLDER = Path(os.environ["VIVANT_GUI_FOLDER"])
SCREEN_HEIGHT = int(os.environ["VIVANT_GUI_HEIGHT"])


def prepare():
    preferences = bpy.context.preferences
    preferences.view.show_splash = False
    preferences.system.viewport_aa = "OFF"
    bpy.ops.preferences.addon_enable(module="vivant")
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == "VIEW_3D":
            area.spaces.active.show_region_ui = True
            area.spaces.active.overlay.show_overlays = False  # they cost most of the time in software


def sidebar():
    """Left, top, width and height of the 3D View's sidebar in screen pixels from the top left."""
    return regions("VIEW_3D")["UI"]


def browser():
    """The same of the file browser's regions by their type; empty if none is open."""
    return regions("FILE_BROWSER")


def regions(kind):
    """The same of the regions of the newest area of this kind."""
    for window in reversed(bpy.context.window_manager.windows[:]):
        for area in window.screen.areas:
            if area.type == kind:
                return {region.type: on_screen(window, region) for region in area.regions}
    return {}


def on_screen(window, region):
    top = SCREEN_HEIGHT - window.y - region.y - region.height  # Blender counts from the bottom
    return [window.x + region.x, top, region.width, region.height]


def clipboard():
    """Take what has been copied."""
    manager = bpy.context.window_manager
    copied, manager.clipboard = manager.clipboard, ""
    return copied


def shading():
    """How the 3D View draws."""
    areas = bpy.context.window_manager.windows[0].screen.areas
    return next(area for area in areas if area.type == "VIEW_3D").spaces.active.shading


def tick():
    question = FOLDER / "question.py"
    if question.exists():
        code = question.read_text()
        question.unlink()
        write(answer_to(code))
    return 0.05


def answer_to(code):
    """The value of an expression, or None for statements."""
    try:
        try:
            compiled = compile(code, "question", "eval")
        except SyntaxError:
            exec(compile(code, "question", "exec"), globals())
            return {"value": None}
        return {"value": eval(compiled, globals())}
    except Exception:
        return {"error": traceback.format_exc()}


def write(answer):
    partial = FOLDER / "answer.partial"
    partial.write_text(json.dumps(answer, default=str))
    partial.replace(FOLDER / "answer.json")


prepare()
bpy.app.timers.register(tick, first_interval=0.5, persistent=True)
