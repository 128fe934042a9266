"""The page as an app: it opens without its server, and after an upgrade it is the new one."""

from __future__ import annotations

import gzip
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.conftest import until

from qwell.server.page import BUNDLE

pytestmark = pytest.mark.browser

FIRST_LOAD_BYTES = 350 * 1024


def test_the_first_load_is_light() -> None:
    index = (BUNDLE / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', index)
    total = sum(len(gzip.compress((BUNDLE / name).read_bytes())) for name in scripts)
    assert scripts
    assert total <= FIRST_LOAD_BYTES, f"{total / 1024:.0f} KB"


def ready_worker(page: Page) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    until(page, "() => navigator.serviceWorker.controller !== null")


def test_it_can_be_installed(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url, service_workers="allow")
    ready_worker(seen.page)
    devtools = seen.page.context.new_cdp_session(seen.page)
    manifest = devtools.send("Page.getAppManifest")
    assert manifest["errors"] == []
    errors = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [it["errorId"] for it in errors if it["errorId"] != "in-incognito"] == []


def test_it_opens_without_its_server_and_says_so(serve: Any, visit: Any, wired: Any) -> None:
    wire = wired(urlsplit(serve()).port)
    seen = visit(f"http://127.0.0.1:{wire.port}", service_workers="allow")
    seen.tolerated = "ERR_"
    seen.ask("kept")
    seen.wait_for_answers(1)
    ready_worker(seen.page)
    until(seen.page, "() => localStorage.length > 0")
    wire.cut()
    seen.page.reload()
    expect(seen.page.locator(".banner")).to_contain_text("The server cannot be reached")
    expect(seen.page.locator(".banner")).to_contain_text("kept in this browser")
    expect(seen.page.locator(".answer .markdown")).to_have_text("kept")


class Bundle(SimpleHTTPRequestHandler):
    """The files of a page as the server gives them, without a server behind."""

    def end_headers(self) -> None:
        hashed = self.path.startswith("/assets/")
        self.send_header("Cache-Control", "immutable, max-age=9999" if hashed else "no-cache")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def files_of(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Bundle, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def rebuilt(folder: Path) -> None:
    """The same page with another hash, another title, and without the file that it had before."""
    (old,) = re.findall(r'src="/(assets/index-[^"]+\.js)"', (folder / "index.html").read_text())
    new = re.sub(r"index-[^.]+", "index-REBUILT1", old)
    (folder / new).write_text(
        (folder / old).read_text(encoding="utf-8") + ";document.title='new page'", encoding="utf-8"
    )
    (folder / old).unlink()
    for file in (folder / "index.html", folder / "sw.js", *folder.glob("assets/*.js")):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(Path(old).name, Path(new).name), encoding="utf-8")


def upgrade(served: Path) -> None:
    """At one stroke, as a server that starts again does: a browser may look at any moment."""
    shutil.copytree(served.resolve(), served.with_name("new"))
    rebuilt(served.with_name("new"))
    served.with_name("link").symlink_to("new")
    served.with_name("link").replace(served)


def test_the_visit_after_an_upgrade_shows_the_new_page(visit: Any, tmp_path: Path) -> None:
    shutil.copytree(BUNDLE, tmp_path / "old")
    served = tmp_path / "page"
    served.symlink_to("old")
    with files_of(served) as url:
        seen = visit(url, service_workers="allow")
        seen.tolerated = "40"  # no API behind it
        ready_worker(seen.page)
        seen.page.reload()  # now the worker serves it
        assert seen.page.title() == "qwell"
        upgrade(served)
        other = seen.page.context.new_page()
        other.goto(url)
        expect(other).to_have_title("new page")
        toast = seen.page.locator(".toast")
        expect(toast).to_contain_text("A new version of this page is here.")
        toast.get_by_role("button", name="Reload").click()
        expect(seen.page).to_have_title("new page")
        for page in (seen.page, other):
            page.goto("about:blank")  # nobody asks a server that is about to go
