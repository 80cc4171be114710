"""Jobs that only pretend: they go through stages and steps at a steady pace, and leave real files."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..rig import rig_bytes
from ..wire.codec import Buffers
from ..wire.errors import WireError
from ..wire.messages import FINAL_STATES, JobEvent, JobInfo, JobSubmit
from . import views
from .png import picture_size, png

STEP_S = 0.08
_SMALLEST = 64  # pixels; below, the mock finds nobody, so that one can see how an error looks
_PLANS = {
    "register": (("photo", 3), ("registration", 12), ("pictures", 3)),
    "build": (("photo", 3), ("registration", 12), ("training", 40), ("pictures", 6)),
}
_WORDS = {
    "photo": "Looking for the person",
    "registration": "Fitting the body",
    "training": "Training",
    "pictures": "Drawing pictures",
}

Files = dict[str, bytes]
Tell = Callable[[JobEvent, Buffers], None]


@dataclass
class Job:
    """What every job has: where it stands, and how it came there."""

    info: JobInfo
    history: list[JobInfo] = field(default_factory=list)
    log: str = ""

    def change(self, tell: Tell, preview: np.ndarray | None = None, **changes: Any) -> None:
        """Note what happened and tell it."""
        self.info = replace(self.info, **changes, last_event=self.info.last_event + 1)
        self.history.append(self.info)
        self.log += f"{self.info.state} {self.info.stage} {self.info.step}/{self.info.total} {self.info.message}\n"
        tell(JobEvent(self.info), {} if preview is None else {"preview": preview})

    def cancel(self, tell: Tell) -> None:
        """End it, unless it has ended."""
        if self.info.state not in FINAL_STATES:
            self.change(tell, state="cancelled", error_code="cancelled", error="You cancelled it.", retryable=True)


@dataclass(kw_only=True)
class PretendedJob(Job):
    """Register or build. `done` counts its steps over all stages."""

    submit: JobSubmit
    photo: bytes
    plan: tuple[tuple[str, int], ...]
    done: int = 0
    due: float = 0.0
    files: Files = field(default_factory=dict)

    @classmethod
    def new(cls, submit: JobSubmit, photo: bytes, now: float) -> PretendedJob:
        """Queued. A build that is given a registration does not look at the photo again."""
        plan = _PLANS[submit.task][2 if submit.task == "build" and submit.registration else 0 :]
        info = JobInfo(submit.job, submit.task, submit.name, "queued", now, total=sum(steps for _, steps in plan))
        return cls(info, submit=submit, photo=photo, plan=plan)

    def tick(self, now: float, pace: float, tell: Tell) -> None:
        """Make the next step if it is due."""
        if self.info.state == "queued":
            self.change(tell, state="running", error="", error_code="", retryable=False)
            self.due = now
        if self.info.state != "running" or now < self.due:
            return
        self.due = now + STEP_S * pace
        try:
            self._step(pace, tell)
        except WireError as error:
            self.change(tell, state="failed", error_code=error.code, error=error.message)

    def resume(self, tell: Tell) -> None:
        """Go on after the last step that was made. Raises `WireError` (conflict) where nothing is left to do."""
        if not self.info.retryable and self.info.state != "interrupted":
            raise WireError("conflict", f"The job is {self.info.state}; there is nothing to resume.")
        self.change(tell, state="queued")

    def _step(self, pace: float, tell: Tell) -> None:
        stage, step, steps = self._place()
        width, height = _size(self.photo)
        preview = None
        if stage == "registration" and step == steps - 1:
            preview = views.overlay(*_small(width, height))
        if stage == "training" and step % 5 == 4:
            preview = views.picture(*_small(width, height), turn=step / steps, done=(step + 1) / steps)
        if stage == "pictures":
            self.files |= {"photo.png": self.photo} | _file(step, width, height, self.info)
        self.done += 1
        left = (self.info.total - self.done) * STEP_S * pace
        message = f"{_WORDS[stage]} ({step + 1} of {steps})"
        self.change(tell, preview, stage=stage, step=self.done, eta_s=left, message=message)
        if self.done == self.info.total:
            self.change(tell, state="finished", message="Done")

    def _place(self) -> tuple[str, int, int]:
        ends = np.cumsum([steps for _, steps in self.plan])
        k = int(np.searchsorted(ends, self.done, side="right"))
        stage, steps = self.plan[k]
        return stage, self.done - int(ends[k]) + steps, steps


def _size(photo: bytes) -> tuple[int, int]:
    width, height = picture_size(photo)
    if min(width, height) < _SMALLEST:
        raise WireError("no_person", "Nobody was found in the photo. Choose one that shows a person from head to hips.")
    return width, height


def _small(width: int, height: int) -> tuple[int, int]:
    scale = 256 / max(width, height)
    return max(1, round(scale * width)), max(1, round(scale * height))


def _file(step: int, width: int, height: int, info: JobInfo) -> Files:
    """What one step of the last stage makes; the first three are a registration's."""
    large = [3 * size for size in _small(width, height)]
    makers: tuple[Callable[[], Files], ...] = (
        lambda: {"overlay.png": png(views.overlay(*large)), "registration.npz": views.judgement()},
        lambda: {"rig.npz": rig_bytes(views.rig(width, height))},
        lambda: {"texture.png": views.texture()},
        lambda: {"preview.png": png(views.picture(*large))},
        lambda: {"turn.png": png(views.turn_table(320))},
        lambda: {"report.html": _REPORT.format(name=html.escape(info.name)).encode()},
    )
    return makers[step]()


_REPORT = """<!doctype html><meta charset=utf-8><title>Mock</title>
<h1>{name}</h1><p>A mock made this; nothing was measured.
"""
