"""The documentation site: strict, whole in both languages, without the network, searchable."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parents[2]
# of these documents the site has no page: they are read where they lie
UNPUBLISHED = {"docs/lab/README.md", "docs/reports", "docs/walks"}


class References(HTMLParser):
    """What a page leads to, loads, and can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        self.loaded += [given["src"]] if "src" in given else []
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.append(given["href"])


def copy_to(folder: Path) -> list[str]:
    """Two builds of one tree would be in each other's way. Returns the command that builds."""
    for name in ("docs", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))
    for file in ROOT.glob("*.md"):
        shutil.copy(file, folder)
    return [sys.executable, str(folder / "scripts/build_site.py")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(copy_to(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build/site/html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, References]:
    found = [path for path in site.rglob("*.html") if path.name != "404.html"]
    return {path: References(path.read_text(encoding="utf-8")) for path in found}


def target_of(site: Path, page: Path, link: str) -> Path:
    path = unquote(urlsplit(link).path)
    where = site / path.lstrip("/") if path.startswith("/") else page.parent / path
    where = where.resolve()
    return where / "index.html" if where.is_dir() else where


def test_every_link_leads_somewhere(site: Path, pages: dict[Path, References]) -> None:
    """Also from one language to the other, and to the heading that is named."""
    wrong = []
    for page, found in pages.items():
        for link in found.links:
            if urlsplit(link).scheme:
                continue
            target = target_of(site, page, link) if urlsplit(link).path else page
            anchor = unquote(urlsplit(link).fragment)
            if target not in pages or (anchor and anchor not in pages[target].ids):
                wrong.append((str(page.relative_to(site)), link))
    assert not wrong


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, References]) -> None:
    for page, found in pages.items():
        for address in found.loaded:
            assert not urlsplit(address).netloc, (page, address)
            assert target_of(site, page, address).is_file(), (page, address)


def test_every_fault_has_a_page_in_both_languages(site: Path) -> None:
    faults = [it.stem for it in (ROOT / "docs/faults").glob("*.md") if it.stem != "README"]
    assert len(faults) > 50
    for fault in faults:
        for language in ("", "zh/"):
            assert (site / f"{language}troubleshoot/faults/{fault}/index.html").is_file(), fault


@pytest.mark.parametrize("section", ["start", "use", "troubleshoot"])
def test_what_people_need_first_is_there_in_chinese(site: Path, section: str) -> None:
    text = (site / "zh" / section / "index.html").read_text(encoding="utf-8")
    assert '<html lang="zh"' in text


def test_every_document_is_published(site: Path) -> None:
    documents = {str(it.relative_to(ROOT)) for it in (ROOT / "docs").rglob("*.md")}
    text = (ROOT / "docs/site.toml").read_text(encoding="utf-8")
    listed = {
        name
        for name in documents
        if f'"{name}"' in text or name.startswith(("docs/faults/", "docs/adr/"))
    }
    missing = documents - listed
    assert not [name for name in missing if not name.startswith(tuple(UNPUBLISHED))]


@pytest.fixture
def visitor(site: Path, browser: Browser) -> Iterator[Page]:
    """A page at the top of the served site."""
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser.new_context(base_url=f"http://127.0.0.1:{server.server_port}") as context:
            yield context.new_page()
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Tests have nobody who reads it."""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("top", "asked", "found"),
    [("/", "buffering", "Reverse proxy buffers"), ("/zh/", "缓冲", "反向代理缓冲了流式输出")],
)
def test_the_search_finds_a_fault(visitor: Page, top: str, asked: str, found: str) -> None:
    visitor.goto(top)
    visitor.locator(".md-search__button").click()
    visitor.get_by_role("combobox").fill(asked)
    hit = visitor.get_by_role("option").filter(has_text=found).first
    expect(hit).to_be_visible(timeout=20_000)
    hit.click()
    visitor.wait_for_url("**/troubleshoot/faults/proxy-buffering/**")


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    command = copy_to(tmp_path)
    with (tmp_path / "docs/start.md").open("a") as text:
        text.write("\n[gone](use.md#no-such-heading)\n")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "anchor does not exist" in done.stdout + done.stderr
