"""What is really in a file that should be a model: the mistakes people and networks make.

Reads the first bytes only and changes nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

from qwell.errors import QwellError

_LFS = b"version https://git-lfs.github.com/spec/"
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)
_FETCH = "download the model again: `qwell pull`"


def first_bytes(path: Path, n: int = 512) -> bytes:
    """The start of a file.

    Raises QwellError: ``model-path-missing``, ``bind-mount-file-is-directory`` or
    ``permission-denied``.
    """
    try:
        with path.open("rb") as file:
            return file.read(n)
    except FileNotFoundError:
        raise QwellError(
            "model-path-missing",
            found=f"no file {path.absolute()}",
            expected="a model file",
            fix=f"check the spelling with `ls -l '{path.absolute().parent}'`, or use --model auto",
        ) from None
    except IsADirectoryError:
        raise QwellError(
            "bind-mount-file-is-directory",
            found=f"{path.absolute()} is a directory",
            expected="a model file",
            fix="if it is a mount, the file was absent on the host and Docker made a directory of "
            "its name: remove that directory, put the file there and start the container again",
        ) from None
    except PermissionError:
        raise unreadable(path) from None


def unreadable(path: Path) -> QwellError:
    return QwellError(
        "permission-denied",
        found=f"{path.absolute()} cannot be read by the user of this process",
        expected="read permission on the file and on every directory above it",
        fix=f"`chmod -R a+rX '{path.absolute().parent}'`, or run as the owner",
    )


def refuse_impostor(path: Path, expected: str) -> None:
    """Raise when a file is a Git LFS pointer, a web page, an error message or empty.

    Returns quietly for anything else: the format's own reader judges the rest.
    Raises QwellError: ``lfs-pointer``, ``html-instead-of-model``, ``weights-truncated``,
    ``weights-corrupt``, or what first_bytes raises.
    """
    start = first_bytes(path)
    size = path.stat().st_size
    if start.startswith(_LFS):
        raise QwellError(
            "lfs-pointer",
            found=f"{path} is a Git LFS pointer of {size} bytes",
            expected=expected,
            fix=f"`cd '{path.absolute().parent}' && git lfs install && git lfs pull`",
        )
    if _HTML.match(start):
        raise QwellError(
            "html-instead-of-model",
            found=f"{path} is a web page that begins with {_excerpt(start)}",
            expected=expected,
            fix=f"delete it (`rm '{path}'`); a login or error page was saved: {_FETCH}",
        )
    if not start.strip(b"\0"):
        raise QwellError(
            "weights-truncated",
            found=f"{path} is empty or begins with zeros ({size} bytes)",
            expected=expected,
            fix=f"delete it (`rm '{path}'`) and {_FETCH}",
        )


def not_a(path: Path, expected: str) -> QwellError:
    """The error for a file of unknown content."""
    return QwellError(
        "weights-corrupt",
        found=f"{path} begins with {_excerpt(first_bytes(path))}",
        expected=expected,
        fix=f"check where the file comes from, or {_FETCH}",
    )


def _excerpt(start: bytes) -> str:
    return repr(start[:24].decode("latin-1"))
