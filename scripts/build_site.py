"""Builds the documentation site into build/site/html, from docs/site.toml and what it names.

Two builds, English at the top and Chinese under zh/, each with its own search. Links between
files of the repository become links between pages; what is no page is linked where the source
lies. With --serve PORT it is shown on this machine afterwards. Uses no network.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

Language = Literal["en", "zh"]
ROOT = Path(__file__).parent.parent
WORK = ROOT / "build/site"
SOURCES = "https://github.com/qwell/qwell/blob/main"
ABOUT = {
    "en": "Private streaming chat with Qwen2.5 on machines without a GPU",
    "zh": "在没有 GPU 的机器上私有部署的 Qwen2.5 流式对话",
}
HOME = {"en": "Home", "zh": "首页"}
ENGLISH_ONLY = "{} (English)"
FEATURES = [
    "navigation.sections", "navigation.indexes", "navigation.top", "navigation.footer",
    "search.highlight", "content.code.copy",
]  # fmt: skip
_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """at: its place below the language's top; source: relative to the repository."""

    at: str
    source: str
    language: Language

    @property
    def file(self) -> str:
        """The page of a group is its index; its title in the navigation leads to it."""
        if not self.at:
            return "index.md"
        return f"{self.at}/index.md" if self.at in groups() else f"{self.at}.md"

    @property
    def title(self) -> str:
        text = (ROOT / self.source).read_text(encoding="utf-8")
        found = re.search(r"^# (.+)$", text, re.MULTILINE)
        return found[1] if found else self.at


def sections() -> list[dict[str, Any]]:
    return list(tomllib.loads((ROOT / "docs/site.toml").read_text(encoding="utf-8"))["section"])


@functools.cache
def groups() -> frozenset[str]:
    """Places that have others below them."""
    places = [it["at"] for section in sections() for it in section["pages"]]
    places += [f"{it}/" for section in sections() for it in _folders(section)]
    return frozenset(os.path.dirname(place) for place in places) - {""}  # noqa: PTH120  no file


def _folders(section: Mapping[str, Any]) -> list[str]:
    return [section[kind] for kind in ("faults", "decisions") if kind in section]


def pages_of(section: Mapping[str, Any], language: Language) -> Iterator[Page]:
    """In the order of the navigation; only what there is in this language."""
    for it in section["pages"]:
        if language in it:
            yield Page(it["at"], it[language], language)
    if place := section.get("faults"):
        folder = "docs/faults" if language == "en" else "docs/faults/zh"
        yield from _each(folder, place, language, "[!A-Z]*.md")
    if (place := section.get("decisions")) and language == "en":
        yield from _each("docs/adr", place, language, "0*.md")


def _each(folder: str, place: str, language: Language, pattern: str) -> Iterator[Page]:
    for file in sorted((ROOT / folder).glob(pattern)):
        yield Page(f"{place}/{file.stem}", f"{folder}/{file.name}", language)


def all_pages(language: Language) -> list[Page]:
    home = Page("", {"en": "README.md", "zh": "README.zh-CN.md"}[language], language)
    return [home, *(page for section in sections() for page in pages_of(section, language))]


class Site:
    """One language's sources, written for the generator."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.pages = all_pages(language)
        self.folder = WORK / language
        self._places = {page.source: page for page in self.pages}
        other: Language = "zh" if language == "en" else "en"
        self._others = {page.source: page for page in all_pages(other)}

    def write(self) -> Path:
        """The configuration's path; sources lie beside it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for page in self.pages:
            target = self.folder / page.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(self._text(page), encoding="utf-8")
        path = WORK / f"{self.language}.toml"
        path.write_text(self._configuration(), encoding="utf-8")
        return path

    def _text(self, page: Page) -> str:
        """With its links turned; what stands in a fence is no link."""
        text = (ROOT / page.source).read_text(encoding="utf-8")
        parts = _FENCE.split(text)
        turned = [
            part if part.startswith("```") else _LINK.sub(lambda it: self._link(page, it), part)
            for part in parts
        ]
        return "".join(turned)

    def _link(self, page: Page, link: re.Match[str]) -> str:
        words, target, anchor = link[1], link[2], link[3] or ""
        if re.match(r"[a-z]+:", target):
            return link[0]
        named = os.path.normpath(Path(page.source).parent / target)
        return f"{words}({self._target(page, named)}{anchor})"

    def _target(self, page: Page, named: str) -> str:
        here = Path(page.file).parent
        if (other := self._places.get(named)) is not None:
            return os.path.relpath(other.file, here)
        if (other := self._others.get(named)) is not None:
            return self._across(page, other)
        if Path(named).suffix in (".png", ".svg", ".jpg"):
            target = self.folder / here / Path(named).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / named, target)
            return target.name
        return f"{SOURCES}/{named}"

    def _across(self, page: Page, other: Page) -> str:
        """To the other language's site, which is a build of its own."""
        depth = len(Path(page.file).parent.parts) + (self.language == "zh")
        top = "../" * depth or "./"
        return f"{top}{'zh/' if other.language == 'zh' else ''}{other.at and other.at + '/'}"

    def _configuration(self) -> str:
        """TOML whose values are written as JSON, which TOML's strings, lists and numbers are."""
        lines = [
            "[project]",
            f"site_name = {_toml('qwell')}",
            f"site_description = {_toml(ABOUT[self.language])}",
            f"docs_dir = {_toml(self.language)}",
            f"site_dir = {_toml('html/zh' if self.language == 'zh' else 'html')}",
            f"nav = {_toml(self._navigation())}",
            "[project.theme]",
            f"language = {_toml(self.language)}",
            "font = false",  # the reader's own: nothing is loaded from elsewhere
            f"features = {_toml(FEATURES)}",
            "[[project.theme.palette]]",
            'media = "(prefers-color-scheme: light)"',
            'scheme = "default"',
            "[[project.theme.palette]]",
            'media = "(prefers-color-scheme: dark)"',
            'scheme = "slate"',
            "[[project.extra.alternate]]",
            f'name = "English"\nlink = {_toml(self._top("en"))}\nlang = "en"',
            "[[project.extra.alternate]]",
            f'name = "中文"\nlink = {_toml(self._top("zh"))}\nlang = "zh"',
            "[project.markdown_extensions]",
            "admonition = {}\nattr_list = {}\ntables = {}",
            '"pymdownx.superfences" = {}\n"pymdownx.highlight" = {}',
            "toc.permalink = true",
        ]
        return "\n".join(lines) + "\n"

    def _top(self, language: Language) -> str:
        """Relative to the top of this language's site."""
        if language == self.language:
            return "./"
        return "./zh/" if language == "zh" else "../"

    def _navigation(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = [{HOME[self.language]: "index.md"}]
        return items + [{it["title"][self.language]: self._entries(it)} for it in sections()]

    def _entries(self, section: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Pages; those of a folder below the folder's own; then what is only there in English."""
        mine, folders = list(pages_of(section, self.language)), _folders(section)
        below = {at: [page for page in mine if page.at.startswith(f"{at}/")] for at in folders}
        entries: list[dict[str, Any]] = [
            {page.title: [_entry(page), *map(_entry, below[page.at])]}
            if page.at in below
            else _entry(page)
            for page in mine
            if not page.at.startswith(tuple(f"{at}/" for at in folders))
        ]
        have = {page.at for page in mine}
        english = [page for page in pages_of(section, "en") if page.at not in have]
        return entries + [
            {ENGLISH_ONLY.format(page.title): f"../{page.at}/"}
            for page in english
            if "/decisions/" not in page.at
        ]


def _entry(page: Page) -> dict[str, Any]:
    return {page.title: page.file}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def build() -> Path:
    """The folder of the whole site. Raises CalledProcessError for a link that leads nowhere."""
    shutil.rmtree(WORK / "html", ignore_errors=True)
    program = Path(sys.executable).with_name("zensical")
    for language in ("en", "zh"):  # English first: its build empties the folder that holds both
        configuration = Site(language).write()
        command = [
            str(program),
            "build",
            "--strict",
            "--clean",
            "--config-file",
            str(configuration),
        ]
        subprocess.run(command, check=True, cwd=WORK)
    return WORK / "html"


def serve(folder: Path, port: int) -> None:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{port}")
        server.serve_forever()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", type=int, metavar="PORT", help="show it on this machine")
    options = parser.parse_args()
    folder = build()
    print(folder / "index.html")
    if options.serve:
        serve(folder, options.serve)
    return 0


if __name__ == "__main__":
    sys.exit(main())
