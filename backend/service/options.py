"""The command line of the service: `vivant serve`, `vivant keys`, `vivant client`. Names and flags, nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from shared.wire import limits

PORT = 47830
"""Of the control socket where remote clients are let in, if nobody says otherwise; frames take the next one."""

Commands = argparse._SubParsersAction


def add_serve(commands: Commands) -> None:
    """`vivant serve`."""
    serve = commands.add_parser(
        "serve",
        help="run the backend that Blender talks to",
        description="Run the backend service. When clients may come, one line of JSON is printed; Ctrl-C ends it. Jobs "
        "and avatars stay in the data folder. Clients on this computer find the server by themselves; other computers "
        "need a key (`vivant keys new`).",
    )
    serve.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS", help="of this computer; default: %(default)s")
    serve.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help=f"control socket; frames take the next; default: any that are free, with --bind {PORT}",
    )
    _data_option(serve)
    serve.add_argument(
        "--until-eof", action="store_true", help="end with the program that holds standard input, even if it crashes"
    )
    what = serve.add_mutually_exclusive_group()
    what.add_argument("--mock", action="store_true", help="only pretend: no photo is looked at, a figure is drawn")
    what.add_argument("--status", action="store_true", help="say how the running server is")
    what.add_argument("--stop", action="store_true", help="end the running server; its jobs can be resumed")


def add_keys(commands: Commands) -> None:
    """`vivant keys`."""
    keys = commands.add_parser(
        "keys",
        help="say which other computers may use the server",
        description="Keys of clients on other computers. A running server follows changes within a second.",
    )
    actions = keys.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a key pair, let it in, and write the file that its client needs")
    new.add_argument("name", metavar="NAME", help="whose key it is")
    new.add_argument("--host", required=True, metavar="ADDRESS", help="at which clients reach this server")
    new.add_argument("--port", type=_port, default=PORT, metavar="N", help="as given to `serve`; default: %(default)s")
    new.add_argument("--out", type=Path, required=True, metavar="FILE", help="secret: hand it to that client alone")
    allow = actions.add_parser("allow", help="let a key in that was made elsewhere")
    allow.add_argument("name", metavar="NAME")
    allow.add_argument("key", metavar="PUBLIC_KEY", help="40 characters")
    actions.add_parser("list", help="show who may come in, and the server's own public key")
    revoke = actions.add_parser("revoke", help="shut a client out")
    revoke.add_argument("name", metavar="NAME")
    for action in actions.choices.values():
        _data_option(action)


def add_client(commands: Commands) -> None:
    """`vivant client`."""
    client = commands.add_parser(
        "client",
        help="drive a running server from the command line",
        description="Everything that Blender does with the server, without Blender. Ids may be cut to their beginning, "
        "and an avatar's name will do.",
    )
    where = client.add_mutually_exclusive_group()
    _data_option(where)
    where.add_argument("--connection", type=Path, metavar="FILE", help="key file of a server on another computer")
    actions = client.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (text, add) in _ACTIONS.items():
        add(actions.add_parser(name, help=text))


def _nothing(action: argparse.ArgumentParser) -> None:
    pass


def _photo(action: argparse.ArgumentParser) -> None:
    action.add_argument("photo", type=Path, metavar="PHOTO")
    action.add_argument("--name", default="", metavar="NAME", help="default: the photo's")
    action.add_argument(
        "--person", type=int, default=0, metavar="N", help="the Nth from the left; default: the largest"
    )
    action.add_argument("--matte", choices=("auto", "photo", "rembg", "mediapipe"), default="auto")
    action.add_argument("--detach", action="store_true", help="print the job's id and do not wait")


def _build(action: argparse.ArgumentParser) -> None:
    _photo(action)
    action.add_argument("--registration", default="", metavar="JOB", help="a finished register job of this photo")
    action.add_argument("--pose", type=Path, metavar="FILE", help="that job's registration.npz with a corrected pose")
    action.add_argument("--texture", type=int, choices=(128, 256, 512))
    for flag in ("--size", "--steps", "--seed"):
        action.add_argument(flag, type=int, metavar="N")
    action.add_argument("--device", choices=("auto", "cpu", "cuda"))
    action.add_argument("--show-unseen", action="store_true", default=None)


def _job(action: argparse.ArgumentParser) -> None:
    action.add_argument("job", metavar="JOB")


def _events(action: argparse.ArgumentParser) -> None:
    _job(action)
    action.add_argument("--since", type=int, default=0, metavar="N", help="number of the last event known")


def _avatar(action: argparse.ArgumentParser) -> None:
    action.add_argument("avatar", metavar="AVATAR")


def _rename(action: argparse.ArgumentParser) -> None:
    _avatar(action)
    action.add_argument("name", metavar="NAME")


def _import(action: argparse.ArgumentParser) -> None:
    action.add_argument("folder", type=Path, metavar="FOLDER", help="made by `vivant build` on the server's computer")
    action.add_argument("--name", default="", metavar="NAME", help="default: the folder's")


def _files(action: argparse.ArgumentParser) -> None:
    action.add_argument("owner", metavar="ID", help="an avatar or a finished register job")


def _get(action: argparse.ArgumentParser) -> None:
    _files(action)
    action.add_argument("name", metavar="NAME", help="from `files`")
    action.add_argument("--out", type=Path, metavar="FILE", help="default: NAME in this folder")


def _render(action: argparse.ArgumentParser) -> None:
    _avatar(action)
    action.add_argument("--motion", type=Path, required=True, metavar="FILE", help="the .npz motion to play")
    action.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the frames")
    action.add_argument("--camera", type=Path, metavar="FILE", help="camera JSON; default: the photo's own camera")
    action.add_argument("--size", type=_size, metavar="WxH", help="pixels; default: the camera's own")
    action.add_argument("--fps", type=float, metavar="N", help="resample the motion; default: its own rate")
    action.add_argument("--format", choices=("png", "exr"), default="png")


def _live(action: argparse.ArgumentParser) -> None:
    _avatar(action)
    action.add_argument("--size", type=_size, default=(1280, 720), metavar="WxH")
    action.add_argument("--seconds", type=float, default=5.0, metavar="N", help="default: %(default)s")


_ACTIONS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "status": ("device, memory, queue", _nothing),
    "build": ("make an avatar from a photo", _build),
    "register": ("fit a body to a photo", _photo),
    "jobs": ("list jobs", _nothing),
    "events": ("what happened to a job, until it ends", _events),
    "log": ("a job's log", _job),
    "cancel": ("stop a job", _job),
    "resume": ("go on with a job", _job),
    "forget": ("take an ended job off the list", _job),
    "avatars": ("list avatars", _nothing),
    "open": ("load an avatar, so that its first frame comes at once", _avatar),
    "close": ("unload an avatar", _avatar),
    "rename": ("give an avatar another name", _rename),
    "delete": ("remove an avatar from the disk", _avatar),
    "import": ("copy an avatar folder into the service", _import),
    "files": ("list what can be downloaded", _files),
    "get": ("download a file", _get),
    "render": ("play a motion file with an avatar", _render),
    "live": ("turn an avatar around as fast as it goes, and say how fast", _live),
    "free": ("unload avatars and models now", _nothing),
    "stop": ("end the server", _nothing),
}


def _data_option(action: argparse._ActionsContainer) -> None:
    action.add_argument("--data", type=Path, metavar="DIR", help="data folder; default: VIVANT_DATA, or the user's own")


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65534:
        raise argparse.ArgumentTypeError(f"{number} is not within 0 and 65534")
    return number


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    most = limits.RENDER_SIZE
    if not (width.isdecimal() and height.isdecimal() and 1 <= int(width) <= most and 1 <= int(height) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 1280x720, up to {most}x{most}")
    return int(width), int(height)
