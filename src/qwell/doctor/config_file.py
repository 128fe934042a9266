"""Changes single values of qwell's configuration file and leaves everything else as it is.

The file is TOML with one `name = value` a line. Knows no meaning of any setting.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwell.config import default_config_file


def config_path(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("QWELL_CONFIG") or default_config_file())


Lines = Mapping[str, tuple[str | None, str]]  # of a setting: its line before, and since


def write_settings(path: Path, changes: Mapping[str, Any]) -> Lines:
    """Set these names; other lines stay. Returns what takes it back. Raises OSError."""
    text = _text(path)
    lines: dict[str, tuple[str | None, str]] = {}
    for name, value in changes.items():
        written = f"{name} = {json.dumps(value, ensure_ascii=False)}"
        lines[name] = (_line_of(text, name), written)
        text = _with_line(text, name, written)
    _replace(path, text)
    return lines


def put_lines_back(path: Path, lines: Lines) -> None:
    """As before `write_settings`, but for lines that changed since. Raises OSError."""
    text = _text(path)
    for name, (before, written) in lines.items():
        if _line_of(text, name) == written:
            text = _with_line(text, name, before)
    if text.strip():
        _replace(path, text)
    else:
        path.unlink(missing_ok=True)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _replace(path: Path, text: str) -> None:
    """Atomic. Whoever may not read the file may not read it afterwards: it may hold keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.touch(mode=0o600)
    unfinished.write_text(text, encoding="utf-8")
    if path.exists():
        shutil.copymode(path, unfinished)
    unfinished.replace(path)


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(name)}\s*=.*$\n?", re.MULTILINE)


def _line_of(text: str, name: str) -> str | None:
    found = _pattern(name).search(text)
    return found[0].rstrip("\n") if found else None


def _with_line(text: str, name: str, line: str | None) -> str:
    """The line in the place of the one of this name, else at the end; None: without it."""
    whole = "" if line is None else f"{line}\n"
    pattern = _pattern(name)
    if pattern.search(text):
        return pattern.sub(lambda _match: whole, text)
    return f"{text.rstrip()}\n{whole}".lstrip("\n")
