"""How much of Blender's main thread frames take: `python benchmarks/bench_blender_ui.py [--out FILE]` in one with bpy.

The backend is the stand-in, in a process of its own. Without a graphics card the viewport's part is measured on the
processor (llvmpipe), which is slower than any card.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import bench_blender as base

WIDTH, HEIGHT = 1920, 1080
FRAMES = 250
POLL_S = 0.1  # as the operator that renders does


def main() -> None:
    """Run everything, print one line per number."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, metavar="FILE", help="add the numbers to this JSON file, too")
    parser.add_argument("--serve", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, str(base.ROOT))
    if arguments.serve:
        serve(arguments.serve)
        return
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="vivant-bench-")
    rows = measured()
    for name, value in rows.items():
        print(f"{name:42} {value:.4g}" if isinstance(value, float) else f"{name:42} {value}")
    if arguments.out:
        base.keep(arguments.out, rows)
    sys.stdout.flush()
    os._exit(0)  # bpy 4.2 crashes and 4.5 hangs in the interpreter's own end


def serve(folder: Path) -> None:
    """A stand-in that draws one frame of a job and sends it again and again: faster than any renderer."""
    from shared.mock import MockServer, views

    draw, drawn = views.frame, []

    def frame(*request: Any) -> Any:
        if not drawn:
            drawn.append(draw(*request))
        return drawn[0]

    views.frame = frame
    server = MockServer(folder, pace=0)
    server.start()
    print(flush=True)
    server.wait()


def measured() -> dict[str, Any]:
    """Every number by name; the unit is its ending."""
    import bpy

    rows: dict[str, Any] = {
        "blender": bpy.app.version_string,
        "cpu": base.cpu_model(),
        "cores": os.cpu_count(),
        "load_before": base.load(),
    }
    base.enabled()
    folder = Path(tempfile.mkdtemp(prefix="vivant-bench-"))
    process = subprocess.Popen([sys.executable, __file__, "--serve", folder], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        scene_with_avatar(folder)
        rows |= pump_numbers() | viewport_numbers() | range_numbers(folder / "frames")
    finally:
        process.terminate()
    return rows


def scene_with_avatar(folder: Path) -> None:
    """Connect, build the stand-in's person, and put it before a camera of 1080p."""
    import bpy

    session, mirror, rig, connection = (
        base.part(name) for name in ("session", "mirror", "rig", "_shared.wire.connection")
    )
    session.connect(connection.load_connection(connection.connection_file(folder)))
    assert session.wait(session.is_ready, 20)
    job = submit_build(session.client())
    assert session.wait(lambda: mirror.job(job) is not None and mirror.job(job).state == "finished", 60)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    rig.create(bpy.context, base.part("_shared.mock.views").rig(64, 96), None, "Bench", job)
    base.add_camera()
    scene = bpy.context.scene
    scene.camera.location, scene.camera.rotation_euler = (0, -3.2, 0.9), (1.5708, 0, 0)
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT


def submit_build(client: Any) -> str:
    """Ask the stand-in for an avatar; the job's id."""
    import numpy as np

    calls, messages, png = (base.part(f"_shared.{name}") for name in ("wire.calls", "wire.messages", "mock.png"))
    photo = png.png(np.full((96, 64, 3), 128, np.uint8))
    job = str(uuid.uuid4())
    client.call(messages.JobSubmit(job, "build", calls.upload(client, photo)))
    return job


def pump_numbers() -> dict[str, float]:
    """A tick of the timer while frames are awaited and none has come."""
    session = base.part("session")
    session.listen("nothing", lambda envelope: None)
    rows = {"idle_tick_ms": base.median_ms(session._pump, 2000)}
    session.unlisten("nothing")
    return rows


def viewport_numbers() -> dict[str, float]:
    """A frame that covers the whole viewport, from the client's inbox until it is drawn."""
    import gpu
    import numpy as np
    from mathutils import Matrix

    start_gpu()
    session, shader, messages, codec, pixels = (
        base.part(name)
        for name in ("session", "preview_shader", "_shared.wire.messages", "_shared.wire.codec", "_shared.wire.pixels")
    )
    rng = np.random.default_rng(0)
    rgba = rng.integers(1, 255, (HEIGHT, WIDTH, 4), np.uint8)
    depth = pixels.depth_to_u2(rng.uniform(1, 9, (HEIGHT, WIDTH)).astype(np.float32), 1.0, 9.0)
    frame = codec.Envelope(
        messages.Frame(WIDTH, HEIGHT, 0, 0, view="bench", seq=1, near=1.0, far=9.0), {"rgba": rgba, "depth": depth}
    )
    offscreen = gpu.types.GPUOffScreen(WIDTH, HEIGHT, format="RGBA32F")
    arrived: list[Any] = []
    session.listen("bench", arrived.append)

    def take() -> None:
        session._now.client.inbox.put(frame)
        session._pump()

    with offscreen.bind():
        rows = {"take_frame_ms": base.median_ms(take, 50)}
        packed, shown = shader.pack(frame), [None]  # packing is a thread's work

        def upload() -> None:
            shown[0] = shader.upload(packed)

        rows["upload_frame_ms"] = base.median_ms(upload, 30)
        rows["draw_frame_ms"] = base.median_ms(lambda: shader.draw(shown, Matrix.Identity(4)), 30)
    session.unlisten("bench")
    return rows | {"frame_to_viewport_ms": sum(rows.values())}


def start_gpu() -> None:
    """Without a window, Blender opens it for a first render."""
    import bpy
    import gpu

    if bpy.app.version >= (5, 2, 0):
        gpu.init()
        return
    render = bpy.context.scene.render
    render.engine, render.resolution_percentage = "BLENDER_WORKBENCH", 2
    bpy.ops.render.render()
    render.resolution_percentage = 100


def range_numbers(folder: Path) -> dict[str, Any]:
    """A range of 1080p EXR frames, with the main thread doing what its timers would do, and nothing else."""
    import bpy

    session, operators = base.part("session"), base.part("operators.render")
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.vivant_render.folder = str(folder)
    start = time.perf_counter()
    run = operators.start(bpy.context)
    planned = time.perf_counter() - start
    busy, start, next_poll, on = 0.0, time.perf_counter(), 0.0, True
    ticks: list[float] = []
    while on:
        tick = base.seconds(session._pump)
        if time.perf_counter() > next_poll:
            polled, next_poll = time.perf_counter(), time.perf_counter() + POLL_S
            on = run.poll()
            tick += time.perf_counter() - polled
        ticks.append(tick)
        time.sleep(session.STREAMING_S)
    whole, busy = time.perf_counter() - start, sum(ticks)
    assert (run.state, run.rendered) == ("finished", FRAMES), run.error
    return {
        "range_frames": FRAMES,
        "range_plan_s": planned,
        "range_s": whole,
        "range_main_thread_ms_per_frame": 1000 * busy / FRAMES,
        "range_main_thread_busy": busy / whole,
        "range_longest_tick_ms": 1000 * max(ticks),
    }


if __name__ == "__main__":
    main()
