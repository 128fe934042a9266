"""The doctor's panel in a real browser: how it opens, lasts, reads, fits and obeys keys."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
TURN_MS = 60_000
LOG = "INFO start\nINFO load\nOSError: Can't load config for './model'\nINFO bye\n" + "\n".join(
    f"INFO line {n}" for n in range(30)
)


def open_panel(page: Page, name: str = "Open the diagnosis") -> None:
    page.get_by_role("button", name=name).click()
    page.locator(".log-input").wait_for()


def wait_for_turn(page: Page) -> None:
    page.locator(".side-panel .card.open, .side-panel .end").last.wait_for(timeout=TURN_MS)
    expect(page.locator(".working")).to_have_count(0, timeout=TURN_MS)


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa']})")
    return [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found["violations"]]


@pytest.mark.parametrize("way", ["/doctor", "#/doctor"])
def test_a_command_and_a_link_open_it(echo_url: str, visit: Any, way: str) -> None:
    seen = visit(echo_url + ("/" + way if way.startswith("#") else ""))
    if not way.startswith("#"):
        seen.ask(way)
    expect(seen.page.locator(".side-panel .log-input")).to_be_visible()
    seen.page.keyboard.press("Escape")
    expect(seen.page.locator(".side-panel")).to_have_count(0)


def test_a_log_shows_the_telling_line_and_a_reload_shows_the_case_again(
    echo_url: str, visit: Any
) -> None:
    seen = visit(echo_url)
    page = seen.page
    open_panel(page)
    page.locator(".log-input").evaluate(
        """(zone, text) => {
          const data = new DataTransfer();
          data.items.add(new File([text], "serve.log"));
          for (const type of ["dragover", "drop"])
            zone.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true}));
        }""",
        LOG,
    )
    field = page.locator(".log-input textarea")
    expect(field).to_have_value(LOG)
    expect(page.locator(".composer .files li")).to_have_count(0)  # the chat did not take it, too
    field.press("Enter")
    telling = page.locator(".pasted .telling")
    expect(telling).to_have_text(["OSError: Can't load config for './model'"], timeout=TURN_MS)
    expect(page.locator(".pasted li")).to_have_count(3)  # with one line around it on each side
    page.get_by_role("button", name="Show all 34 lines").click()
    expect(page.locator(".pasted li")).to_have_count(34)
    wait_for_turn(page)
    before = page.locator(".doctor-view").inner_text()
    page.reload()
    wait_for_turn(page)
    page.get_by_role("button", name="Show all 34 lines").click()
    assert page.locator(".doctor-view").inner_text() == before
    case = page.evaluate("sessionStorage.getItem('qwell.doctor.case')")
    page.evaluate("sessionStorage.clear()")
    page.goto(f"{echo_url}/#/doctor/{case}")
    page.reload()
    expect(telling).to_have_count(1)


def test_what_the_browser_found_is_known_to_the_server(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    with seen.page.expect_response("**/api/doctor") as posted:
        open_panel(seen.page)
    assert posted.value.ok
    with urllib.request.urlopen(f"{echo_url}/api/doctor/facts", timeout=30) as response:
        found = {it["check"]: it for it in json.load(response)["posted"]}
    assert len(found) >= 15
    assert {it["status"] for it in found.values()} <= {"pass", "skip"}
    facts = {fact["key"]: fact["value"] for fact in found["browser.reachable"]["evidence"]}
    assert facts["request_id"]


def test_everything_can_be_checked_and_is_shown_by_layer(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url)
    page = seen.page
    open_panel(page)
    page.get_by_role("tab", name="Talk it through").press("ArrowRight")
    expect(page.get_by_role("tab", name="Checks")).to_be_focused()
    page.get_by_role("button", name="Check everything").click()
    expect(page.get_by_role("button", name="Check again")).to_be_visible(timeout=TURN_MS)
    layers = page.locator(".chain-layer strong").all_inner_texts()
    assert {"Machine", "Model", "Engine", "Server", "Network", "Browser"} <= set(layers)
    assert page.locator(".layer-dot.pass").count() >= 5


INCIDENT = {
    "id": "1",
    "check": "api.ready",
    "layer": "api",
    "fault": "worker-crashed",
    "because": "not ready",
    "opened": 1_767_225_600,
    "seen": 1_767_225_660,
    "closed": 0,
    "count": 3,
    "evidence": [{"key": "status", "value": 503, "source": "GET /ready"}],
    "events": [[1_767_225_600, "opened"], [1_767_225_630, "restart-worker: undone"]],
}


def test_an_incident_shows_its_time_line_and_leads_to_the_dialogue(
    echo_url: str, visit: Any
) -> None:
    body = {"open": 1, "incidents": [INCIDENT, INCIDENT | {"id": "2", "closed": 1_767_225_700}]}

    def route(page: Page) -> None:
        page.route("**/api/incidents", lambda route: route.fulfill(json=body))

    page = visit(echo_url, before=route).page
    open_panel(page)
    page.get_by_role("tab", name="Incidents").click()
    expect(page.locator(".incident")).to_have_count(2)
    first = page.locator(".incident.open")
    expect(first.locator(".timeline li span")).to_have_text(["began", "restart-worker: undone"])
    expect(first).to_contain_text("seen 3 times")
    expect(first.locator("header .title")).to_have_text("The engine stopped unexpectedly")
    page.get_by_role("button", name="中文").click()
    expect(first.locator("header .title")).to_have_text("推理引擎意外停止")
    page.get_by_role("button", name="EN", exact=True).click()
    first.get_by_role("button", name="Solve this step by step").click()
    wait_for_turn(page)
    expect(page.locator(".dialogue .say").first).to_be_visible()


def test_no_complaint_is_cut_off_on_a_phone(echo_url: str, visit: Any) -> None:
    page = visit(echo_url, viewport={"width": 360, "height": 740}).page
    open_panel(page)
    boxes = [it.bounding_box() for it in page.locator(".complaints button").all()]
    assert max(box["x"] + box["width"] for box in boxes if box) <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_is_in_the_way(echo_url: str, visit: Any, scheme: str) -> None:
    seen = visit(echo_url, color_scheme=scheme)
    page = seen.page
    open_panel(page)
    assert violations(page) == []
    page.locator(".log-input textarea").fill(LOG)
    page.keyboard.press("Enter")
    wait_for_turn(page)
    assert violations(page) == []
    page.get_by_role("tab", name="Checks").click()
    assert violations(page) == []


def test_on_a_phone_it_takes_the_whole_width(echo_url: str, visit: Any) -> None:
    seen = visit(echo_url, viewport={"width": 360, "height": 740}, locale="zh-CN")
    page = seen.page
    open_panel(page, "打开诊断")
    page.locator(".log-input textarea").fill("x" * 200)
    page.keyboard.press("Enter")
    wait_for_turn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    view = page.locator(".doctor-view")
    assert view.evaluate("it => it.scrollWidth - it.clientWidth") == 0
    box = page.locator(".side-panel").bounding_box()
    assert box is not None
    assert box["width"] == 360
