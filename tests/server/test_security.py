"""Who may talk to the server: hosts, origins, keys, sizes; and what every answer carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from qwell.errors import QwellError
from qwell.server.host_check import is_allowed, own_names

pytestmark = pytest.mark.anyio
NAMES = own_names("nas.example", ["https://chat.example.com:8443"])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "127.0.0.1:8000",
        "[::1]:8000",
        "192.168.1.7",
        "qwell:8000",
        "app.localhost",
        "LOCALHOST",
        "localhost.",
        "nas.example",
        "chat.example.com:8443",
    ],
)
def test_own_hosts_are_let_in(host: str) -> None:
    assert is_allowed(host, NAMES)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost.evil.example:80"]
)
def test_foreign_hosts_are_not(host: str) -> None:
    assert not is_allowed(host, NAMES)


async def test_dns_rebinding_is_refused_with_the_setting(client: httpx.AsyncClient) -> None:
    response = await client.get("/", headers={"Host": "evil.example"})
    assert response.status_code == 403
    assert response.json()["type"] == "/faults/host-not-allowed"
    assert "--cors-origin https://evil.example" in response.json()["fix"]


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "GET", "DELETE"])
async def test_a_foreign_origin_is_refused_with_the_setting(
    client: httpx.AsyncClient, method: str, worker: Any
) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    response = await client.request(method, "/api/chat", headers=headers, json={})
    assert response.status_code == 403
    assert response.json()["type"] == "/faults/cors-blocked"
    assert "qwell serve --cors-origin http://evil.example" in response.json()["fix"]
    assert not worker.requests


@pytest.mark.parametrize("origin", ["null", "http://testserver.evil.example", "http://[", "x"])
async def test_odd_origins_are_foreign(client: httpx.AsyncClient, origin: str) -> None:
    assert (await client.get("/version", headers={"Origin": origin})).status_code == 403


async def test_behind_a_proxy_that_changes_the_host_the_page_still_opens(
    client: httpx.AsyncClient,
) -> None:
    """Browsers name the origin for scripts and styles, too; what the page sends is refused."""
    headers = {"Origin": "https://chat.example"}
    assert (await client.get("/assets/app-1a2b3c.js", headers=headers)).status_code == 200
    assert (await client.post("/assets/app-1a2b3c.js", headers=headers)).status_code == 403
    assert (await client.get("/api/conversations", headers=headers)).status_code == 403


async def test_the_own_page_may_talk(client: httpx.AsyncClient, question: Any) -> None:
    headers = {"Origin": "https://testserver"}
    assert (await client.post("/api/chat", json=question, headers=headers)).status_code == 200


async def test_an_allowed_origin_passes_preflight_and_request(
    make_app: Any, client_of: Any, question: Any
) -> None:
    client = client_of(make_app(cors_origin=("http://app.example/",)), origin="http://app.example")
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    preflight = await client.options("/api/chat", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "http://app.example"
    response = await client.post("/api/chat", json=question)
    assert response.headers["access-control-allow-origin"] == "http://app.example"
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("origin", ["app.example", "http://", "https://app.example/chat"])
def test_what_can_be_no_origin_is_refused(make_app: Any, origin: str) -> None:
    with pytest.raises(QwellError, match="cors_origin"):
        make_app(cors_origin=(origin,))


async def test_a_key_is_asked_for_where_it_matters(make_app: Any, client_of: Any) -> None:
    client = client_of(make_app(api_key="s3cret"))
    for path in ("/v1/models", "/api/streams/x"):
        response = await client.get(path)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    for path in ("/health", "/ready", "/version", "/"):
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/v1/models")).json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer s3cret"}, 200),
        ({"Authorization": "bearer  s3cret"}, 200),
        ({"X-Api-Key": "s3cret"}, 200),
        ({"Authorization": "Bearer s3cre"}, 401),
        ({"Authorization": "Basic s3cret"}, 401),
        ({"Authorization": "Bearer \xe9".encode("latin-1")}, 401),
        ({"Cookie": "qwell_key=s3cret"}, 401),
        ({"Cookie": "=;;qwell_key"}, 401),
    ],
)
async def test_only_the_key_opens(make_app: Any, client_of: Any, headers: Any, status: int) -> None:
    client = client_of(make_app(api_key="s3cret"))
    assert (await client.get("/v1/models", headers=headers)).status_code == status


async def test_without_a_key_any_key_is_accepted(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/models", headers={"Authorization": "Bearer whatever"})
    assert response.status_code == 200


async def test_a_browser_logs_in_once_with_the_address(make_app: Any, client_of: Any) -> None:
    client = client_of(make_app(api_key="s3cret"))
    assert (await client.get("/?key=wrong")).status_code == 401
    response = await client.get("/?key=s3cret")
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "s3cret" not in cookie
    assert (await client.get("/v1/models")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/nothing.txt", "/api/chat"])
async def test_every_answer_carries_the_security_headers(
    client: httpx.AsyncClient, path: str
) -> None:
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


async def test_a_large_body_is_refused_before_it_is_read(client: httpx.AsyncClient) -> None:
    headers = {"Content-Length": str(8 * 2**20 + 1)}
    response = await client.post("/api/chat", content=b"", headers=headers)
    assert response.status_code == 413
    assert response.json()["type"] == "/faults/body-too-large"


async def test_a_large_body_without_a_length_is_refused_while_it_is_read(
    client: httpx.AsyncClient,
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * (1024 * 1024)

    response = await client.post("/api/chat", content=pieces())
    assert response.status_code == 413
    assert response.json()["type"] == "/faults/body-too-large"
