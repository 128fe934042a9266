"""One file over HTTP: resumed where it broke off, checked before it gets its name.

Knows no hubs and no models. Proxies and certificates are those of the environment.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from qwell.errors import QwellError
from qwell.weights.disk import writing

CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_ATTEMPTS = 4
_BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def get_file(
    url: str,
    target: Path,
    *,
    size: int,
    sha256: str,
    report: Callable[[int], None],
) -> Path:
    """Fetch url into target. Returns target.

    What has arrived is kept in ``<target>.part``, so the next call goes on from there.
    report counts bytes. Raises QwellError ``download-interrupted`` after several attempts and
    ``weights-corrupt`` when the digest differs; then nothing stays.
    """
    part = target.with_name(target.name + ".part")
    with writing(target.parent):
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                _continue(url, part, size, report)
                break
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == 416 or error.code < 500:
                    part.unlink(missing_ok=True)
                    raise _interrupted(url, part, size, str(error)) from error
                _give_up(attempt, url, part, size, error)
            except _BROKEN as error:
                _give_up(attempt, url, part, size, error)
        check_digest(part, sha256)
        part.replace(target)
    return target


def check_digest(path: Path, sha256: str) -> None:
    """Compare a file with its digest; a file that differs is deleted.

    Raises QwellError ``weights-corrupt``.
    """
    found = file_digest(path)
    if found != sha256:
        path.unlink()
        raise QwellError(
            "weights-corrupt",
            found=f"sha256 {found} of {path.name}",
            expected=f"sha256 {sha256}",
            fix="it was deleted: run the same command again; if it happens twice, a proxy changes "
            "downloads, so try another network",
        )


def file_digest(path: Path, report: Callable[[int], None] = lambda _: None) -> str:
    """sha256 of a file, in hexadecimal; report counts bytes."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report(done)
    return digest.hexdigest()


def _continue(url: str, part: Path, size: int, report: Callable[[int], None]) -> None:
    with part.open("ab") as file:
        if file.tell() > size:
            _empty(file)
        if file.tell() < size:
            request = urllib.request.Request(url)  # noqa: S310  hubs' https URLs
            if file.tell():
                request.add_header("Range", f"bytes={file.tell()}-")
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310  the same
                if reply.status != 206:  # the server sends all of it again
                    _empty(file)
                _copy(reply, file, report)
        if file.tell() < size:
            raise ConnectionError(f"the connection closed after {file.tell():,} bytes")


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _copy(reply: http.client.HTTPResponse, file: BinaryIO, report: Callable[[int], None]) -> None:
    while chunk := reply.read(CHUNK):
        file.write(chunk)
        report(file.tell())


def _give_up(attempt: int, url: str, part: Path, size: int, error: Exception) -> None:
    if attempt == _ATTEMPTS:
        raise _interrupted(url, part, size, str(error)) from error


def _interrupted(url: str, part: Path, size: int, reason: str) -> QwellError:
    have = part.stat().st_size if part.exists() else 0
    return QwellError(
        "download-interrupted",
        found=f"{have:,} of {size:,} bytes from {url}: {reason}",
        expected="the whole file",
        fix="run the same command again: it goes on where it stopped",
    )
