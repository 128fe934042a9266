"""Writes docs/faults and the packed catalogue, or with --check fails when they are out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from qwell.doctor.catalogue import Catalogue, load
from qwell.doctor.catalogue_pack import PACK, pack
from qwell.doctor.fault import Language
from qwell.doctor.finding import LAYERS
from qwell.doctor.read_pattern import anchors_of
from qwell.doctor.render import fault_to_markdown, word

FOLDER = Path(__file__).parent.parent / "docs" / "faults"
HEAD: dict[Language, str] = {
    "en": "# Faults\n\n[中文](zh/README.md)\n\nMade from the catalogue by "
    "`scripts/generate_faults.py`. In the terminal: `qwell explain FAULT`.\n",
    "zh": "# 故障\n\n[English](../README.md)\n\n由 `scripts/generate_faults.py` 从故障目录生成。"
    "在终端：`qwell explain FAULT --lang zh`。\n",
}


def pages() -> dict[Path, str]:
    """Path and content of every page, both languages."""
    catalogue = load()
    return {**_pages_in("en", FOLDER, catalogue), **_pages_in("zh", FOLDER / "zh", catalogue)}


def packed_catalogue() -> str:
    """All of the catalogue in one file, with what takes time to work out."""
    known = load()
    patterns = [*known.patterns_of_lines(), *known.patterns_of_words()]
    return pack({pattern: anchors_of(pattern) for pattern in patterns})


def _pages_in(language: Language, folder: Path, catalogue: Catalogue) -> dict[Path, str]:
    made = {
        folder / f"{fault.id}.md": fault_to_markdown(fault, language, catalogue)
        for fault in catalogue.faults.values()
    }
    return {folder / "README.md": _index(language, catalogue), **made}


def _index(language: Language, catalogue: Catalogue) -> str:
    parts = [HEAD[language]]
    for layer in LAYERS:
        faults = [fault for fault in catalogue.faults.values() if fault.layer == layer]
        rows = [f"- [{f.title.text_in(language)}]({f.id}.md) `{f.id}`" for f in faults]
        parts.append("\n".join([f"## {layer}", "", *rows, ""]))
    harmless = [f"- `{h.id}` {h.summary.text_in(language)}" for h in catalogue.harmless]
    parts.append("\n".join([f"## {word('harmless', language)}", "", *harmless, ""]))
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if stale")
    wanted = {**pages(), PACK: packed_catalogue()}
    paths = [*FOLDER.rglob("*.md"), *([PACK] if PACK.is_file() else [])]
    there = {path: path.read_text(encoding="utf-8") for path in paths}
    if parser.parse_args().check:
        print("faults:", "up to date" if there == wanted else "run scripts/generate_faults.py")
        return 0 if there == wanted else 1
    for path in there.keys() - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
