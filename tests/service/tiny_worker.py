"""The real worker program, but every photo shows the standing person, and its name may be what shall go wrong.

`TINY` names a folder with `observations.npz` and `fit.npz`.
"""

import os
import time
from pathlib import Path

import numpy as np
import torch

from backend import pipeline
from backend.body.model import BodyModel
from backend.checkpoint import load_observations
from backend.progress import Event
from backend.registration.files import load_registration
from backend.service.worker import main
from backend.training import train

PAUSE_S = 0.3
"""Of the stages that take no time here, so that they can be interrupted."""
HONEST_DRAFT, HONEST_LOSS = train.draft_avatar, train.photo_loss


def observe(photo, *, progress, **_):
    limit_files(None)
    train.draft_avatar, train.photo_loss = HONEST_DRAFT, HONEST_LOSS
    POISONS.get(photo.name, lambda: None)()
    progress(Event("photo", 0, 2))
    time.sleep(PAUSE_S)
    progress(Event("photo", 1, 2))
    return load_observations(Path(os.environ["TINY"]) / "observations.npz")


def register(observations, model, *, progress):
    progress(Event("registration", 0, 2))
    time.sleep(PAUSE_S)
    progress(Event("registration", 1, 2, picture=lambda: observations.rgb))
    return load_registration(Path(os.environ["TINY"]) / "fit.npz", BodyModel.load())


def loss_becomes_nan():
    calls = []

    def loss(*arguments):
        calls.append(0)
        return HONEST_LOSS(*arguments) * (np.nan if len(calls) == 3 else 1.0)

    train.photo_loss = loss


def memory_never_suffices():
    train.draft_avatar = lambda *_: np.empty(2**60, np.uint8)


def memory_never_suffices_to_torch():
    train.draft_avatar = lambda *_: torch.empty(2**60, dtype=torch.uint8)


def memory_suffices_for_half():
    def draft(observations, registration, model, texture, show_unseen):
        if texture > 64:
            np.empty(2**60, np.uint8)
        return HONEST_DRAFT(observations, registration, model, texture, show_unseen)

    train.draft_avatar = draft


CUDA_OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB."


def gpu_memory_never_suffices():
    def draft(*_):
        raise torch.cuda.OutOfMemoryError(CUDA_OUT_OF_MEMORY)

    train.draft_avatar = draft


def gpu_memory_suffices_for_half():
    def draft(observations, registration, model, texture, show_unseen):
        if texture > 64:
            raise torch.cuda.OutOfMemoryError(CUDA_OUT_OF_MEMORY)
        return HONEST_DRAFT(observations, registration, model, texture, show_unseen)

    train.draft_avatar = draft


def limit_files(size):
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft = resource.RLIM_INFINITY if size is None else size
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def a_stage_is_wrong():
    train.draft_avatar = lambda *_: {}["nothing"]


POISONS = {
    "loss_becomes_nan": loss_becomes_nan,
    "memory_never_suffices": memory_never_suffices,
    "memory_never_suffices_to_torch": memory_never_suffices_to_torch,
    "memory_suffices_for_half": memory_suffices_for_half,
    "gpu_memory_never_suffices": gpu_memory_never_suffices,
    "gpu_memory_suffices_for_half": gpu_memory_suffices_for_half,
    "files_stay_small": lambda: limit_files(300_000),
    "a_stage_is_wrong": a_stage_is_wrong,
}

if __name__ == "__main__":
    pipeline.observe, pipeline.register = observe, register
    main()
