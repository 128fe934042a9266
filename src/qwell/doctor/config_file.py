"""Changes single values of qwell's configuration file and leaves everything else as it is.

The file is TOML with one `name = value` a line. Knows no meaning of any setting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwell.config import default_config_file


def config_path(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("QWELL_CONFIG") or default_config_file())


def write_settings(path: Path, changes: Mapping[str, Any]) -> None:
    """Set these names; comments and other lines stay. Atomic. Raises OSError."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for name, value in changes.items():
        text = _with_line(text, name, f"{name} = {json.dumps(value, ensure_ascii=False)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _with_line(text: str, name: str, line: str) -> str:
    """The line in the place of the one of this name, else at the end."""
    pattern = re.compile(rf"^{re.escape(name)}\s*=.*$", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda _match: line, text)
    return f"{text.rstrip()}\n{line}\n".lstrip("\n")
