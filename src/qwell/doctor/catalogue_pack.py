"""The catalogue's TOML files, and the same in one file that is read in a tenth of the time.

`catalogue.json` is made by scripts/generate_faults.py; one that does not fit the TOML files is
passed over. Knows the files, not their fields.
"""

from __future__ import annotations

import json
import tomllib
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDER = HERE / "catalogue"
PACK = HERE / "catalogue.json"


def parsed() -> dict[str, Any]:
    """``faults`` in the order of their ids, ``harmless`` and ``concepts``, from the TOML files."""
    return {
        "faults": [_toml(path) for path in sorted(FOLDER.glob("*.toml"))],
        "harmless": _toml(HERE / "harmless.toml")["harmless"],
        "concepts": _toml(HERE / "concepts.toml"),
    }


def packed() -> dict[str, Any] | None:
    """The same, with ``anchors`` by pattern; None where the pack is missing or out of date."""
    try:
        pack = json.loads(PACK.read_bytes())
    except (OSError, ValueError):
        return None
    return pack if isinstance(pack, dict) and pack.get("of") == checksum() else None


def pack(anchors: Mapping[str, tuple[str, ...]]) -> str:
    """What the pack should hold."""
    content = {"of": checksum(), **parsed(), "anchors": anchors}
    return json.dumps(content, ensure_ascii=False, indent=0) + "\n"


def checksum() -> int:
    """Of all the TOML files."""
    value = 0
    for path in (*sorted(FOLDER.glob("*.toml")), HERE / "harmless.toml", HERE / "concepts.toml"):
        value = zlib.crc32(path.read_bytes(), value)
    return value


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))
