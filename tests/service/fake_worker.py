"""A worker without torch: the real way to talk, instead of work some files and grey pixels.

`options.steps` is the number of steps of its one slow stage, `options.size` the milliseconds of one, and
`options.seed` what goes wrong:
1 dies in its first try · 2 dies always · 3 hears neither a cancel nor SIGTERM · 4 hangs as a whole · 5 fails · 6 finds
the disk full
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np

from backend.service.link import Contact, Link
from backend.service.ring import Ring, aligned
from backend.service.work import (
    WorkClose,
    WorkDone,
    WorkFailed,
    WorkFrame,
    WorkJob,
    WorkMemory,
    WorkOpen,
    WorkProgress,
    WorkReady,
    WorkRefused,
    WorkRender,
)

STAGES = ("photo", "registration", "training")
DIES, DIES_ALWAYS, DEAF, HANGS, FAILS, DISK_FULL = range(1, 7)


def main():
    role, endpoint = sys.argv[2], sys.argv[4]
    link = Link(endpoint, Contact.read(sys.stdin))
    threading.Thread(target=end_with_server, daemon=True).start()
    link.send(WorkReady(role, os.getpid(), "cpu", "fake", ("This worker only pretends.",)))
    link.send(WorkMemory(1000, 8000))
    work = Builder(link) if role == "build" else Drawer(link)
    for envelope in link.work():
        work(envelope)


def end_with_server():
    while sys.stdin.readline():
        pass
    os._exit(0)


class Builder:
    def __init__(self, link):
        self.link = link

    def __call__(self, envelope):
        order = envelope.message
        if isinstance(order, WorkClose):
            self.link.send(WorkMemory(0, 8000))
        elif isinstance(order, WorkJob):
            self.link.send(self.built(order))

    def built(self, order):
        folder = Path(order.folder)
        with (folder / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"worker {os.getpid()} läuft\n")
        for stage in STAGES:
            done = folder / f"{stage}.done"
            if not done.exists():
                if outcome := self.stage(order, stage):
                    return outcome
                done.touch()
        write_result(folder / "result", order.task)
        return WorkDone(order.job, 1000, 30.0, "ab" * 32)

    def stage(self, order, stage):
        if order.options.seed == DEAF:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        total = order.options.steps if stage == "training" else 1
        for step in range(1, total + 1):
            if self.link.cancelled(order.job) and order.options.seed != DEAF:
                return WorkFailed(order.job, "cancelled", "Cancelled.", True)
            time.sleep(order.options.size / 1000 if stage == "training" else 0)
            picture = {"preview": np.full((4, 6, 3), step % 256, "u1")}
            self.link.send(WorkProgress(order.job, stage, step, total, f"step {step}"), picture)
            if stage == "training" and step == (total + 1) // 2 and (outcome := self.misfortune(order)):
                return outcome
        return None

    def misfortune(self, order):
        first_try = not (Path(order.folder) / "died").exists()
        seed = order.options.seed
        if seed == DIES_ALWAYS or (seed == DIES and first_try):
            (Path(order.folder) / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == HANGS and first_try:
            (Path(order.folder) / "died").touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        if seed == FAILS:
            return WorkFailed(order.job, "no_person", "Nobody was found in the photo. Take another one.")
        if seed == DISK_FULL:
            return WorkFailed(order.job, "disk_full", "Cannot write there. Free 5,000 bytes.", True)
        return None


def write_result(folder, task):
    folder.mkdir(exist_ok=True)
    (folder / "registration.npz").write_bytes(b"fit")
    (folder / "overlay.png").write_bytes(b"overlay" * 1000)
    if task == "build":
        write_avatar(folder)


def write_avatar(folder):
    """Enough of an avatar folder for whoever looks at its outside."""
    header = json.dumps({"face": {"dtype": "I32", "shape": [1000], "data_offsets": [0, 4000]}}).encode()
    (folder / "gaussians.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4000))
    (folder / "registration.npz").write_bytes(b"fit")
    (folder / "avatar.json").write_text(json.dumps({"schema": 1, "body_sha256": "ab" * 32, "photo_psnr_db": 30.0}))


class Drawer:
    def __init__(self, link):
        self.link, self.avatars, self.rings = link, [], {}

    def __call__(self, envelope):
        order = envelope.message
        if isinstance(order, WorkRender):
            self.link.send(self.drawn(order, envelope.buffers))
        elif isinstance(order, WorkOpen):
            self.link.send(self.opened(order))
        elif isinstance(order, WorkClose):
            self.avatars = [avatar for avatar in self.avatars if order.avatar not in ("", avatar)]
            self.link.send(WorkMemory(1000, 8000, tuple(self.avatars)))

    def opened(self, order):
        about = (Path(order.folder) / "avatar.json").read_text()
        if "hangs" in about:
            time.sleep(1000)
        if "bad" in about:
            return WorkRefused(order.avatar, "bad_avatar", "This is no avatar.")
        (Path(order.folder) / "rig.npz").write_bytes(b"rig")
        self.avatars.append(order.avatar)
        return WorkMemory(1000, 8000, tuple(self.avatars))

    def drawn(self, order, buffers):
        """The box is the whole picture but a border of one pixel; its grey is the x of `transl`."""
        if not Path(order.folder).exists():
            return WorkRefused(order.request, "bad_avatar", "Its folder is gone.")
        x, delay, fate = buffers["transl"][0]
        if fate == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(delay))
        if order.ring not in self.rings:
            self.rings[order.ring] = Ring.open(Path(order.ring))
        width, height = max(order.width - 2, 0), max(order.height - 2, 0)
        slot = self.rings[order.ring].slot(order.slot)
        rgba = np.frombuffer(slot, "u1" if order.pixels == "rgba8" else "<f2", 4 * width * height)
        rgba[:] = x
        depth = np.frombuffer(slot, "<u2" if order.live else "<f4", width * height, aligned(rgba.nbytes))
        depth[:] = x
        return WorkFrame(order.request, 1, 1, width, height, 0.0, 65535.0 if order.live else 0.0, 0.1)


if __name__ == "__main__":
    main()
