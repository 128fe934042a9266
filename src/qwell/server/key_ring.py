"""The API keys: from the setting and from a file that is read again when it changes.

Knows no HTTP. Keys are compared by their digests, in constant time, and are never shown.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from qwell.errors import QwellError

log = logging.getLogger("qwell.server.keys")
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Key:
    """name: tells keys apart in logs and limits without telling the key."""

    name: str
    digest: bytes
    cookie: str

    @classmethod
    def of(cls, secret: str) -> Key:
        raw = secret.encode()
        digest = hashlib.sha256(raw).digest()
        cookie = hmac.new(raw, b"qwell cookie", hashlib.sha256).hexdigest()
        return cls(digest.hex()[:8], digest, cookie)

    def is_same(self, offered: str) -> bool:
        digest = hashlib.sha256(offered.encode(errors="replace")).digest()
        return hmac.compare_digest(digest, self.digest)

    def is_cookie(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(errors="replace"), self.cookie.encode())


class KeyRing:
    """All keys that open. Without a setting and a file the ring is open: no key is asked for.

    A file that disappears or becomes unreadable changes nothing: the keys read last stay.
    """

    def __init__(self, setting: str = "", file: str = "") -> None:
        """Raises QwellError ``config-invalid`` when the file holds no key or cannot be read."""
        self._own = _keys(setting.split(","))
        self._file = Path(file).expanduser() if file else None
        self._stamp: _Stamp | None = None
        self._from_file: tuple[Key, ...] = ()
        if self._file is not None:
            self._read_first(self._file)

    @property
    def is_open(self) -> bool:
        return self._file is None and not self._own

    def keys(self) -> tuple[Key, ...]:
        """The keys as they are now: the file is looked at each time."""
        if self._file is not None:
            self._read_again(self._file)
        return self._own + self._from_file

    def _read_first(self, file: Path) -> None:
        try:
            self._stamp, self._from_file = _read(file)
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(file, str(error)) from error
        if not self._from_file:
            raise _unusable(file, "no key in it")
        if file.stat().st_mode & 0o077:
            log.warning("others on this machine may read %s: chmod 600 %s", file, file)

    def _read_again(self, file: Path) -> None:
        try:
            if _stamp_of(file) == self._stamp:
                return
            self._stamp, self._from_file = _read(file)
        except (OSError, UnicodeDecodeError) as error:
            if self._stamp is not None:
                log.warning("the keys stay as they were: %s", error)
            self._stamp = None
            return
        log.info("API keys read", extra={"file": str(file), "keys": len(self._from_file)})


def _read(file: Path) -> tuple[_Stamp, tuple[Key, ...]]:
    stamp = _stamp_of(file)  # before the contents: a change in between is seen the next time
    lines = file.read_text(encoding="utf-8").splitlines()
    return stamp, _keys([line for line in lines if not line.lstrip().startswith("#")])


def _stamp_of(file: Path) -> _Stamp:
    state = os.stat(file)  # noqa: PTH116  asked for at every request; a Path would double its cost
    return state.st_mtime_ns, state.st_size, state.st_ino


def _keys(secrets: list[str]) -> tuple[Key, ...]:
    return tuple(Key.of(secret.strip()) for secret in secrets if secret.strip())


def _unusable(file: Path, found: str) -> QwellError:
    return QwellError(
        "config-invalid",
        found=f"api_key_file = {file}: {found}",
        expected="a readable file with one key a line",
        fix=f"(umask 077; openssl rand -hex 24 > {file})",
    )
