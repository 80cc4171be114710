"""Every message, one dataclass each. Field types carry their limits; `BUFFERS` names the arrays that travel beside.

Direction and answers are told in docs/protocol.md. A field that may be missing has a default; adding one with a
default is a minor change, everything else a major one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from . import limits
from .errors import WireError
from .schema import Buffer, Choice, Hex, Length, Message, Range, Uuid
from .validation import Buffers, check_cameras, check_motion

Name = Annotated[str, Length(limits.NAME_CHARS)]
Text = Annotated[str, Length(limits.TEXT_CHARS)]
Id = Annotated[str, Uuid()]
MaybeId = Annotated[str, Uuid(or_empty=True)]
Sha256 = Annotated[str, Hex(64)]
MaybeSha256 = Annotated[str, Hex(64, or_empty=True)]
Count = Annotated[int, Range(0, limits.COUNT)]
Seconds = Annotated[float, Range(0.0, limits.SECONDS)]
Metres = Annotated[float, Range(0.0, limits.METRES)]
Pixels = Annotated[int, Range(1, limits.RENDER_SIZE)]
Offset = Annotated[int, Range(0, limits.RENDER_SIZE)]
Names = Annotated[tuple[Name, ...], Length(limits.EXPRESSIONS)]

Task = Annotated[str, Choice("register", "build", "render")]
State = Annotated[str, Choice("queued", "running", "interrupted", "finished", "failed", "cancelled")]
FINAL_STATES = ("finished", "failed", "cancelled")
PixelKind = Annotated[str, Choice("rgba8", "half")]
"""rgba8: premultiplied display-referred sRGB, bytes. half: premultiplied linear Rec.709, float16."""

_MOTION = {
    "full_pose": Buffer("f4", ("F", 165)),  # axis-angle, radians, as `Motion.full_pose`
    "transl": Buffer("f4", ("F", 3)),  # metres, world
    "expression": Buffer("f4", ("F", "E")),  # columns are `expression_names`
    "world_to_camera": Buffer("f4", ("C", 4, 4)),  # OpenCV axes; C is 1 or F
    "K": Buffer("f4", ("C", 3, 3)),  # pixels of width x height
}


# Session


@dataclass(frozen=True)
class Hello(Message):
    """First message on the control socket. Answered by `Welcome`."""

    kind: ClassVar[str] = "hello"
    session: Id  # one client window, over reconnects
    major: Annotated[int, Range(0, limits.VERSION)] = limits.MAJOR
    minor: Annotated[int, Range(0, limits.VERSION)] = limits.MINOR
    features: Names = ()
    program: Name = ""  # for people: "Blender 4.5.15"
    token: Name = ""  # of the connection file, only where libzmq has no CURVE


@dataclass(frozen=True)
class Welcome(Message):
    """The session stands."""

    kind: ClassVar[str] = "welcome"
    boot: Id  # another one means that the server was restarted: list everything again
    ticket: Id  # joins the frames socket to this session
    minor: Annotated[int, Range(0, limits.VERSION)] = limits.MINOR  # the lower of both; of servers before 1.2, theirs
    features: Names = ()
    version: Name = ""  # of the package
    mock: bool = False
    loopback: bool = True  # the server's files lie on this computer: `AvatarImport` works
    mapped: Text = ""  # path of the file whose reader may have frames in mapped memory; empty: not offered


@dataclass(frozen=True)
class Join(Message):
    """First message on the frames socket. Answered by `Ok` there."""

    kind: ClassVar[str] = "join"
    session: Id
    ticket: Id
    proof: MaybeSha256 = ""  # that the client has read `Welcome.mapped`; empty: frames shall come in messages


@dataclass(frozen=True)
class Error(Message):
    """What went wrong and what to do next. `code` is for programs: see `errors.CODES`."""

    kind: ClassVar[str] = "error"
    code: Name
    message: Text
    field: Name = ""
    retryable: bool = False


@dataclass(frozen=True)
class Ok(Message):
    """Done, nothing to tell."""

    kind: ClassVar[str] = "ok"


@dataclass(frozen=True)
class Ping(Message):
    """Are you there? Answered by `Pong`."""

    kind: ClassVar[str] = "ping"


@dataclass(frozen=True)
class Pong(Message):
    """Yes."""

    kind: ClassVar[str] = "pong"


@dataclass(frozen=True)
class Bye(Message):
    """The client leaves for good: forget its session. Answered by `Ok`. Its jobs go on."""

    kind: ClassVar[str] = "bye"


# Files


@dataclass(frozen=True)
class AssetPut(Message):
    """A chunk of an upload; an empty one asks how far it got. Answered by `AssetHave`."""

    kind: ClassVar[str] = "asset.put"
    BUFFERS: ClassVar[dict[str, Buffer]] = {"data": Buffer("u1", ("N",), optional=True)}
    sha256: Sha256
    total: Annotated[int, Range(1, limits.ASSET_BYTES)]
    offset: Count = 0

    def check(self, buffers: Buffers) -> None:
        """The chunk must not be too long, nor reach beyond the asset."""
        _check_chunk(buffers, self.offset, self.total)


@dataclass(frozen=True)
class AssetHave(Message):
    """How many bytes of the asset the server holds; all of them, and their hash is right, if `offset` is the total."""

    kind: ClassVar[str] = "asset.have"
    sha256: Sha256
    offset: Count


@dataclass(frozen=True)
class FilesList(Message):
    """What files belong to an avatar, or to a finished register job. Answered by `Files`."""

    kind: ClassVar[str] = "files.list"
    owner: Id


@dataclass(frozen=True)
class FileInfo:
    """One downloadable file."""

    name: Name  # overlay.png, preview.png, turn.png, report.html, registration.npz, rig.npz, texture.png, ...
    sha256: Sha256
    size: Count


@dataclass(frozen=True)
class Files(Message):
    """The files, for `FileGet`."""

    kind: ClassVar[str] = "files"
    files: Annotated[tuple[FileInfo, ...], Length(limits.FILES)] = ()


@dataclass(frozen=True)
class FileGet(Message):
    """Read a file from `offset` on. Answered by `FileChunk`."""

    kind: ClassVar[str] = "file.get"
    owner: Id
    name: Name
    offset: Count = 0


@dataclass(frozen=True)
class FileChunk(Message):
    """At most `limits.CHUNK_BYTES` of the file."""

    kind: ClassVar[str] = "file.chunk"
    BUFFERS: ClassVar[dict[str, Buffer]] = {"data": Buffer("u1", ("N",))}
    sha256: Sha256  # of the whole file
    total: Count
    offset: Count

    def check(self, buffers: Buffers) -> None:
        """The chunk must not be too long, nor reach beyond the file."""
        _check_chunk(buffers, self.offset, self.total)


# Jobs


@dataclass(frozen=True)
class BuildOptions:
    """How a photo becomes an avatar; the command line's options of the same names."""

    texture: Annotated[int, Choice(128, 256, 512)] = 512
    size: Annotated[int, Range(*limits.BUILD_SIZE)] = 1024
    steps: Annotated[int, Range(1, limits.BUILD_STEPS)] = 150
    seed: Annotated[int, Range(0, limits.SEED)] = 0
    show_unseen: bool = False
    device: Annotated[str, Choice("auto", "cpu", "cuda")] = "auto"


@dataclass(frozen=True)
class JobSubmit(Message):
    """Register or build. The same `job` again gives the same answer. Answered by `JobIs`.

    A finished build's avatar has the job's id, so has a finished register job's registration. With `registration` (a
    finished register job of the same photo) that fit is used. With the buffers the fit keeps this pose instead of its
    own (the user corrected it over the photo), and only the clothed surface is found anew.
    """

    kind: ClassVar[str] = "job.submit"
    BUFFERS: ClassVar[dict[str, Buffer]] = {
        "full_pose": Buffer("f4", (1, 165), optional=True),
        "transl": Buffer("f4", (1, 3), optional=True),
        "expression": Buffer("f4", (1, "E"), optional=True),
    }
    job: Id
    task: Annotated[str, Choice("register", "build")]
    photo: Sha256
    name: Name = ""
    person: Annotated[int, Range(0, limits.PERSON)] = 0  # counted from the left; 0: the largest and most central
    matte: Annotated[str, Choice("auto", "photo", "rembg", "mediapipe")] = "auto"
    registration: MaybeId = ""
    options: BuildOptions = BuildOptions()
    expression_names: Names = ()

    def check(self, buffers: Buffers) -> None:
        """A corrected pose comes whole, and with the registration that it corrects."""
        if buffers and not {"full_pose", "transl"} <= buffers.keys():
            raise WireError("out_of_range", "A corrected pose needs full_pose and transl.", "full_pose")
        if buffers and not self.registration:
            raise WireError("out_of_range", "A corrected pose needs the registration it corrects.", "registration")
        check_motion(buffers, self.expression_names)


@dataclass(frozen=True)
class JobInfo:
    """Where a job stands."""

    job: Id
    task: Task
    name: Name
    state: State
    created: Seconds  # since the epoch
    last_event: Count = 0  # number of its newest event
    stage: Name = ""
    step: Count = 0
    total: Count = 0
    eta_s: Annotated[float, Range(-1.0, limits.ETA_S)] = -1.0  # -1: not known
    message: Text = ""  # the newest words of its progress
    error_code: Name = ""
    error: Text = ""  # what went wrong and what to do next
    retryable: bool = False  # `JobResume` goes on from the last finished stage


@dataclass(frozen=True)
class JobIs(Message):
    """Where the job stands now: the answer to submit, cancel and resume."""

    kind: ClassVar[str] = "job.is"
    info: JobInfo


@dataclass(frozen=True)
class JobCancel(Message):
    """Stop a job. Answered at once by `JobIs`; effective within 5 s. A final job stays as it is."""

    kind: ClassVar[str] = "job.cancel"
    job: Id


@dataclass(frozen=True)
class JobResume(Message):
    """Go on with an interrupted, failed (retryable) or cancelled job. Answered by `JobIs`.

    Of a render the frames behind the first `done` come to who resumes it.
    """

    kind: ClassVar[str] = "job.resume"
    job: Id
    done: Annotated[int, Range(0, limits.JOB_FRAMES)] = 0  # frames that were consumed


@dataclass(frozen=True)
class JobForget(Message):
    """Drop a job in a final state from the list: its avatar stays, its log and its fit go. Answered by `Ok`."""

    kind: ClassVar[str] = "job.forget"
    job: Id


@dataclass(frozen=True)
class JobList(Message):
    """The jobs of this owner: those that are not done, then the others, newest first. Answered by `Jobs`."""

    kind: ClassVar[str] = "job.list"
    after: MaybeId = ""  # the page behind this job; empty: the first one


@dataclass(frozen=True)
class Jobs(Message):
    """A page of jobs; only as many as fit one header."""

    kind: ClassVar[str] = "jobs"
    jobs: Annotated[tuple[JobInfo, ...], Length(limits.WAITING_JOBS)] = ()
    next: MaybeId = ""  # `JobList.after` of the next page; empty: this is the last one


@dataclass(frozen=True)
class JobEvents(Message):
    """Send again what happened after event `since`: `JobEvent`s in order, then `Ok`."""

    kind: ClassVar[str] = "job.events"
    job: Id
    since: Count = 0


@dataclass(frozen=True)
class JobEvent(Message):
    """Something happened to a job; `info.last_event` counts 1, 2, 3 per job without gap."""

    kind: ClassVar[str] = "job.event"
    BUFFERS: ClassVar[dict[str, Buffer]] = {"preview": Buffer("u1", ("H", "W", 3), optional=True)}  # sRGB, small
    info: JobInfo

    def check(self, buffers: Buffers) -> None:
        """A preview is small."""
        if "preview" in buffers and buffers["preview"].size > 3 * limits.PREVIEW_PIXELS:
            raise WireError("too_large", f"A preview may have {limits.PREVIEW_PIXELS} pixels.", "preview")


@dataclass(frozen=True)
class JobLog(Message):
    """The job's log from byte `offset` on. Answered by `JobLogText`."""

    kind: ClassVar[str] = "job.log"
    job: Id
    offset: Count = 0


@dataclass(frozen=True)
class JobLogText(Message):
    """At most `limits.LOG_BYTES` of the log."""

    kind: ClassVar[str] = "job.log.text"
    text: Annotated[str, Length(limits.LOG_BYTES)]
    offset: Count  # of the byte after this text
    path: Text = ""  # on the server's computer


# Avatars


@dataclass(frozen=True)
class AvatarList(Message):
    """The avatars of this owner, newest first. Answered by `Avatars`."""

    kind: ClassVar[str] = "avatar.list"
    after: MaybeId = ""  # the page behind this avatar; empty: the first one


@dataclass(frozen=True)
class AvatarInfo:
    """One avatar."""

    avatar: Id
    name: Name
    created: Seconds  # since the epoch
    gaussians: Count = 0
    photo_psnr_db: Annotated[float, Range(-1.0, limits.PSNR_DB)] = -1.0
    body_sha256: MaybeSha256 = ""
    size: Count = 0  # bytes on disk
    open: bool = False  # in the render worker's memory


@dataclass(frozen=True)
class Avatars(Message):
    """A page of avatars; only as many as fit one header."""

    kind: ClassVar[str] = "avatars"
    avatars: Annotated[tuple[AvatarInfo, ...], Length(limits.AVATARS)] = ()
    next: MaybeId = ""  # `AvatarList.after` of the next page; empty: this is the last one


@dataclass(frozen=True)
class AvatarIs(Message):
    """The avatar as it stands now: the answer to import, open, close and rename."""

    kind: ClassVar[str] = "avatar.is"
    info: AvatarInfo


@dataclass(frozen=True)
class AvatarOpen(Message):
    """Load it, so that the first frame comes fast. Rendering opens by itself. Answered by `AvatarIs`."""

    kind: ClassVar[str] = "avatar.open"
    avatar: Id


@dataclass(frozen=True)
class AvatarClose(Message):
    """Free what it takes in memory. Answered by `AvatarIs`."""

    kind: ClassVar[str] = "avatar.close"
    avatar: Id


@dataclass(frozen=True)
class AvatarRename(Message):
    """Names are labels, never paths. Answered by `AvatarIs`."""

    kind: ClassVar[str] = "avatar.rename"
    avatar: Id
    name: Annotated[str, Length(limits.NAME_CHARS, at_least=1)]


@dataclass(frozen=True)
class AvatarDelete(Message):
    """Remove it from the disk. Answered by `Ok`."""

    kind: ClassVar[str] = "avatar.delete"
    avatar: Id


@dataclass(frozen=True)
class AvatarImport(Message):
    """Adopt (copy) an avatar folder that the command line built; same computer only. Answered by `AvatarIs`."""

    kind: ClassVar[str] = "avatar.import"
    avatar: Id
    folder: Text
    name: Name = ""


# Frames


@dataclass(frozen=True)
class RenderLive(Message):
    """One frame as soon as possible; a newer request of the same `view` replaces it. No answer but the `Frame`."""

    kind: ClassVar[str] = "render.live"
    BUFFERS: ClassVar[dict[str, Buffer]] = _MOTION
    view: Id
    seq: Count
    avatar: Id
    width: Pixels
    height: Pixels
    expression_names: Names = ()
    consumed: Annotated[int, Range(0, limits.CREDIT)] = 0  # frames: a `RenderCredit` of so many that comes just before

    def check(self, buffers: Buffers) -> None:
        """One pose, one camera, and numbers that can be."""
        if len(buffers["full_pose"]) != 1:
            raise WireError("out_of_range", "A live frame has one pose.", "full_pose")
        check_motion(buffers, self.expression_names)
        check_cameras(buffers)


@dataclass(frozen=True)
class RenderStop(Message):
    """Nothing more for this view. Answered by `Ok`."""

    kind: ClassVar[str] = "render.stop"
    view: Id


@dataclass(frozen=True)
class RenderFrames(Message):
    """Frames in order, none left out, as a job: `JobEvent`s on control, `Frame`s by credit. Answered by `JobIs`.

    The F rows of the buffers are numbered from `first` in the frames sent back.
    """

    kind: ClassVar[str] = "render.frames"
    BUFFERS: ClassVar[dict[str, Buffer]] = _MOTION
    job: Id
    avatar: Id
    width: Pixels
    height: Pixels
    first: Annotated[int, Range(-limits.FRAME_NUMBER - 1, limits.FRAME_NUMBER)] = 0
    pixels: PixelKind = "half"
    expression_names: Names = ()
    name: Name = ""

    def check(self, buffers: Buffers) -> None:
        """As many cameras as poses, or one, and numbers that can be."""
        check_motion(buffers, self.expression_names)
        check_cameras(buffers)


@dataclass(frozen=True)
class RenderCredit(Message):
    """The client can take `frames` more frames. No answer.

    The first one after `Welcome` opens the stream (a new `Hello` takes all credit back); after that one is returned for
    each frame consumed, which acknowledges the oldest frame under way. What a `RenderFrames` job sent without being
    acknowledged is sent again after a reconnect, so a client may see a number twice.
    """

    kind: ClassVar[str] = "render.credit"
    frames: Annotated[int, Range(1, limits.CREDIT)]


@dataclass(frozen=True)
class Frame(Message):
    """A frame, or one strip of it, cut to the avatar's box; outside the box alpha is 0. Each strip tells its own place.

    `depth` of a live frame: metres = near + value (far - near) / 65535. Of a final one: metres. Undefined where alpha
    is 0. Exactly one of `view` and `job` is set.
    """

    kind: ClassVar[str] = "frame"
    BUFFERS: ClassVar[dict[str, Buffer]] = {
        "rgba": Buffer("u1|f2", ("H", "W", 4)),
        "depth": Buffer("u2|f4", ("H", "W")),
    }
    width: Pixels
    height: Pixels
    x: Offset  # of the first pixel sent
    y: Offset
    view: MaybeId = ""
    seq: Count = 0
    job: MaybeId = ""
    number: Annotated[int, Range(-limits.FRAME_NUMBER - 1, limits.FRAME_NUMBER)] = 0
    near: Metres = 0.0
    far: Metres = 0.0
    strip: Annotated[int, Range(0, limits.STRIPS)] = 0
    strips: Annotated[int, Range(1, limits.STRIPS)] = 1
    render_ms: Seconds = 0.0
    notes: Annotated[tuple[Text, ...], Length(limits.FRAME_NOTES)] = ()  # e.g. expressions that this body does not have

    def check(self, buffers: Buffers) -> None:
        """The pixels lie inside the picture."""
        height, width = buffers["depth"].shape
        if self.x + width > self.width or self.y + height > self.height:
            raise WireError("out_of_range", "The box reaches beyond the picture.", "rgba")
        if self.strip >= self.strips:
            raise WireError("out_of_range", "There is no such strip.", "strip")
        if self.near > self.far:
            raise WireError("out_of_range", "near lies beyond far.", "near")
        if bool(self.view) == bool(self.job):
            raise WireError("out_of_range", "A frame belongs to a view or to a job.", "view")


@dataclass(frozen=True)
class FrameCopied(Message):
    """The pixels of a frame are copied out of mapped memory: their slot may be used again. No answer."""

    kind: ClassVar[str] = "frame.copied"
    frame: Id  # id of its message


# Server


@dataclass(frozen=True)
class StatusGet(Message):
    """How is the server? Answered by `Status`."""

    kind: ClassVar[str] = "status.get"


@dataclass(frozen=True)
class Status(Message):
    """Device, memory, queue."""

    kind: ClassVar[str] = "status"
    version: Name
    device: Name  # "cpu" or "cuda"
    device_name: Name
    memory_used: Count  # bytes that the workers hold, on the GPU if they use one
    memory_total: Count
    uptime_s: Seconds
    running: Annotated[int, Range(0, limits.TOLD)] = 0  # jobs
    queued: Annotated[int, Range(0, limits.TOLD)] = 0
    open_avatars: Annotated[int, Range(0, limits.TOLD)] = 0
    clients: Annotated[int, Range(0, limits.CLIENTS)] = 0
    mapped: Annotated[int, Range(0, limits.CLIENTS)] = 0  # of the clients, those with frames in mapped memory
    data_folder: Text = ""
    notes: Annotated[tuple[Text, ...], Length(limits.STATUS_NOTES)] = ()  # fallbacks said aloud


@dataclass(frozen=True)
class MemoryFree(Message):
    """Unload avatars and models now. Answered by `Status`."""

    kind: ClassVar[str] = "memory.free"


@dataclass(frozen=True)
class ServerStop(Message):
    """End the server; same computer only. Running jobs can be resumed. Answered by `Ok`."""

    kind: ClassVar[str] = "server.stop"


def _check_chunk(buffers: Buffers, offset: int, total: int) -> None:
    size = len(buffers["data"]) if "data" in buffers else 0
    if size > limits.CHUNK_BYTES:
        raise WireError("too_large", f"A chunk may have {limits.CHUNK_BYTES} bytes.", "data")
    if offset + size > total:
        raise WireError("out_of_range", "The chunk reaches beyond the end.", "offset")
