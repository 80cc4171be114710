"""Vivant in Blender: one photo becomes a talking avatar in the scene. The compute runs in another process."""

from __future__ import annotations

from . import (
    backend_process,
    menu,
    motion_properties,
    pictures,
    preferences,
    preview,
    properties,
    render_properties,
    results,
    session,
)
from .operators import avatar as avatar_operators
from .operators import backend as backend_operators
from .operators import composite as composite_operators
from .operators import edit_fit as edit_fit_operators
from .operators import jobs as job_operators
from .operators import motion as motion_operators
from .operators import photo as photo_operators
from .operators import preview as preview_operators
from .operators import render as render_operators
from .operators import rig as rig_operators
from .panels import avatar as avatar_panel
from .panels import backend as backend_panel
from .panels import jobs as jobs_panel
from .panels import motion as motion_panel
from .panels import photo as photo_panel
from .panels import render as render_panel

bl_info = {  # read by Blender 3.4 alone; later ones read blender_manifest.toml
    "name": "Vivant",
    "description": "One photo becomes a talking whole-body avatar in your scene",
    "author": "Vivant developers",
    "version": (0, 1, 0),
    "blender": (3, 4, 0),
    "location": "3D View > Sidebar > Vivant",
    "category": "Animation",
}

MODULES = (
    preferences,
    pictures,
    properties,
    backend_process,
    session,
    results,
    backend_operators,
    photo_operators,
    avatar_operators,
    job_operators,
    motion_properties,
    rig_operators,
    motion_operators,
    edit_fit_operators,
    render_properties,
    preview,
    composite_operators,
    render_operators,
    preview_operators,
    backend_panel,
    photo_panel,
    avatar_panel,
    motion_panel,
    render_panel,
    jobs_panel,
    menu,
)
"""In the order of registration: properties before the operators and panels that show them."""


def register() -> None:
    """Called by Blender when the extension is enabled. Opens no socket and starts no process."""
    for module in MODULES:
        module.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled, and when it quits."""
    for module in reversed(MODULES):
        module.unregister()
