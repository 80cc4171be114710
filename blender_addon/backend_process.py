"""The backend on this computer: a process of its own, or the mock server in a thread."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._shared.errors import VivantError

if TYPE_CHECKING:
    from ._shared.mock import MockServer
    from ._shared.wire.connection import Connection

DOCTOR_S = 120.0  # its first run compiles kernels
GONE_S = 20.0  # for a server to end its workers
GRACE_S = 0.5  # for an orderly end while Blender quits or disables the extension

_process: subprocess.Popen[bytes] | None = None
_keep_running = False
_mock: MockServer | None = None
_starting = False


def is_starting() -> bool:
    """Whether a backend was started here and has not said yet that it serves."""
    return _starting


def settled(process: subprocess.Popen[bytes]) -> bool:
    """Note that `process` serves or has failed; False if it has been stopped meanwhile and nobody cares."""
    global _starting
    if process is not _process:
        return False
    _starting = False
    return True


def owns_process() -> bool:
    """Whether a backend that was started here still runs."""
    return _process is not None and _process.poll() is None


def runs_mock() -> bool:
    """Whether the mock server runs here."""
    return _mock is not None


def start(python: Path, data: Path, log: Path, keep_running: bool) -> subprocess.Popen[bytes]:
    """Start `vivant serve`. It ends with Blender, even if that crashes, unless `keep_running`.

    Raises:
        VivantError: the program cannot be started.
    """
    global _process, _keep_running, _starting
    command = [str(python), "-m", "backend.cli", "serve", "--data", str(data)]
    if not keep_running:
        command.append("--until-eof")  # Blender holds the other end of its standard input
    try:
        with log.open("wb") as errors:
            _process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if keep_running else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
                start_new_session=keep_running,  # else Ctrl-C in Blender's terminal reaches it too, as it should
                creationflags=_creation_flags(),
            )
    except OSError as error:
        raise VivantError(
            f"Cannot start {python}: {error.strerror}. Choose another Python in the preferences."
        ) from error
    _keep_running, _starting = keep_running, True
    return _process


def wait_until_ready(process: subprocess.Popen[bytes], data: Path, log: Path) -> Path:
    """The connection file, once the process has said that it serves, or has ended because another one already does.

    Raises:
        VivantError: it ended for another reason; the message has its last words.
    """
    from ._shared.wire.connection import connection_file

    assert process.stdout is not None
    if not process.stdout.readline():
        process.wait()
        words = log.read_text(encoding="utf-8", errors="replace").strip()
        if "already runs" not in words or not connection_file(data).exists():
            raise VivantError(f"The backend did not start. It said: {words[-600:] or 'nothing'} (All of it: {log})")
    return connection_file(data)


def wait_until_gone(process: subprocess.Popen[bytes] | None, data: Path) -> None:
    """Block until a server that was told to end has let go of its data folder, or gives no sign of it."""
    from ._shared.wire.connection import connection_file

    end = time.monotonic() + GONE_S
    while time.monotonic() < end and (process.poll() is None if process else connection_file(data).exists()):
        time.sleep(0.1)


def stop() -> subprocess.Popen[bytes] | None:
    """End what was started here, in an orderly way if that takes no longer than `GRACE_S`; returns the process."""
    global _process, _mock, _starting
    mock, process, _mock, _process, _starting = _mock, _process, None, None, False
    if mock is not None:
        mock.stop()
    if process is None or _keep_running:
        return process
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.terminate()
    return process


def register() -> None:
    """Starts nothing."""
    atexit.register(stop)  # Blender does not disable extensions in every kind of quit


def unregister() -> None:
    """End what was started here."""
    atexit.unregister(stop)
    stop()


def start_mock(data: Path, pace: float = 1.0) -> Connection:
    """Start the mock server in a thread. It needs nothing but what lies in the extension; `pace` stretches its jobs."""
    global _mock
    from ._shared.mock import MockServer

    _mock = MockServer(data, pace=pace)
    return _mock.start()


def doctor(python: Path) -> str:
    """What `vivant doctor` prints.

    Raises:
        VivantError: this Python has no Vivant, or its doctor failed.
    """
    command = [str(python), "-m", "backend.cli", "doctor"]
    try:
        done = subprocess.run(
            command, capture_output=True, env=_environment(), timeout=DOCTOR_S, creationflags=_creation_flags()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VivantError(f"Cannot run {python}: {error}. Choose another Python.") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise VivantError(f"{python} cannot run Vivant: {words[-1] if words else 'it said nothing'}.")
    return done.stdout.decode(errors="replace")


def _environment() -> dict[str, str]:
    """Blender's own, without what would make the backend's Python load Blender's packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _creation_flags() -> int:
    flags: Any = subprocess
    return int(flags.CREATE_NO_WINDOW) if sys.platform == "win32" else 0
