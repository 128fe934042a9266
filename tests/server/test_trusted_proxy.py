"""The client's address is what a trusted proxy says, and nobody else's word for it."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.server.app import create_app

pytestmark = pytest.mark.anyio
FORWARDED = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "https"}


async def address_seen(app: Any, caplog: pytest.LogCaptureFixture) -> str:
    caplog.set_level(logging.INFO, "qwell.server.request")
    transport = httpx.ASGITransport(app, client=("10.0.0.5", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        await client.get("/health", headers=FORWARDED)
    return str(vars(caplog.records[-1])["client"])


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [
        ((), "10.0.0.5"),
        (("127.0.0.1",), "10.0.0.5"),
        (("10.0.0.5",), "198.51.100.7"),
        (("10.0.0.0/8", "198.51.100.7"), "203.0.113.9"),
    ],
)
async def test_only_named_proxies_are_believed(
    make_app: Any, caplog: pytest.LogCaptureFixture, trusted: Any, seen: str
) -> None:
    assert await address_seen(make_app(trusted_proxy=trusted), caplog) == seen


async def test_on_a_port_nobody_is_believed_by_default(
    make_app: Any, served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "qwell.server.request")
    async with served(make_app()) as url, httpx.AsyncClient() as client:
        await client.get(f"{url}/health", headers=FORWARDED)
    assert "127.0.0.1" in [vars(r).get("client") for r in caplog.records]


async def test_the_cookie_is_secure_behind_a_tls_proxy(make_app: Any) -> None:
    app = make_app(api_key="s3cret", trusted_proxy=("10.0.0.5",))
    transport = httpx.ASGITransport(app, client=("10.0.0.5", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        response = await client.get("/?key=s3cret", headers=FORWARDED)
    assert "Secure" in response.headers["set-cookie"]


@pytest.mark.parametrize("proxy", ["10.0.0.0/33", "nginx", "*"])
def test_what_is_no_address_stops_the_start(worker: Any, proxy: str) -> None:
    with pytest.raises(QwellError) as refused:
        create_app(Settings(trusted_proxy=(proxy,)), worker)
    assert refused.value.fault == "config-invalid"
    assert proxy in refused.value.found
