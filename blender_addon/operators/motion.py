"""Motion onto the avatar and off it: files, the built-in talking, other armatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from .. import compat
from .._shared.errors import VivantError
from ..avatars import active_avatar
from .rig import needs_avatar

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

    from .._shared.motion import Motion

PLACES = (
    ("HERE", "Here", "Start where the avatar stands and faces now"),
    ("PHOTO", "As in Photo", "Start where the person stands in the photo, leaning as there"),
    ("WORLD", "From File", "Keep the motion's own place in the world"),
)


class _OntoAvatar(bpy.types.Operator):
    """Base of what keys a motion: where it starts, and what becomes of the keys there were."""

    start: IntProperty(name="Start Frame", description="Of the motion's first frame", default=1)
    place: EnumProperty(name="Place", items=PLACES)
    new_action: BoolProperty(
        name="New Action",
        description="Keep the avatar's present action in the file, instead of replacing it",
        default=True,
    )
    fit_range: BoolProperty(
        name="Set Scene Range", description="Start and end of the scene become those of the motion", default=True
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs an avatar in the scene."""
        return needs_avatar(cls, context)

    def key(self, context: bpy.types.Context, motion: Motion, name: str) -> tuple[str, ...]:
        """Key the motion onto the avatar; returns what there is to say about it."""
        from ..motion_in import apply_motion  # numpy is loaded by the first motion

        applied = apply_motion(
            context,
            active_avatar(context),
            motion,
            start=self.start,
            place=self.place,
            new_action=self.new_action,
            name=name,
        )
        if self.fit_range:
            context.scene.frame_start, context.scene.frame_end = applied.first, applied.last
        context.scene.frame_set(applied.first)
        return applied.notes


class LoadMotion(_OntoAvatar):
    """Load a motion file: AMASS, BEAT2 / EMAGE, other SMPL-X poses, or Vivant's own (.npz)"""

    bl_idname = "vivant.load_motion"
    bl_label = "Load Motion"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    fps: FloatProperty(
        name="Frame Rate", description="Of the recording; 0 takes what the file says", min=0, max=1000, default=0
    )
    up_axis: EnumProperty(
        name="Up",
        description="Which axis of the file points up",
        items=[
            ("AUTO", "As Recognised", "What the file says, or where most roots point"),
            ("y", "Y", ""),
            ("z", "Z", ""),
            ("-y", "-Y", "A camera's frame"),
        ],
    )
    hands: EnumProperty(
        name="Hands",
        description="What finger angles count from",
        items=[
            ("AUTO", "As Recognised", "What the file says, or what its kind does"),
            ("FLAT", "Flat Hand", "AMASS"),
            ("MEAN", "Mean Hand", "BEAT2 and EMAGE: the avatar's own mean hand is added"),
        ],
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Open the file browser; a file dropped into the viewport is loaded at once."""
        self.start = context.scene.frame_current
        if self.filepath:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Read, key, and tell what was assumed."""
        from .._shared.motion_files import Known, load_motion
        from ..rig import hand_mean

        path = Path(bpy.path.abspath(self.filepath))
        flat_hands = {"AUTO": None, "FLAT": True, "MEAN": False}[self.hands]
        known = Known(self.fps or None, None if self.up_axis == "AUTO" else self.up_axis, flat_hands)
        try:
            loaded = load_motion(path, hand_mean=hand_mean(active_avatar(context)), known=known)
            notes = loaded.notes + self.key(context, loaded.motion, path.stem)
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        context.scene.vivant_motion.notes = "\n".join(notes)
        self.report({"INFO"}, " ".join(notes))
        return {"FINISHED"}


class SaveMotion(bpy.types.Operator):
    """Save the avatar's motion over the scene's frame range as .npz: constraints, NLA and drivers baked in"""

    bl_idname = "vivant.save_motion"
    bl_label = "Save Motion"

    filepath: StringProperty(subtype="FILE_PATH")
    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    check_existing: BoolProperty(default=True, options={"HIDDEN"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs an avatar in the scene."""
        return needs_avatar(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Open the file browser with a name."""
        self.filepath = f"{bpy.path.clean_name(active_avatar(context).name)}.npz"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Read every frame and write the file."""
        from ..motion_out import save_motion

        path, scene = Path(bpy.path.abspath(self.filepath)).with_suffix(".npz"), context.scene
        try:
            motion = save_motion(context, active_avatar(context), path, scene.frame_start, scene.frame_end)
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"{len(motion)} frames written to {path}")
        return {"FINISHED"}


class Talk(_OntoAvatar):
    """Let the avatar talk: a made-up performance with gestures, gaze and a moving mouth"""

    bl_idname = "vivant.talk"
    bl_label = "Talk"
    bl_options = {"REGISTER", "UNDO"}

    seconds: FloatProperty(name="Seconds", min=0.1, max=3600, default=10)
    seed: IntProperty(name="Seed", description="Another number, another performance", min=0)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Make it up at the scene's rate and key it."""
        from .._shared.talking import talking_motion
        from ..pose import scene_fps

        try:
            motion = talking_motion(self.seconds, scene_fps(context.scene), self.seed)
            self.key(context, motion, "Talk")
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class BakeMotion(_OntoAvatar):
    """Take over the motion of another armature, over the scene's frame range"""

    bl_idname = "vivant.bake_motion"
    bl_label = "Bake Motion"
    bl_options = {"REGISTER", "UNDO"}

    place: EnumProperty(name="Place", items=PLACES, default="WORLD")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs an avatar and another armature."""
        if not needs_avatar(cls, context):
            return False
        if context.scene.vivant_motion.source in (None, active_avatar(context)):
            cls.poll_message_set("Choose the armature to take the motion from")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Recognise its bones, read every frame, key the avatar."""
        from .. import retarget

        choices, scene = context.scene.vivant_motion, context.scene
        self.start = scene.frame_start
        try:
            names = retarget.parse_map(choices.bone_map.as_string()) if choices.bone_map else None
            source = retarget.source_of(choices.source, names)
            frames = range(scene.frame_start, scene.frame_end + 1)
            motion = retarget.bake(context, source, active_avatar(context), frames)
            notes = self.key(context, motion, f"{choices.source.name} baked")
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        count = sum(bone is not None for bone in source.joints.bones)
        self.report({"INFO"}, " ".join([f"{source.kind} bones recognised: {count} of 55 joints.", *notes]))
        return {"FINISHED"}


class DismissNotes(bpy.types.Operator):
    """Hide what the newest motion file left open"""

    bl_idname = "vivant.dismiss_notes"
    bl_label = "Dismiss"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Forget them."""
        context.scene.vivant_motion.notes = ""
        return {"FINISHED"}


CLASSES: list[type] = [LoadMotion, SaveMotion, Talk, BakeMotion, DismissNotes]

if compat.V42:  # files can be dropped into the viewport

    class MotionFiles(bpy.types.FileHandler):
        """A motion file dropped into the 3D View is loaded onto the avatar."""

        bl_idname = "VIVANT_FH_motion"
        bl_label = "Vivant Motion"
        bl_import_operator = LoadMotion.bl_idname
        bl_file_extensions = ".npz"

        @classmethod
        def poll_drop(cls, context: bpy.types.Context) -> bool:
            """Only where an avatar can take it."""
            return context.area is not None and context.area.type == "VIEW_3D" and active_avatar(context) is not None

    CLASSES.append(MotionFiles)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
