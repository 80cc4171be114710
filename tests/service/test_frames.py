"""Frames from a real server whose workers draw plain grey. Numbers are rows of the fault table."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from shared.wire import calls, limits
from shared.wire.client import Client
from shared.wire.errors import WireError
from shared.wire.messages import (
    Frame,
    JobCancel,
    JobList,
    RenderCredit,
    RenderStop,
)
from tests.service.serving import (
    PHOTO,
    ROOT,
    drain,
    motion,
    render_frames,
    render_live,
    resident,
    state_of,
    until,
    until_state,
)


@pytest.fixture
def client(server):
    with server.connect() as connected:
        yield connected


def frames_in(client, seconds=0.0):
    return [came for came in drain(client, seconds) if isinstance(came.message, Frame)]


def test_final_frames_come_in_order_and_none_is_left_out(client, avatar):
    request = render_frames(avatar, first=-3, pixels="half")
    numbers, greys, depths = [], [], []
    for number, rgba, depth in calls.frames(client, request, motion(20)):
        numbers.append(number)
        greys.append(float(rgba[5, 5, 0]))
        depths.append(float(depth[5, 5]))
        assert not rgba[0].any()  # outside the box
    assert numbers == list(range(-3, 17)) and greys == depths == list(range(20))
    info = until_state(client, request.job, "finished")
    assert (info.task, info.step, info.total) == ("render", 20, 20)


def test_cameras_may_be_one_for_all_or_one_for_each_frame(client, avatar):
    assert len(list(calls.frames(client, render_frames(avatar, pixels="rgba8"), motion(3, cameras=3)))) == 3


def test_32_one_pixel_and_odd_sizes_come_whole(client, avatar):
    for size in ((1, 1), (63, 1), (17, 33)):
        ((_, rgba, depth),) = calls.frames(client, render_frames(avatar, size=size), motion())
        assert rgba.shape == (size[1], size[0], 4) and depth.shape == (size[1], size[0])


def test_frames_beyond_a_message_come_in_strips_and_are_put_together(client, avatar):
    size = (2600, 2400)
    assert size[0] * size[1] * 12 > limits.FRAME_PART_BYTES
    for number, rgba, depth in calls.frames(client, render_frames(avatar, size=size), motion(2, x=1.0)):
        assert (rgba[1:-1, 1:-1] == number + 1).all() and (depth[1:-1, 1:-1] == number + 1).all()


def test_live_depth_is_in_steps_between_near_and_far(client, avatar):
    rgba, depth = calls.live(client, render_live(avatar), motion(x=7))
    assert rgba.dtype == np.uint8 and rgba[5, 5, 3] == 7 and depth[5, 5] == pytest.approx(7)


def test_of_live_requests_the_newest_wins_and_the_replaced_are_not_answered(client, avatar):
    client.post(RenderCredit(2))
    request = render_live(avatar)
    for seq in range(1, 41):
        client.post(render_live(avatar, request.view, seq), motion(x=seq, delay=0.02))
    shown = []
    until(lambda: shown.extend(_consumed(client)) or (shown and shown[-1] == 40))
    assert shown == sorted(shown) and len(shown) < 40


def _consumed(client):
    """Sequence numbers of frames that came; their credit goes back."""
    found = [came.message.seq for came in frames_in(client)]
    for _ in found:
        client.post(RenderCredit(1))
    return found


def test_two_views_and_a_render_share_a_client(client, avatar):
    client.post(RenderCredit(3))
    views = [render_live(avatar), render_live(avatar)]
    request = render_frames(avatar)
    client.call(request, motion(10, delay=0.01))
    seen, numbers = set(), []
    seq = 0
    while len(numbers) < 10 or len(seen) < 2:
        seq += 1
        for view in views:
            client.post(render_live(avatar, view.view, seq), motion(delay=0.01))
        for came in frames_in(client, 0.02):
            client.post(RenderCredit(1))
            seen.add(came.message.view) if came.message.view else numbers.append(came.message.number)
    assert numbers == list(range(10)) and {view.view for view in views} <= seen
    for view in views:
        client.call(RenderStop(view.view))


def test_24_without_credit_nothing_comes_and_with_n_at_most_n(client, avatar):
    request = render_frames(avatar)
    client.call(request, motion(10))
    assert not frames_in(client, 0.3)
    client.post(RenderCredit(3))
    until(lambda: state_of(client, request.job).state == "running")
    assert [came.message.number for came in frames_in(client, 0.5)] == [0, 1, 2]
    client.call(JobCancel(request.job))


def test_24_a_client_that_takes_nothing_costs_no_memory_and_slows_nobody(server, avatar):
    size = (1000, 1000)
    with server.connect() as slow, server.connect() as fast:
        slow.call(render_frames(avatar, size=size), motion(400))
        slow.post(RenderCredit(limits.CREDIT))
        before = resident(server.process.pid)
        assert len(list(calls.frames(fast, render_frames(avatar, size=size), motion(20)))) == 20
        frame = size[0] * size[1] * 12
        bound = (2 * limits.CREDIT + 12) * frame  # what the sockets and two rings may hold, and some room
        assert resident(server.process.pid) - before < bound
        until(lambda: len(frames_in(slow, 0.2)) <= limits.CREDIT)
        slow.post(RenderCredit(1))  # and it is still served
        assert frames_in(slow, 2.0)


def test_23_frames_under_way_when_the_connection_broke_come_again(server, avatar):
    first = server.client()
    until(lambda: first.state == "ready")
    request = render_frames(avatar)
    first.call(request, motion(12))
    first.post(RenderCredit(4))
    came = []
    until(lambda: came.extend(frames_in(first)) or len(came) == 4)
    first.post(RenderCredit(2))  # two are consumed, the others lost
    until(lambda: state_of(first, request.job).step == 2)
    second = Client(server.connection(), session=first.session)
    until(lambda: second.state == "ready")
    second.post(RenderCredit(3))
    numbers = []
    while state_of(second, request.job).state != "finished":
        for came in frames_in(second, 0.05):
            numbers.append(came.message.number)
            second.post(RenderCredit(1))
    assert numbers == list(range(2, 12))
    second.close()
    first.close()


VANISHING = """
import sys, time
from pathlib import Path
from tests.service.serving import *
from shared.wire.messages import RenderCredit
serving = Serving(sys.argv[1])
client = serving.connect()
client.post(RenderCredit(16))
client.call(render_frames(sys.argv[2]), motion(5000, delay=0.01))
print("asked", flush=True)
time.sleep(100)
"""


def test_22_a_killed_client_leaves_no_drawing_behind(server, client, avatar):
    command = [sys.executable, "-c", VANISHING, str(server.data), avatar]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    render = next(info for info in client.call(JobList()).message.jobs if info.total == 5000)
    still = until(lambda: (step := state_of(client, render.job).step) == _later(client, render.job) and [step])
    assert still[0] <= limits.CREDIT
    client.call(JobCancel(render.job))


def _later(client, job):
    time.sleep(0.5)
    return state_of(client, job).step


def test_a_render_can_be_cancelled_and_the_next_one_runs(client, avatar):
    request = render_frames(avatar)
    client.call(request, motion(5000, delay=0.01))
    client.post(RenderCredit(3))
    until_state(client, request.job, "running")
    assert client.call(JobCancel(request.job)).message.info.state == "cancelled"
    drain(client, 0.1)
    client.post(RenderCredit(4))
    assert len(list(calls.frames(client, render_frames(avatar), motion(3)))) == 3


def test_12_a_worker_that_dies_over_a_live_frame_is_replaced_and_the_view_told(client, avatar):
    with pytest.raises(WireError) as told:
        calls.live(client, render_live(avatar), motion(fate=1.0))
    assert (told.value.code, told.value.retryable) == ("worker_died", True)
    assert calls.live(client, render_live(avatar), motion(x=3), timeout=30)[0][5, 5, 0] == 3


def test_12_a_worker_that_dies_over_a_final_frame_gets_one_more_try(client, avatar):
    request = render_frames(avatar)
    poses = motion(3)
    poses["transl"][1, 2] = 1.0
    with pytest.raises(WireError) as told:
        list(calls.frames(client, request, poses))
    assert told.value.code == "worker_died"
    assert state_of(client, request.job).state == "failed"


def test_27_a_render_asked_twice_runs_once(client, avatar):
    request = render_frames(avatar)
    client.call(request, motion(2))
    assert client.call(request, motion(2)).message.info.job == request.job
    with pytest.raises(WireError, match="belongs to another"):
        client.call(request, motion(3))
    client.call(JobCancel(request.job))


@pytest.mark.limits("WAITING_RENDERS")
def test_so_many_renders_may_wait_and_no_more(client, avatar):
    jobs = [render_frames(avatar) for _ in range(limits.WAITING_RENDERS)]
    for job in jobs:
        client.call(job, motion())
    with pytest.raises(WireError) as told:
        client.call(render_frames(avatar), motion())
    assert told.value.code == "busy"
    for job in jobs:
        client.call(JobCancel(job.job))


def test_31_numbers_that_cannot_be_are_refused_by_name(client, avatar):
    for name, value in (("full_pose", np.nan), ("transl", np.inf), ("K", 0.0), ("world_to_camera", 2.0)):
        poses = motion()
        poses[name] = np.full_like(poses[name], value)
        with pytest.raises(WireError) as told:
            client.call(render_frames(avatar), poses)
        assert (told.value.code, told.value.field) == ("out_of_range", name)


def cycle(server, avatar):
    """A client comes, uploads, looks at a frame, and goes."""
    with server.connect() as client:
        calls.upload(client, PHOTO)
        calls.live(client, render_live(avatar), motion())


@pytest.mark.parametrize("cycles", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_clients_that_come_and_go_leave_nothing_behind(server, avatar, cycles):
    def held():
        process = Path(f"/proc/{server.process.pid}")
        return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))

    def rings():
        return set(server.data.glob("ring-*"))

    others = rings()  # of clients that vanished in other tests
    for _ in range(3):
        cycle(server, avatar)
    until(lambda: rings() <= others)
    before, memory = held(), resident(server.process.pid)
    for _ in range(cycles):
        cycle(server, avatar)
    until(lambda: held() <= before)
    until(lambda: rings() <= others)
    assert resident(server.process.pid) - memory < 20_000_000
