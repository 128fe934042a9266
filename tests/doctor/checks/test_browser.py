"""What browsers are given, and what the page found in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qwell.doctor.answer import Answer
from qwell.doctor.posted import PROBES

Status = Callable[[str, Any], str]
PAGE = b'<!doctype html><script src="/assets/app-1.js"></script>'


@pytest.fixture
def page(served: Any) -> Any:
    served.serve("/", PAGE, **{"cache-control": "no-cache"})
    served.serve("/assets/app-1.js", b"run()")
    return served


def test_a_page_that_is_well(page: Any, status: Status) -> None:
    for name in ("page", "assets", "page_policy", "page_not_cached", "allowed_origins"):
        assert status(f"browser.{name}", page) == "pass", name


def test_a_page_that_was_not_built(page: Any, status: Status) -> None:
    page.serve("/", b"<!doctype html><p>plain")
    assert status("browser.page", page) == "fail"


def test_an_asset_that_is_not_there(page: Any, status: Status) -> None:
    page.serve("/assets/app-1.js", b"<!doctype html>")
    assert status("browser.assets", page) == "fail"


def test_an_asset_that_does_not_come_in_time_is_not_missing(page: Any, status: Status) -> None:
    page.answers.pop("/assets/app-1.js")
    assert status("browser.assets", page) == "skip"


def test_a_policy_that_forbids_the_page(page: Any, status: Status) -> None:
    page.serve("/", PAGE, **{"content-security-policy": "default-src 'none'"})
    assert status("browser.page_policy", page) == "fail"


def test_a_page_that_is_kept(page: Any, status: Status) -> None:
    page.serve("/", PAGE, **{"cache-control": "public, max-age=86400"})
    assert status("browser.page_not_cached", page) == "fail"


def test_an_origin_of_the_settings_that_is_refused(make_machine: Any, status: Status) -> None:
    machine = make_machine(cors_origin=("https://chat.example",))
    machine.serve("/api/chat", {}, 403)
    assert status("browser.allowed_origins", machine) == "fail"
    allowed = {"access-control-allow-origin": "https://chat.example"}
    machine.answers["/api/chat"] = Answer(200, allowed)
    assert status("browser.allowed_origins", machine) == "pass"


def test_every_origin_together_with_credentials(served: Any, status: Status) -> None:
    assert status("browser.credentials", served) == "pass"
    both = {"access-control-allow-origin": "*", "access-control-allow-credentials": "true"}
    served.serve("/version", {"name": "qwell"}, **both)
    assert status("browser.credentials", served) == "fail"


@pytest.mark.parametrize("probe", PROBES)
def test_what_the_page_posted(with_facts: Any, outcome: Any, probe: str) -> None:
    assert outcome(probe, with_facts()).status == "skip"
    evidence = [{"key": "url", "value": "http://x"}]
    posted = [{"check": probe, "status": "fail", "because": "blocked", "evidence": evidence}]
    machine = with_facts(posted=posted)
    machine._kept.clear()
    found = outcome(probe, machine)
    assert (found.status, found.because) == ("fail", "blocked")
    assert found.evidence[0].value == "http://x"
