"""What a build worker lets go of between two jobs, without a process of its own. The number is a fault row."""

import uuid
import weakref

import pytest
import torch

from backend.progress import Cancelled
from backend.service import build_worker
from backend.service.work import WorkDone, WorkFailed, WorkJob, WorkMemory
from shared.wire.codec import Envelope


class Link:
    """One job, and what is said of it."""

    def __init__(self, folder):
        self.folder, self.said = folder, []

    def work(self):
        yield Envelope(WorkJob(str(uuid.uuid4()), "build", str(self.folder), "photo"))

    def send(self, message):
        self.said.append(message)


@pytest.mark.parametrize("fate", [Cancelled, torch.cuda.OutOfMemoryError, None])
def test_row_20_what_a_job_held_is_free_before_the_memory_is_given_back(tmp_path, monkeypatch, fate):
    held, seen = [], []

    def run(work, buffers, progress):
        gaussians = torch.zeros(1000)  # on a GPU, `release` gives back what nothing refers to
        gaussians.kept = gaussians  # in a circle, as models are
        held.append(weakref.ref(gaussians))
        if fate:
            raise fate("CUDA out of memory.")  # made here: one made outside would keep this frame by its traceback
        return WorkDone(work.job)

    real = build_worker.release

    def release():
        real()
        seen.append(held[0]())

    monkeypatch.setattr(build_worker, "run", run)
    monkeypatch.setattr(build_worker, "release", release)
    link = Link(tmp_path)
    build_worker.build_worker(link)
    assert seen == [None]
    ended, memory = link.said[-2:]
    assert isinstance(ended, WorkFailed if fate else WorkDone) and isinstance(memory, WorkMemory)
