"""What `vivant client` does: each action is a short conversation over `shared.wire.calls`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from backend.atomic import ensure_writable, written_whole
from backend.progress import Event, Progress
from backend.service.commands import ask, status_lines
from shared.errors import VivantError
from shared.wire import calls, pages
from shared.wire.client import Client
from shared.wire.codec import Buffers
from shared.wire.connection import connection_file, data_folder
from shared.wire.limits import ASSET_BYTES, AVATARS, IMPORT_S, MAJOR, WAITING_JOBS
from shared.wire.messages import (
    AvatarClose,
    AvatarDelete,
    AvatarImport,
    AvatarInfo,
    AvatarIs,
    AvatarOpen,
    AvatarRename,
    BuildOptions,
    Files,
    FilesList,
    JobCancel,
    JobForget,
    JobInfo,
    JobIs,
    JobLog,
    JobLogText,
    JobResume,
    JobSubmit,
    MemoryFree,
    ServerStop,
    Status,
    StatusGet,
)

OPTIONS = ("texture", "size", "steps", "seed", "show_unseen", "device")


def client(arguments: Namespace, progress: Progress) -> Iterator[object]:
    """Connect and do one action."""
    path = arguments.connection or connection_file(arguments.data or data_folder())
    with calls.connect(path, "vivant client") as connected:
        yield from _ACTIONS[arguments.action](connected, arguments, progress)


def _status(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    yield from status_lines(ask(client, StatusGet(), Status))
    yield f"protocol   {MAJOR}.{client.minor}"


def _free(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    return status_lines(ask(client, MemoryFree(), Status))


def _stop(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    client.call(ServerStop())
    return ["stopping"]


def _build(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    chosen = {name: value for name in OPTIONS if (value := getattr(arguments, name)) is not None}
    registration = _job_id(client, arguments.registration) if arguments.registration else ""
    if arguments.pose is not None and not registration:
        raise VivantError("--pose corrects a fit: name its job with --registration.")
    return _submit(client, arguments, progress, "build", registration, BuildOptions(**chosen), arguments.pose)


def _register(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    return _submit(client, arguments, progress, "register", "", BuildOptions())


def _submit(
    client: Client,
    arguments: Namespace,
    progress: Progress,
    task: str,
    registration: str,
    options: BuildOptions,
    pose: Path | None = None,
) -> Iterable[object]:
    corrected, names = ({}, ()) if pose is None else _posture(pose)
    job, photo = calls.new_id(), calls.upload(client, _read(arguments.photo))
    name = arguments.name or arguments.photo.stem
    submit = JobSubmit(job, task, photo, name, arguments.person, arguments.matte, registration, options, names)
    client.call(submit, corrected)
    if arguments.detach:
        return [job]
    return _followed(client, job, progress)


def _followed(client: Client, job: str, progress: Progress, since: int = 0) -> list[object]:
    """Wait for a job, showing its progress after event `since`. Ctrl-C leaves it running."""
    for event in calls.follow(client, job, since):
        info = event.info
        if info.state == "running" and info.total:
            progress(Event(info.stage, info.step, info.total, info.message))
        elif info.state != "running" and info.message:
            progress(Event(info.state, 1, 1, info.message))
    if info.state != "finished":
        raise VivantError(f"Job {job} {info.state}. {info.error}".strip())
    return [job]


def _jobs(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    infos = calls.jobs(client)
    _tell_if_cut(client, len(infos), WAITING_JOBS, progress)
    return map(_job_line, infos)


def _tell_if_cut(client: Client, count: int, most: int, progress: Progress) -> None:
    """Servers before 1.2 knew no second page."""
    if client.minor < pages.SINCE and count == most:
        progress(Event("list", 1, 1, f"This server lists no more than {most}. Update it to see the others."))


def _job_line(info: JobInfo) -> str:
    where = f"{info.stage} {info.step}/{info.total}" if info.total else ""
    columns = (
        info.job,
        _date(info.created),
        f"{info.task:<8}",
        f"{info.state:<11}",
        f"{where:<18}",
        info.name,
        info.error or info.message,
    )
    return "  ".join(columns).rstrip()


def _events(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    for event in calls.follow(client, _job_id(client, arguments.job), arguments.since):
        yield f"{event.info.last_event:>5}  {_job_line(event.info)}"


def _log(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    job, offset = _job_id(client, arguments.job), 0
    while (piece := ask(client, JobLog(job, offset), JobLogText)).text:
        yield piece.text.rstrip("\n")
        offset = piece.offset


def _cancel(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    return [_job_line(ask(client, JobCancel(_job_id(client, arguments.job)), JobIs).info)]


def _resume(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    # The frames of a render go to the program that asks for them.
    built = {info.job: "" for info in calls.jobs(client) if info.task != "render"}
    job = _found(arguments.job, built, "build or fit", "jobs")
    since = ask(client, JobResume(job), JobIs).info.last_event
    return _followed(client, job, progress, since)


def _forget(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    client.call(JobForget(_job_id(client, arguments.job)))
    return []


def _avatars(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    infos = calls.avatars(client)
    _tell_if_cut(client, len(infos), AVATARS, progress)
    return map(_avatar_line, infos)


def _avatar_line(info: AvatarInfo) -> str:
    state = "open" if info.open else ""
    return (
        f"{info.avatar}  {_date(info.created)}  {info.gaussians:>7} Gaussians  {info.size / 1e6:6.1f} MB  "
        f"{info.photo_psnr_db:5.1f} dB  {state:<4}  {info.name}"
    )


def _open(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    return [_avatar_line(ask(client, AvatarOpen(_avatar_id(client, arguments.avatar)), AvatarIs).info)]


def _close(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    return [_avatar_line(ask(client, AvatarClose(_avatar_id(client, arguments.avatar)), AvatarIs).info)]


def _rename(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    avatar = _avatar_id(client, arguments.avatar)
    return [_avatar_line(ask(client, AvatarRename(avatar, arguments.name), AvatarIs).info)]


def _delete(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    client.call(AvatarDelete(_avatar_id(client, arguments.avatar)))
    return []


def _import(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    folder = str(arguments.folder.resolve())
    request = AvatarImport(calls.new_id(), folder, arguments.name)
    return [_avatar_line(ask(client, request, AvatarIs, IMPORT_S).info)]


def _files(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    for file in ask(client, FilesList(_owner_id(client, arguments.owner)), Files).files:
        yield f"{file.sha256[:12]}  {file.size:>12,}  {file.name}"


def _get(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    out = arguments.out or Path(Path(arguments.name).name)
    ensure_writable(out.parent)
    owner = _owner_id(client, arguments.owner)
    data = calls.download(
        client, owner, arguments.name, lambda done, total: progress(Event("download", done, max(total, 1)))
    )
    with written_whole(out) as temporary:
        temporary.write_bytes(data)
    return [out]


def _render(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.service.playing import render_motion  # needs the readers and writers, which take a second to load

    avatar = _avatar_id(client, arguments.avatar)
    return [render_motion(client, avatar, arguments, progress)]


def _live(client: Client, arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.service.playing import live_rate

    return live_rate(client, _avatar_id(client, arguments.avatar), arguments.size, arguments.seconds)


_ACTIONS: dict[str, Callable[[Client, Namespace, Progress], Iterable[object]]] = {
    "status": _status,
    "build": _build,
    "register": _register,
    "jobs": _jobs,
    "events": _events,
    "log": _log,
    "cancel": _cancel,
    "resume": _resume,
    "forget": _forget,
    "avatars": _avatars,
    "open": _open,
    "close": _close,
    "rename": _rename,
    "delete": _delete,
    "import": _import,
    "files": _files,
    "get": _get,
    "render": _render,
    "live": _live,
    "free": _free,
    "stop": _stop,
}


def _read(photo: Path) -> bytes:
    try:
        size = photo.stat().st_size
        if size > ASSET_BYTES:
            raise VivantError(f"{photo} has {size >> 20} MiB; a photo may have {ASSET_BYTES >> 20}. Save it smaller.")
        return photo.read_bytes()
    except OSError as error:
        raise VivantError(f"Cannot read {photo}: {error.strerror}. Give the path of a photo.") from error


def _posture(path: Path) -> tuple[Buffers, tuple[str, ...]]:
    """Pose, place and expression of a registration, for `JobSubmit`, and the expression's names."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            rows = {name: archive[name].astype("<f4")[None] for name in ("full_pose", "transl", "expression")}
            return rows, tuple(map(str, archive["expression_names"]))
    except Exception as error:  # damaged bytes make zipfile, zlib and numpy's header parser raise anything
        raise VivantError(
            f"Cannot read the pose {path}: {error}. Give a registration.npz, as `vivant client get JOB` downloads it."
        ) from error


def _job_id(client: Client, wanted: str) -> str:
    return _found(wanted, {info.job: "" for info in calls.jobs(client)}, "job", "jobs")


def _avatar_id(client: Client, wanted: str) -> str:
    return _found(wanted, _avatar_names(client), "avatar", "avatars")


def _owner_id(client: Client, wanted: str) -> str:
    fits = {info.job: "" for info in calls.jobs(client) if info.task == "register"}
    return _found(wanted, {**fits, **_avatar_names(client)}, "avatar or fit", "avatars")


def _avatar_names(client: Client) -> dict[str, str]:
    """Id -> name."""
    return {info.avatar: info.name for info in calls.avatars(client)}


def _found(wanted: str, names: dict[str, str], what: str, command: str) -> str:
    """The one id of `names` (id -> name) that begins with `wanted`, or has that name."""
    fitting = [id_ for id_, name in names.items() if id_.startswith(wanted) or name == wanted]
    if len(fitting) != 1:
        found = "No" if not fitting else "More than one"
        listed = f"`vivant client {command}` lists them"
        raise VivantError(
            f"{found} {what} begins with {wanted!r} or is called so. {listed}; give the beginning of an id."
        )
    return fitting[0]


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
