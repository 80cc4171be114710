"""Where a server listens and with which keys one talks to it: the connection file, also used as a client's key file."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import VivantError
from .limits import CONNECTION_FILE_BYTES

KEY_CHARS = 40  # a CURVE key in Z85
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Connection:
    """One server as one client knows it. The keys are CURVE's, as Z85 text."""

    host: str
    control_port: int
    frames_port: int
    server_key: str = ""  # empty, like the others, only where libzmq has no CURVE
    public_key: str = ""
    secret_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)  # stands in for the keys where there is no CURVE
    pid: int = 0
    version: str = ""  # of the server's package

    @property
    def loopback(self) -> bool:
        """Whether the server runs on this computer."""
        return self.host in LOOPBACK


def data_folder() -> Path:
    """Where a server keeps keys, jobs and avatars: `VIVANT_DATA`, or the platform's folder for a user's data."""
    if chosen := os.environ.get("VIVANT_DATA"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "Vivant"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Vivant"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "vivant"


def connection_file(folder: Path) -> Path:
    """Where the server with this data folder writes its connection."""
    return folder / "connection.json"


def save_connection(path: Path, connection: Connection) -> None:
    """Write `path` whole or not at all, readable by its owner alone. Missing folders are made.

    Raises:
        VivantError: the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(connection), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        cause = error.strerror or error
        raise VivantError(f"Cannot write {path}: {cause}. Choose a data folder that you may write to.") from error


def load_connection(path: Path) -> Connection:
    """Read what `save_connection` wrote.

    Raises:
        VivantError: there is no such file, or it is not one of ours.
    """
    try:
        with path.open("rb") as file:
            entries = json.loads(file.read(CONNECTION_FILE_BYTES))
    except FileNotFoundError as error:
        raise VivantError(f"There is no server here ({path} is missing). Start one with `vivant serve`.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise VivantError(f"Cannot read {path}: {error}. Start the server again, or ask for a new key file.") from error
    if not isinstance(entries, dict) or not _proper(entries):
        raise VivantError(f"{path} is not a connection file of Vivant. Start the server again, or ask for a new one.")
    return Connection(**{field.name: entries[field.name] for field in fields(Connection) if field.name in entries})


def _proper(entries: dict[str, Any]) -> bool:
    ports = (entries.get("control_port"), entries.get("frames_port"))
    keys = [entries.get(name, "") for name in ("server_key", "public_key", "secret_key")]
    texts = (entries.get("host"), *keys, entries.get("token", ""), entries.get("version", ""))
    return (
        all(type(port) is int and 0 < port < 65536 for port in ports)
        and all(isinstance(text, str) for text in texts)
        and {len(key) for key in keys} in ({0}, {KEY_CHARS})
        and type(entries.get("pid", 0)) is int
    )
