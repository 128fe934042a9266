"""`qwell health`: the health check of containers, without curl. Standard library only."""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from qwell.cli.address import url_given, url_of
from qwell.cli.language import preferred
from qwell.config import load

TIMEOUT_S = 5.0
_WORDS = {
    "silent": ("no answer", "没有应答"),
    "start": (
        "start it with `qwell serve`; `qwell doctor` says what is wrong",
        "用 `qwell serve` 启动；`qwell doctor` 会指出问题",
    ),
    "fix": ("; fix: ", "；解决办法："),
}
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def run(options: argparse.Namespace) -> int:
    """Prints one line, and the fix where one is known, or JSON. Exit code 0 healthy, 1 not."""
    path = "/ready" if options.ready else "/health"
    url = (url_given(options.url) or _own_url(options)).rstrip("/") + path
    try:
        status, body = _ask(url)
    except (OSError, ValueError) as error:
        status, body = 0, _silence(error)
    if options.json:
        print(json.dumps({"url": url, "http_status": status, **body}, ensure_ascii=False))
    else:
        print(f"{url}: {_summary(status, body)}")
    return 0 if status == 200 else 1


def _own_url(options: argparse.Namespace) -> str:
    settings, _ = load(vars(options))
    return url_of(settings.host, settings.port)


def _ask(url: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON body. This machine is asked directly, whatever proxy is configured."""
    is_near = urlsplit(url).hostname in _LOOPBACK
    proxies = [urllib.request.ProxyHandler({})] if is_near else []
    opener = urllib.request.build_opener(*proxies)
    request = urllib.request.Request(url, headers={"Accept-Language": preferred()})  # noqa: S310  http or https: see url_given
    try:
        with opener.open(request, timeout=TIMEOUT_S) as response:
            return response.status, _json(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _json(error.read())


def _silence(error: OSError | ValueError) -> dict[str, str]:
    """Nobody there, or nobody who speaks like a server."""
    detail = str(getattr(error, "reason", error))
    return {"title": _word("silent"), "detail": detail, "fix": _word("start")}


def _word(name: str) -> str:
    return _WORDS[name][preferred() == "zh"]


def _json(text: bytes) -> dict[str, Any]:
    body = json.loads(text)
    return body if isinstance(body, dict) else {}


def _summary(status: int, body: dict[str, Any]) -> str:
    if status == 200:
        return str(body.get("status", "ok"))
    fix = f"{_word('fix')}{body['fix']}" if "fix" in body else ""
    code = f"{status} " if status else ""
    return f"{code}{body.get('title', '')}: {body.get('detail', '')}{fix}"
