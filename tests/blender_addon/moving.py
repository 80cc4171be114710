"""What tests of motion share: keys in, evaluated poses out, comparing rotations, armatures of other programs."""

import numpy as np
from numpy.testing import assert_allclose

from shared.rotations import axis_angles_from_matrices, matrices_from_axis_angles
from shared.skeleton import PARENTS
from tests.blender_addon.people import joints


def key(armature, motion, start=1):
    import bpy
    from bl_ext.dev.vivant.motion_in import apply_motion

    return apply_motion(bpy.context, armature, motion, start=start, place="WORLD")


def read(armature, frames):
    import bpy
    from bl_ext.dev.vivant.pose import motion_of

    return motion_of(bpy.context, armature, frames)


def now(armature):
    import bpy
    from bl_ext.dev.vivant.pose import pose_of

    return pose_of(armature, bpy.context.evaluated_depsgraph_get())


def assert_same_pose(ours, theirs, atol=1e-4):
    """Compared as rotations, for an axis-angle of half a turn has two signs."""
    a, b = (matrices_from_axis_angles(np.reshape(pose, (-1, 3)).astype(np.float64)) for pose in (ours, theirs))
    angles = np.linalg.norm(axis_angles_from_matrices(np.swapaxes(a, -1, -2) @ b), axis=-1)
    assert angles.max() < atol


def assert_same_motion(ours, theirs):
    assert_same_pose(ours.full_pose, theirs.full_pose)
    assert_allclose(ours.transl, theirs.transl, atol=1e-5)
    assert ours.expression_names == theirs.expression_names
    assert_allclose(ours.expression, theirs.expression, atol=1e-6)


def foreign(name, bones, up="Z"):
    """An armature of bones that point at their children with odd rolls, as other programs make them."""
    import bpy
    from bl_ext.dev.vivant.conversion import points_to_blender

    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    bpy.context.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    heads = points_to_blender(joints()) if up == "Z" else joints()
    bpy.ops.object.mode_set(mode="EDIT")
    for joint, bone_name in enumerate(bones):
        bone = armature.data.edit_bones.new(bone_name)
        children = [child for child, parent in enumerate(PARENTS) if parent == joint]
        bone.head = heads[joint]
        bone.tail = heads[children[0]] if len(children) == 1 else heads[joint] + (0.01, 0.03, 0.05)
        bone.roll = 0.3 * joint
        bone.parent = armature.data.edit_bones[bones[PARENTS[joint]]] if PARENTS[joint] >= 0 else None
    bpy.ops.object.mode_set(mode="OBJECT")
    if up == "Y":
        armature.rotation_euler.x = np.pi / 2
    bpy.context.view_layer.update()
    return armature
