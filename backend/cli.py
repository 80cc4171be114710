"""The command `vivant`: parses, calls, and turns outcomes into exit codes. Names, flags and codes are stable."""

from __future__ import annotations

import argparse
import errno
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from backend import __version__
from backend.console import KINDS, reporting, say_plainly
from backend.progress import Cancelled
from backend.service.options import add_client, add_keys, add_serve
from backend.training.settings import TrainingSettings
from shared.errors import VivantError

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130  # wrong usage is argparse's own
SUITES = ("all", "raster", "posing", "build", "wire")
DEVICES = ("auto", "cpu", "cuda")
MATTES = ("auto", "photo", "rembg", "mediapipe")
DEFAULTS = {field.name: field.default for field in fields(TrainingSettings)}

MISSING_PACKAGE = (
    "Install Vivant again with python -m pip install . in its folder; "
    "on a Linux server without a desktop also: apt-get install libgl1 libglib2.0-0."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see `--help`); wrong usage leaves by argparse, with 2."""
    say_plainly()
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parser().parse_args(words)
    try:
        with reporting(arguments.progress, sys.stderr) as progress:
            from backend import commands  # after parsing, so that --help needs nothing heavy

            results = commands.COMMANDS[arguments.command](arguments, progress)
        for line in results:  # once the progress has left the terminal
            print(line, flush=True)
    except VivantError as error:
        return _fail(str(error))
    except PermissionError as error:
        return _fail(f"No access to {error.filename}. Choose a place that you may read and write.")
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _fail(
            f"The disk is full ({error.filename or 'while writing'}). Free some space and run the command again."
        )
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("backend", "shared"):
            raise
        return _fail(f"A package does not load ({error}). {MISSING_PACKAGE}")
    except (KeyboardInterrupt, Cancelled):
        print(f"\nInterrupted. {_way_on(arguments, words)}", file=sys.stderr)
        return INTERRUPTED
    return DONE


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="vivant",
        description="One photo of a person in, a talking whole-body avatar out.",
        epilog="First steps: `vivant demo`. Something missing or slow: `vivant doctor`. "
        "`vivant COMMAND --help` explains a command. Exit codes: 0 done, 1 failed for the reason given, "
        "2 wrong usage, 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"vivant {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_demo, _build, _register, _render, _evaluate, add_serve, add_client, add_keys, _bench, _doctor):
        add(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--progress", choices=KINDS, default="auto", help="json: one JSON line per event on stderr, for programs"
        )
    return top


def _demo(commands: argparse._SubParsersAction) -> None:
    demo = commands.add_parser(
        "demo",
        help="build the example photo's avatar and let it talk",
        description="Build an avatar from an example photo and let it talk. Writes the avatar's folder, talk.mp4, "
        "still.png, turn.png (five views) and report.html. No GPU and no download needed.",
    )
    demo.add_argument("--out", type=Path, default=Path("vivant-demo"), metavar="DIR", help="default: %(default)s")
    demo.add_argument("--full-body", action="store_true", help="take the full-body example instead of the portrait")


def _build(commands: argparse._SubParsersAction) -> None:
    build = commands.add_parser(
        "build",
        help="make an avatar from a photo",
        description="Make an avatar folder from one photo. Interrupted builds go on with --resume.",
    )
    build.add_argument("photo", type=Path, metavar="PHOTO", help="PNG, JPEG or WEBP; an alpha channel is the matte")
    build.add_argument("--out", type=Path, required=True, metavar="AVATAR", help="folder to make; must not exist yet")
    build.add_argument("--labels", choices=("none",), default="none", help="what to learn from beside the photo")
    _fit_options(build)
    build.add_argument("--registration", type=Path, metavar="FILE", help="a fit from `vivant register`, not a new one")
    _training_options(build)
    build.add_argument("--resume", action="store_true", help="go on where an interrupted build of this photo stopped")
    build.add_argument("--show-unseen", action="store_true", help="show what lies beyond the photo's border, made up")


def _register(commands: argparse._SubParsersAction) -> None:
    register = commands.add_parser(
        "register",
        help="fit a body to a photo, and no more",
        description="Fit an SMPL-X body to the photo. Beside FILE comes FILE's name with .png: the body over the "
        "photo. Look at it; pass the fit to `vivant build --registration`.",
    )
    register.add_argument("photo", type=Path, metavar="PHOTO", help="PNG, JPEG or WEBP")
    register.add_argument("--out", type=Path, required=True, metavar="FILE", help="the fit, e.g. registration.npz")
    _fit_options(register)


def _render(commands: argparse._SubParsersAction) -> None:
    render = commands.add_parser(
        "render",
        help="play a motion with an avatar",
        description="Play a motion file (AMASS, BEAT2, EMAGE or Vivant .npz) with an avatar, from where the person "
        "stands in the photo.",
    )
    render.add_argument("avatar", type=Path, metavar="AVATAR", help="an avatar folder")
    render.add_argument("--motion", type=Path, required=True, metavar="FILE", help="the .npz motion to play")
    render.add_argument("--out", type=Path, required=True, metavar="DIR|FILE.mp4", help="folder for frames, or video")
    render.add_argument("--camera", type=Path, metavar="FILE", help="camera JSON; default: the photo's own camera")
    render.add_argument("--size", type=_size, metavar="WxH", help="pixels; default: the camera's own")
    render.add_argument("--frames", type=_frames, metavar="A-B", help="first and last frame from 0; default: all")
    render.add_argument("--fps", type=float, metavar="N", help="resample the motion; default: its own rate")
    render.add_argument("--format", choices=("png", "exr", "mp4"), help="default: mp4 for FILE.mp4, else png")
    render.add_argument(
        "--background", type=_colour, default="#ffffff", metavar="#RRGGBB", help="of videos; default: white"
    )
    _body_option(render)
    _device_option(render)


def _evaluate(commands: argparse._SubParsersAction) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="measure avatars against rendered people",
        description="Build an avatar of every subject of a truth set, draw each of its frames, and measure the "
        "difference, beside three baselines.",
    )
    evaluate.add_argument("truth", type=Path, metavar="TRUTH", help="folder with subject_* folders")
    evaluate.add_argument("--subjects", type=_names, metavar="a,b", help="default: all")
    evaluate.add_argument(
        "--registration",
        choices=("truth", "fitted"),
        default="truth",
        help="the true body parameters (default), or our own fit to the photo",
    )
    evaluate.add_argument("--labels", choices=("none",), default="none", help="what to learn from beside the photo")
    _training_options(evaluate)
    evaluate.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="all numbers")
    evaluate.add_argument("--report", type=Path, metavar="FILE.html", help="contact sheets and tables")


def _bench(commands: argparse._SubParsersAction) -> None:
    bench = commands.add_parser(
        "bench",
        help="measure speed and memory here",
        description="Measure speed and memory on this computer: drawing splats (5 min), posing bodies (seconds), "
        "whole builds (some minutes).",
    )
    bench.add_argument("suite", nargs="?", choices=SUITES, default="all", metavar="SUITE", help="|".join(SUITES))
    bench.add_argument("--out", type=Path, metavar="FILE.json", help="all rows, with what they were measured on")


def _doctor(commands: argparse._SubParsersAction) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what is installed, what is used, and what to do about the rest",
        description="One line per capability: which provider, version and licence, or what to install.",
    )
    doctor.add_argument(
        "--body", type=Path, metavar="FILE", help="also check this SMPL-X .npz, against smplx if installed"
    )


def _fit_options(command: argparse.ArgumentParser) -> None:
    _body_option(command)
    command.add_argument(
        "--person", type=_positive, metavar="N", help="the Nth person from the left; default: the largest, most central"
    )
    command.add_argument("--matte", choices=MATTES, default="auto", help="who cuts the person out; default: auto")


def _body_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--body", type=Path, metavar="FILE", help="SMPL-X .npz; default: the open body that comes along"
    )


def _device_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", choices=DEVICES, default="auto", help="default: CUDA where it really works")


def _training_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--texture", type=int, choices=(128, 256, 512), default=DEFAULTS["texture"], help="detail; default: %(default)s"
    )
    command.add_argument(
        "--size", type=_positive, default=DEFAULTS["size"], help="of training, pixels; default: %(default)s"
    )
    command.add_argument("--steps", type=_positive, default=DEFAULTS["steps"], help="of training; default: %(default)s")
    command.add_argument("--seed", type=int, default=DEFAULTS["seed"], help="default: %(default)s")
    _device_option(command)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is below 1")
    return number


def _pair(text: str, separator: str, example: str) -> tuple[int, int]:
    first, _, second = text.partition(separator)
    if not (first.isdecimal() and second.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not like {example}")
    return int(first), int(second)


def _size(text: str) -> tuple[int, int]:
    width, height = _pair(text, "x", "1280x720")
    if not (1 <= width <= 16384 and 1 <= height <= 16384):
        raise argparse.ArgumentTypeError(f"{text} is not within 1x1 and 16384x16384")
    return width, height


def _frames(text: str) -> tuple[int, int]:
    first, last = _pair(text, "-", "0-99")
    if last < first:
        raise argparse.ArgumentTypeError(f"{text} ends before it begins")
    return first, last


def _colour(text: str) -> tuple[float, float, float]:
    digits = text.removeprefix("#")
    if len(digits) != 6 or set(digits.lower()) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r} is not like #8040ff")
    red, green, blue = bytes.fromhex(digits)
    return red / 255, green / 255, blue / 255


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _fail(sentence: str) -> int:
    print(f"vivant: {sentence}", file=sys.stderr)
    return FAILED


def _way_on(arguments: argparse.Namespace, words: list[str]) -> str:
    if arguments.command == "demo":
        return f"What is done is kept. Go on with: vivant {shlex.join(words)}"
    if arguments.command != "build":
        return "Finished files stay; the same command starts again."
    again = words if arguments.resume else [*words, "--resume"]
    return f"What is done is kept beside {arguments.out}. Go on with: vivant {shlex.join(again)}"


if __name__ == "__main__":
    sys.exit(main())
