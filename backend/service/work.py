"""Messages between the server and its worker processes: the wire's codec on a loopback socket with keys of its own.

Each travels as one part (`bundle.py`).

The server starts `python -m backend.service.worker --role ROLE --connect ENDPOINT`. The first line on the worker's
stdin is JSON: `identity` (its routing id), `server_key`, `public_key`, `secret_key` (Z85 text). After that the pipe
only stays open: its end means that the server is gone, and the worker ends too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from shared.wire import limits
from shared.wire.messages import (
    BuildOptions,
    Count,
    Id,
    MaybeSha256,
    Metres,
    Name,
    Names,
    Offset,
    PixelKind,
    Pixels,
    Seconds,
    Text,
)
from shared.wire.schema import Buffer, Choice, Length, Message, Range

Role = Annotated[str, Choice("build", "render")]


@dataclass(frozen=True)
class WorkReady(Message):
    """Worker's first message: it has imported what it needs."""

    kind: ClassVar[str] = "work.ready"
    role: Role
    pid: Count
    device: Name
    device_name: Name
    notes: Annotated[tuple[Text, ...], Length(limits.STATUS_NOTES)] = ()  # fallbacks said aloud


@dataclass(frozen=True)
class WorkJob(Message):
    """Register or build. Everything is written into `folder`; what is finished there already is not done again."""

    kind: ClassVar[str] = "work.job"
    BUFFERS: ClassVar[dict[str, Buffer]] = {
        "full_pose": Buffer("f4", (1, 165), optional=True),
        "transl": Buffer("f4", (1, 3), optional=True),
        "expression": Buffer("f4", (1, "E"), optional=True),
    }
    job: Id
    task: Annotated[str, Choice("register", "build")]
    folder: Text  # of the job: the worker writes <folder>/result/ and keeps checkpoints beside it
    photo: Text  # path of the uploaded asset
    registration: Text = ""  # path of a registration.npz to start from
    person: Annotated[int, Range(0, limits.PERSON)] = 0
    matte: Name = "auto"
    options: BuildOptions = BuildOptions()  # noqa: RUF009 (it is frozen)
    expression_names: Names = ()


@dataclass(frozen=True)
class WorkProgress(Message):
    """A step of the job is done."""

    kind: ClassVar[str] = "work.progress"
    BUFFERS: ClassVar[dict[str, Buffer]] = {"preview": Buffer("u1", ("H", "W", 3), optional=True)}
    job: Id
    stage: Name
    step: Count
    total: Count
    message: Text = ""


@dataclass(frozen=True)
class WorkDone(Message):
    """The job is finished and its files are whole."""

    kind: ClassVar[str] = "work.done"
    job: Id
    gaussians: Count = 0
    photo_psnr_db: float = -1.0
    body_sha256: MaybeSha256 = ""


@dataclass(frozen=True)
class WorkFailed(Message):
    """The job ended without a result; `code` as in docs/protocol.md, "cancelled" among them."""

    kind: ClassVar[str] = "work.failed"
    job: Id
    code: Name
    message: Text
    retryable: bool = False


@dataclass(frozen=True)
class WorkCancel(Message):
    """Stop the job at its next step."""

    kind: ClassVar[str] = "work.cancel"
    job: Id


@dataclass(frozen=True)
class WorkRender(Message):
    """Draw one frame into slot `slot` of the ring file."""

    kind: ClassVar[str] = "work.render"
    BUFFERS: ClassVar[dict[str, Buffer]] = {
        "full_pose": Buffer("f4", (1, 165)),
        "transl": Buffer("f4", (1, 3)),
        "expression": Buffer("f4", (1, "E")),
        "world_to_camera": Buffer("f4", (1, 4, 4)),
        "K": Buffer("f4", (1, 3, 3)),
    }
    request: Id
    avatar: Id
    folder: Text  # of the avatar
    width: Pixels
    height: Pixels
    pixels: PixelKind
    live: bool  # depth as u2 between near and far; else as f4
    ring: Text  # path of the ring file
    slot: Count
    expression_names: Names = ()


@dataclass(frozen=True)
class WorkFrame(Message):
    """The frame is in its slot: rgba, then depth, both of the box only, each starting on a multiple of 64 bytes."""

    kind: ClassVar[str] = "work.frame"
    request: Id
    x: Offset
    y: Offset
    box_width: Offset
    box_height: Offset
    near: Metres
    far: Metres
    render_ms: Seconds
    notes: Annotated[tuple[Text, ...], Length(limits.FRAME_NOTES)] = ()


@dataclass(frozen=True)
class WorkRefused(Message):
    """The frame could not be drawn, or the avatar not be opened."""

    kind: ClassVar[str] = "work.refused"
    request: Id  # or the avatar's
    code: Name
    message: Text


@dataclass(frozen=True)
class WorkOpen(Message):
    """Load an avatar; `rig.npz` and `texture.png` are made if its folder lacks them. Answered by `WorkMemory`."""

    kind: ClassVar[str] = "work.open"
    avatar: Id
    folder: Text


@dataclass(frozen=True)
class WorkClose(Message):
    """Forget an avatar, or all (empty id), and give the memory back. Answered by `WorkMemory`."""

    kind: ClassVar[str] = "work.close"
    avatar: str = ""


@dataclass(frozen=True)
class WorkMemory(Message):
    """What the worker holds: sent when it changes."""

    kind: ClassVar[str] = "work.memory"
    used: Count
    total: Count
    avatars: Annotated[tuple[Id, ...], Length(limits.OPEN_AVATARS)] = ()


@dataclass(frozen=True)
class WorkPing(Message):
    """Answered by `WorkPong`, whatever the main thread does: the process lives."""

    kind: ClassVar[str] = "work.ping"


@dataclass(frozen=True)
class WorkPong(Message):
    """Yes."""

    kind: ClassVar[str] = "work.pong"


@dataclass(frozen=True)
class WorkStop(Message):
    """End the process now."""

    kind: ClassVar[str] = "work.stop"
