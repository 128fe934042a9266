"""The page and the answers: an old page after an upgrade, a lost history."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import until

from qwell.lab.rig.nginx import GOOD
from qwell.server.page import BUNDLE

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("language", ["zh", "en"])]

# loaded ahead: it has to work when the files it came from are gone
PANEL_IS_HERE = """() => performance.getEntriesByType("resource")
  .some((it) => it.name.includes("DoctorPanel") && it.responseEnd > 0)"""


def upgrade(bundle: Path) -> None:
    """Another build: every script has another name now, as no name ever means two contents."""
    scripts = sorted((bundle / "assets").glob("*.js"))
    names = re.compile("|".join(re.escape(script.name) for script in scripts))
    for path in (bundle / "index.html", *scripts):
        path.write_text(names.sub(r"newer-\g<0>", path.read_text()))
    for script in scripts:
        script.rename(script.with_name(f"newer-{script.name}"))


@pytest.fixture
def bundle() -> Iterator[Path]:
    """A copy of the page's files where nginx, which is another user, may read them."""
    with tempfile.TemporaryDirectory(prefix="page-") as folder:
        Path(folder).chmod(0o755)
        yield Path(shutil.copytree(BUNDLE, Path(folder) / "page"))


def test_a_page_of_yesterday(
    echo_url: str, begin: Any, behind_nginx: Any, bundle: Path, language: Any
) -> None:
    """nginx serves the page's files; after an upgrade the open page is an old one."""
    static = (
        "types { text/html html; text/javascript js; text/css css; }\n"
        f"location = / {{ root {bundle}; try_files /index.html =404; }}\n"
        f"location /assets/ {{ root {bundle}; }}"
    )
    proxy = behind_nginx(echo_url, GOOD, static)
    title = ("升级之后页面还是旧的", "After an upgrade the page is still the old one")
    walk = begin(proxy.url, "stale-page", language, title=title)
    until(walk.page, PANEL_IS_HERE)
    upgrade(bundle)
    walk.open_panel()
    walk.say("升级之后页面还是旧的，像是缓存", "After the upgrade the page is still the old one")
    walk.expect_diagnosis("stale-frontend-cache")
    walk.show(walk.panel.locator(".diagnosis-card").last)
    walk.step("说出症状", "Tell the symptom")
    walk.panel.locator(".card.remedy.open").get_by_role("button").last.click()  # rather by hand
    walk.panel.locator(".card.ask.open").wait_for()
    walk.page.reload()
    walk.expect_fixed()
    walk.step("刷新之后检查变绿", "Loaded anew: green")
    walk.end()


def test_a_history_that_is_not_sent(echo_url: str, begin: Any, language: Any) -> None:
    """The page sends it: the trouble is in somebody's own program, which no check here sees."""
    title = ("记不住前面的话", "What was said before is forgotten")
    walk = begin(echo_url, "history-not-sent", language, title=title)
    walk.open_panel()
    walk.say(
        "用我自己写的程序调用接口，模型记不住上一句，每次都像第一次说话",
        "My own program calls the API, and the model forgets what I said one message before",
    )
    walk.expect_diagnosis("history-not-sent")
    walk.show(walk.panel.locator(".diagnosis-card").last)
    walk.step("说出症状", "Tell the symptom")
    walk.press(walk.words("好了", "It works now"))
    walk.expect_fixed()
    walk.step("按您所说已解决", "Noted as solved on your word")
    walk.end()
