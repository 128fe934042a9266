"""`qwell models`: what is in the cache; compare it with its digests; remove it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from qwell.config import Settings, load
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell.weights.inventory import Item


def run(options: argparse.Namespace) -> int:
    """Exit code 1: something is damaged, or was not removed."""
    settings, _ = load(vars(options))
    if options.action == "verify":
        return _verify(settings, options)
    if options.action == "remove":
        return _remove(settings, options)
    return _list(settings, options)


def _list(settings: Settings, options: argparse.Namespace) -> int:
    from qwell.weights.inventory import listed

    items = _named(settings, options) if options.name else listed(settings)
    if options.json:
        print(json.dumps([item.to_dict() for item in items], ensure_ascii=False, indent=2))
    elif items:
        print("\n".join(_line(item) for item in items))
    else:
        print(f"no model in {settings.cache_path}: qwell pull fetches one")
    return 0


def _verify(settings: Settings, options: argparse.Namespace) -> int:
    from qwell.weights.inventory import listed

    rows = [_verified(item) for item in _named(settings, options) or listed(settings)]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        print("\n".join(f"{row['result']}  {row['path']}" for row in rows))
    return int(any(row["result"].startswith("damaged") for row in rows))


def _verified(item: Item) -> dict[str, str]:
    from qwell.cli.progress import watching_weights
    from qwell.weights.inventory import verify

    try:
        with watching_weights() as report:
            is_known = verify(item, report)
    except QwellError as error:
        result = f"damaged ({error.fault})"
        return {"path": str(item.path), "result": result, "found": error.found, "fix": error.fix}
    result = "whole" if is_known else "no digest known"
    return {"path": str(item.path), "result": result}


def _remove(settings: Settings, options: argparse.Namespace) -> int:
    from qwell.weights.inventory import remove

    if not options.name:
        raise QwellError(
            "config-invalid",
            found="no name of what to remove",
            expected="a name from the list",
            fix="qwell models, then qwell models remove NAME",
        )
    items = _named(settings, options)
    if not options.yes and not _agreed(items):
        return 1
    for item in items:
        remove(item)
        print(f"removed {item.path}")
    return 0


def _agreed(items: list[Item]) -> bool:
    """Asks in a terminal; without one, nothing is removed unasked."""
    print("\n".join(_line(item) for item in items))
    if not sys.stdin.isatty():
        print("not removed: add --yes", file=sys.stderr)
        return False
    return input("remove? [y/N] ").strip().lower() in ("y", "yes")


def _named(settings: Settings, options: argparse.Namespace) -> list[Item]:
    from qwell.weights.inventory import chosen

    return chosen(settings, options.name) if options.name else []


def _line(item: Item) -> str:
    size = f"{item.n_bytes / 1e6:.0f} MB"
    if item.fault:
        return f"damaged ({item.fault})  {size}  {item.path}"
    return f"{item.name or item.path.name}  {item.quant or item.kind}  {size}  {item.path}"
