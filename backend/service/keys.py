"""CURVE keys: the server's own, the local client's, and the list of remote clients that may come in."""

from __future__ import annotations

import json
import logging
import re
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

import zmq

from backend.atomic import written_whole
from shared.errors import VivantError
from shared.wire.limits import KEY_NAME_CHARS

log = logging.getLogger(__name__)

SERVER, LOCAL = "server", "local"
_NAME = re.compile(rf"[\w.@ -]{{1,{KEY_NAME_CHARS}}}")
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


@dataclass(frozen=True)
class KeyPair:
    """A CURVE key pair as Z85 text."""

    public: str
    secret: str = field(repr=False)


def new_pair() -> KeyPair:
    """A fresh pair; two empty keys where libzmq has no CURVE."""
    if not zmq.has("curve"):
        return KeyPair("", "")
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


def own_pair(data: Path, name: str) -> KeyPair:
    """The pair `SERVER` or `LOCAL` of this data folder, made at the first call, kept for good.

    Raises:
        VivantError: the file is damaged, or cannot be written.
    """
    path = _folder(data) / f"{name}.json"
    if not path.exists():
        pair = new_pair()
        write_private(path, asdict(pair))
        return pair
    try:
        return KeyPair(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise VivantError(f"Cannot read the keys in {path}: {error}. Restore that file, or remove it.") from error


def own_token(data: Path) -> str:
    """The secret that stands in for the local key pair where libzmq has no CURVE."""
    path = _folder(data) / "token.json"
    if not path.exists():
        write_private(path, secrets.token_hex(32))
    return str(json.loads(path.read_text(encoding="utf-8")))


def allowed(data: Path) -> dict[str, str]:
    """Name by public key of every remote client that may come in.

    Raises:
        VivantError: the list is damaged.
    """
    path = _list(data)
    if not path.exists():
        return {}
    try:
        return {str(key): str(name) for key, name in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise VivantError(f"Cannot read {path}: {error}. Restore that file, or remove it.") from error


def allow(data: Path, name: str, public: str) -> None:
    """Let the client with this public key in.

    Raises:
        VivantError: name or key cannot be one, or the name is taken.
    """
    if not _NAME.fullmatch(name):
        characters = f"1 to {KEY_NAME_CHARS} letters, digits, spaces or any of . @ _ -"
        raise VivantError(f"{name!r} is no name for a key. Take {characters}")
    if not _Z85.fullmatch(public):
        raise VivantError(f"{public!r} is no public key. It has 40 characters; `vivant keys new` prints it.")
    listed = allowed(data)
    if name in listed.values() and listed.get(public) != name:
        raise VivantError(f"There is a key called {name} already. Revoke it, or take another name.")
    write_private(_list(data), {**listed, public: name})


def revoke(data: Path, name: str) -> None:
    """Shut the client called `name` out; a running server notices within a second.

    Raises:
        VivantError: nobody is called so.
    """
    listed = allowed(data)
    if name not in listed.values():
        raise VivantError(f"There is no key called {name}. `vivant keys list` shows them.")
    write_private(_list(data), {public: other for public, other in listed.items() if other != name})


def write_private(path: Path, content: object) -> None:
    """Write JSON that only this user may read, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")


class AllowList:
    """Who may come in, followed while the server runs."""

    def __init__(self, data: Path, local: str) -> None:
        self._data, self._local = data, local
        self._stamp: int | None = None
        self._listed: dict[str, str] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the list again if its file changed; while that cannot be read, what was read before stands."""
        path = _list(self._data)
        stamp = path.stat().st_mtime_ns if path.exists() else None
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._listed = allowed(self._data)
        except VivantError as error:
            log.error("%s", error)

    def __contains__(self, public: object) -> bool:
        self.refresh()  # a key that was just allowed comes in at its first try
        return public == self._local or public in self._listed

    def is_local(self, public: str) -> bool:
        """Whether this is the key of the connection file, which never leaves this computer."""
        return public == self._local


def _folder(data: Path) -> Path:
    return data / "keys"


def _list(data: Path) -> Path:
    return _folder(data) / "allowed.json"
