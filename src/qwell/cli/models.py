"""`qwell models`: what is packed in the cache and can be served at once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from qwell.config import load
from qwell.errors import QwellError


def run(options: argparse.Namespace) -> int:
    from qwell.weights.ensure import packs_dir

    settings, _ = load(vars(options))
    folder = packs_dir(settings)
    rows = [_facts(path) for path in sorted(folder.glob("*.qpack"))]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    elif rows:
        print("\n".join(_line(row) for row in rows))
    else:
        print(f"no model in {folder}: qwell pull fetches one")
    return 0


def _facts(path: Path) -> dict[str, Any]:
    """A damaged pack is listed with its fault: the next start makes it anew."""
    from qwell.weights.pack import read_pack

    size = path.stat().st_size
    try:
        meta = read_pack(path).meta
    except QwellError as error:
        return {"path": str(path), "bytes": size, "fault": error.fault}
    source = meta.get("source", {}).get("origin", "")
    return {
        "name": meta["name"],
        "quant": meta["quant"],
        "bytes": size,
        "source": source,
        "path": str(path),
    }


def _line(row: dict[str, Any]) -> str:
    size = f"{row['bytes'] / 1e6:.0f} MB"
    if "fault" in row:
        return f"damaged ({row['fault']})  {size}  {row['path']}"
    return f"{row['name']}  {row['quant']}  {size}  {row['path']}"
