"""A visit of a real Chromium, in a process of its own: what its console and its page show.

    python -m qwell.lab.rig.visit URL

Knows no fault. Needs playwright and Chromium.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwell.lab.patient import Patient

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP chat.example.com 127.0.0.1",
]
SETTLE_MS = 15_000


@dataclass(frozen=True, slots=True)
class Visit:
    """console: as a person would copy it from the tools; text: what the page shows."""

    console: str
    text: str


def visit(patient: Patient, url: str) -> Visit:
    """Open the page, wait until nothing more is loaded."""
    done = patient.program(sys.executable, "-m", "qwell.lab.rig.visit", url)
    line = done.stdout.strip().rpartition("\n")[2]
    found = json.loads(line) if line.startswith("{") else {"console": done.stdout, "text": ""}
    return Visit(found["console"], found["text"])


def _visit(url: str) -> dict[str, str]:
    from playwright.sync_api import Error, sync_playwright

    lines: list[str] = []
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_context(ignore_https_errors=True, locale="en-US").new_page()
        page.on("console", lambda message: lines.append(message.text))
        page.on("pageerror", lambda error: lines.append(f"Uncaught {error.name}: {error.message}"))
        page.on(
            "requestfailed",
            lambda request: lines.append(f"{request.method} {request.url} {request.failure}"),
        )
        try:
            page.goto(url, wait_until="networkidle", timeout=SETTLE_MS)
            text = page.inner_text("body", timeout=2000)
        except Error as error:
            text = ""
            lines.append(error.message.partition("\n")[0])
        browser.close()
    return {"console": "\n".join(lines), "text": text.strip()}


if __name__ == "__main__":
    print(json.dumps(_visit(sys.argv[1])))
