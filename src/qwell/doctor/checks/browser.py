"""The page: what the browser is given, and what the page itself found out in the browser.

The first half asks the server as a browser would; the second half repeats what the page posted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qwell.doctor.finding import Facts, Outcome, Status, check, failed, passed, skipped
from qwell.doctor.posted import PROBES

if TYPE_CHECKING:
    from qwell.doctor.system import System

OURS = ("api.identity",)
_ASSET = re.compile(r'(?:src|href)="(/?assets/[^"]+)"')


@check("browser.page", layer="browser", needs=OURS)
def page(system: System) -> Outcome:
    """The chat page is served."""
    answer = system.get("/")
    if answer is None or answer.status != 200 or not answer.is_html:
        status = answer.status if answer is not None else 0
        return failed("no page", "GET /", status=status)
    if not _ASSET.search(answer.body.decode("utf-8", "replace")):
        return failed("the page was not built", "GET /", status=answer.status)
    return passed("GET /", bytes=len(answer.body))


@check("browser.assets", layer="browser", needs=("browser.page",), timeout_s=8.0)
def assets(system: System) -> Outcome:
    """Scripts and styles that the page names are there, as what they are."""
    answer = system.get("/")
    names = _ASSET.findall(answer.body.decode("utf-8", "replace")) if answer else []
    for name in names[:6]:
        path = "/" + name.lstrip("/")
        part = system.get(path)
        if part is None:
            return skipped("no answer in time: api.awake says more", path=path)
        if part.status != 200 or part.is_html:
            facts: Facts = {"path": path, "status": part.status}
            return failed("a part of the page is missing", "GET", **facts)
    return passed("GET", n_assets=len(names))


@check("browser.page_policy", layer="browser", needs=("browser.page",))
def page_policy(system: System) -> Outcome:
    """The content security policy that arrives lets the page's own script run."""
    answer = system.get("/")
    policy = answer.headers.get("content-security-policy", "") if answer else ""
    sources = re.search(r"script-src ([^;]*)", policy) or re.search(r"default-src ([^;]*)", policy)
    if sources and "'self'" not in sources[1] and "*" not in sources[1]:
        return failed("the policy forbids the page's script", "header", policy=policy[:200])
    return passed("header", policy=policy[:200])


@check("browser.page_not_cached", layer="browser", needs=("browser.page",))
def page_not_cached(system: System) -> Outcome:
    """The page itself is asked for each time, so that no old one is shown."""
    answer = system.get("/")
    control = answer.headers.get("cache-control", "") if answer else ""
    age = re.search(r"max-age=(\d+)", control)
    if (age and int(age[1]) > 0) or "immutable" in control:
        return failed("the page may be kept", "Cache-Control", cache_control=control)
    return passed("Cache-Control", cache_control=control)


@check("browser.allowed_origins", layer="browser", needs=OURS)
def allowed_origins(system: System) -> Outcome:
    """Pages of the origins in the settings are let in."""
    for origin in system.settings.cors_origin:
        if origin == "*":
            continue
        try:
            answer = system.http(
                "/api/chat",
                method="OPTIONS",
                headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
            )
        except OSError as error:
            return skipped(str(error))
        allowed = answer.headers.get("access-control-allow-origin", "")
        if allowed not in (origin, "*"):
            facts: Facts = {"origin": origin, "status": answer.status, "allowed": allowed}
            return failed("an origin of the settings is refused", "OPTIONS /api/chat", **facts)
    return passed("OPTIONS /api/chat", n_origins=len(system.settings.cors_origin))


@check("browser.credentials", layer="browser", needs=OURS)
def credentials(system: System) -> Outcome:
    """No answer allows every origin and credentials at once, which browsers refuse."""
    headers = {"Origin": "https://example.com"}
    try:
        answer = system.http("/version", headers=headers)
    except OSError as error:
        return skipped(str(error))
    origin = answer.headers.get("access-control-allow-origin", "")
    with_key = answer.headers.get("access-control-allow-credentials", "")
    if origin == "*" and with_key == "true":
        return failed("'*' together with credentials", "GET /version", allowed=origin)
    return passed("GET /version", allowed=origin)


def _repeat(probe: str) -> Callable[[System], Outcome]:
    def run(system: System) -> Outcome:
        found: dict[str, Any] = next(
            (f for f in system.facts.get("posted", []) if f.get("check") == probe), {}
        )
        if not found:
            return skipped("no page has posted it: open the page and run its self-test")
        facts: Facts = {str(e.get("key")): e.get("value", "") for e in found.get("evidence", [])}
        made = passed("browser", **facts)
        return Outcome(Status(found["status"]), str(found.get("because", "")), made.evidence)

    run.__doc__ = f"What the page found: {probe.partition('.')[2].replace('_', ' ')}."
    return run


for _probe in PROBES:
    check(_probe, layer="browser", needs=OURS)(_repeat(_probe))
