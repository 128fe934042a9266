"""`qwell models`: what is in the cache; compare it with its digests; remove it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from qwell.cli.language import preferred
from qwell.config import Settings, load
from qwell.errors import QwellError

if TYPE_CHECKING:
    from qwell.weights.inventory import Item

_WORDS = {
    "none": ("no model in {}: qwell pull fetches one", "{} 中没有模型：用 qwell pull 下载"),
    "removed": ("removed {}", "已删除 {}"),
    "kept": ("not removed: add --yes", "未删除：请加 --yes"),
    "ask": ("remove? [y/N] ", "删除吗？[y/N] "),
    "damaged": ("damaged", "已损坏"),
    "outdated": ("of an older version, not used any more", "旧版本，已不再使用"),
    "whole": ("whole", "完好"),
    "no digest known": ("no digest known", "没有可对照的摘要"),
    "download": ("download", "下载的文件"),
}


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
        print(_word("none").format(settings.cache_path))
    return 0


def _verify(settings: Settings, options: argparse.Namespace) -> int:
    from qwell.weights.inventory import listed

    rows = [_verified(item) for item in _named(settings, options) or listed(settings)]
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        print("\n".join(f"{_told(row['result'])}  {row['path']}" for row in rows))
    return int(any(row["result"].startswith("damaged") for row in rows))


def _verified(item: Item) -> dict[str, str]:
    from qwell.cli.progress import watching_weights
    from qwell.weights.inventory import verify

    if item.is_outdated:
        return {"path": str(item.path), "result": "outdated"}
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
        print(_word("removed").format(item.path))
    return 0


def _agreed(items: list[Item]) -> bool:
    """Asks in a terminal; without one, nothing is removed unasked."""
    print("\n".join(_line(item) for item in items))
    if not sys.stdin.isatty():
        print(_word("kept"), file=sys.stderr)
        return False
    return input(_word("ask")).strip().lower() in ("y", "yes", "是", "好")


def _named(settings: Settings, options: argparse.Namespace) -> list[Item]:
    from qwell.weights.inventory import chosen

    return chosen(settings, options.name) if options.name else []


def _line(item: Item) -> str:
    size = f"{item.n_bytes / 1e6:.0f} MB"
    if item.fault:
        return f"{_told(f'damaged ({item.fault})')}  {size}  {item.path}"
    if item.is_outdated:
        return f"{_told('outdated')}  {size}  {item.path}"
    kind = item.quant or _told(item.kind)
    return f"{item.name or item.path.name}  {kind}  {size}  {item.path}"


def _told(result: str) -> str:
    """What machines read as one English word, for people."""
    first, _, rest = result.partition(" (")
    return _word(first) + (f" ({rest}" if rest else "")


def _word(name: str) -> str:
    """What is not listed stays as it is."""
    return _WORDS.get(name, (name, name))[preferred() == "zh"]
