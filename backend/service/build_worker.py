"""The worker that registers and builds, one job after the other."""

from __future__ import annotations

from pathlib import Path

import torch

from backend.service.build_job import run
from backend.service.failures import failed
from backend.service.job_log import job_log
from backend.service.link import Link
from backend.service.machine import memory, ready, release
from backend.service.reporter import Reporter
from backend.service.work import WorkDone, WorkFailed, WorkJob, WorkMemory
from shared.wire.codec import Envelope


def build_worker(link: Link) -> None:
    """Do what comes over the link, for ever."""
    device, hello = ready("build")
    link.send(hello)
    for envelope in link.work():
        if isinstance(envelope.message, WorkJob):
            link.send(_outcome(envelope.message, envelope, link, device))
        release()
        link.send(WorkMemory(*memory(device)))


def _outcome(work: WorkJob, envelope: Envelope, link: Link, device: torch.device) -> WorkDone | WorkFailed:
    folder = Path(work.folder)
    with job_log(folder) as log:
        reporter = Reporter(work.job, link, log)
        try:
            return run(work, envelope.buffers, reporter)
        except Exception as error:  # whatever it is, the server must hear that the job has ended
            outcome = failed(work.job, folder, reporter.stage, error, device)
            log.error("%s: %s", outcome.code, outcome.message, exc_info=outcome.code == "internal")
            return outcome
