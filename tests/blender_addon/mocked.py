"""A mock backend with an avatar on it, and that avatar in the scene: for tests of rendering and preview."""

import uuid
from contextlib import contextmanager

import bpy
import numpy as np


@contextmanager
def backend(folder):
    """A mock server that the extension is connected to."""
    from bl_ext.dev.vivant import session
    from bl_ext.dev.vivant._shared.mock import MockServer

    server = MockServer(folder, pace=0.0)
    session.connect(server.start())
    assert session.wait(session.is_ready, 20)
    try:
        yield server
    finally:
        session.disconnect()
        server.stop()


def built():
    """Build an avatar on the backend; its id."""
    import hashlib

    from bl_ext.dev.vivant import mirror, session
    from bl_ext.dev.vivant._shared.mock.png import png
    from bl_ext.dev.vivant._shared.wire import messages

    photo = png(np.full((96, 64, 3), 128, np.uint8))
    sha256, job = hashlib.sha256(photo).hexdigest(), str(uuid.uuid4())
    client = session.client()
    client.call(messages.AssetPut(sha256, len(photo)), {"data": np.frombuffer(photo, "u1")})
    client.call(messages.JobSubmit(job, "build", sha256))
    assert session.wait(lambda: mirror.job(job) is not None and mirror.job(job).state == "finished", 20)
    return job


def stream(avatar):
    """Ask for more frames than anybody waits for, and return when some have come."""
    from bl_ext.dev.vivant import session
    from bl_ext.dev.vivant._shared.wire import messages

    request, count, came = messages.RenderFrames(str(uuid.uuid4()), avatar, 640, 480), 5000, []
    poses = {
        "full_pose": np.zeros((count, 165), "f4"),
        "transl": np.zeros((count, 3), "f4"),
        "expression": np.zeros((count, 0), "f4"),
        "world_to_camera": np.eye(4, dtype="f4")[None],
        "K": np.array([[[600, 0, 320], [0, 600, 240], [0, 0, 1]]], "f4"),
    }
    session.listen(request.job, lambda frame: came.append(session.acknowledge()))
    session.client().call(request, poses)
    assert session.wait(lambda: len(came) > 3, 20)


def avatar_in_scene(avatar, name="Ada"):
    """An armature of this avatar, before the scene's camera."""
    from bl_ext.dev.vivant import rig
    from bl_ext.dev.vivant._shared.mock import views

    armature = rig.create(bpy.context, views.rig(64, 96), None, name, avatar)
    scene = bpy.context.scene
    if scene.camera is None:
        scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        scene.collection.objects.link(scene.camera)
        scene.camera.location, scene.camera.rotation_euler = (0, -3.5, 0.9), (np.pi / 2, 0, 0)
    return armature
