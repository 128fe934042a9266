"""The bundle is served with the right caching and nothing beside it; without it, plain HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from qwell.errors import QwellError

pytestmark = pytest.mark.anyio
BROWSER = {"Accept": "text/html,*/*"}


async def test_the_page_is_asked_for_every_time(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    assert '<div id="root"></div>' in response.text
    assert response.headers["cache-control"] == "no-cache"


async def test_hashed_assets_are_kept_for_a_year(client: httpx.AsyncClient) -> None:
    response = await client.get("/assets/app-1a2b3c.js")
    assert response.text == "console.log(1)"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_scripts_travel_compressed_where_they_may(client: httpx.AsyncClient) -> None:
    url = "/assets/app-1a2b3c.js"
    packed = await client.get(url, headers={"Accept-Encoding": "gzip"})
    plain = await client.get(url, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text == "console.log(1)"
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


async def test_other_files_are_revalidated(client: httpx.AsyncClient) -> None:
    first = await client.get("/favicon.svg")
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get("/favicon.svg", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


async def test_places_inside_the_page_are_the_page(client: httpx.AsyncClient) -> None:
    response = await client.get("/c/some-conversation", headers=BROWSER)
    assert response.status_code == 200
    assert 'id="root"' in response.text


@pytest.mark.parametrize("path", ["/assets/gone.js", "/api/nothing", "/nothing.txt"])
async def test_missing_files_are_missing(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path, headers=BROWSER)
    assert response.status_code == 404
    assert response.json()["type"] == "/faults/api-base-wrong"


@pytest.mark.parametrize(("path", "allowed"), [("/v1/chat/completions", "POST"), ("/ready", "GET")])
async def test_a_wrong_method_says_which_is_right(
    client: httpx.AsyncClient, path: str, allowed: str
) -> None:
    wrong = "GET" if allowed == "POST" else "PUT"
    response = await client.request(wrong, path, headers=BROWSER)
    assert response.status_code == 405
    assert allowed in response.headers["allow"]
    assert response.json().get("status", 405) == 405


@pytest.mark.parametrize("path", ["/v1/embeddings", "/chat/completions", "/"])
async def test_nothing_can_be_sent_to_the_page(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(path, json={})
    assert response.status_code == 404


@pytest.mark.parametrize("path", ["/health", "/ready", "/health/deep"])
async def test_probes_may_ask_for_the_head_only(client: httpx.AsyncClient, path: str) -> None:
    asked, probed = await client.get(path), await client.head(path)
    assert probed.status_code == asked.status_code


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/%00",
        "/" + "a" * 5000,
    ],
)
async def test_no_path_leads_out_of_the_bundle(client: httpx.AsyncClient, path: str) -> None:
    response = await client.send(client.build_request("GET", "http://testserver" + path))
    assert response.status_code == 404
    assert "secret" not in response.text.replace(path, "").replace("secret.txt", "")


async def test_a_link_out_of_the_bundle_is_not_followed(
    client: httpx.AsyncClient, bundle: Path
) -> None:
    (bundle / "link.txt").symlink_to(bundle.parent / "secret.txt")
    assert (await client.get("/link.txt")).status_code == 404


async def test_a_failed_model_shows_in_the_page_before_any_script(
    client: httpx.AsyncClient, worker: Any
) -> None:
    worker.status.phase = "failed"
    worker.status.error = QwellError(
        "model-path-missing", found="<no> model", expected="one", fix="qwell pull"
    )
    text = (await client.get("/")).text
    assert '<div id="root"><main>' in text
    assert "模型无法回答" in text
    assert "&lt;no&gt; model" in text
    assert "<code>qwell pull</code>" in text


async def test_without_a_bundle_there_is_a_plain_page(
    client: httpx.AsyncClient, bundle: Path
) -> None:
    (bundle / "index.html").unlink()
    response = await client.get("/")
    assert response.status_code == 200
    assert "make web" in response.text
    assert "<script" not in response.text
    assert "qwell is running" in response.text


async def test_the_plain_page_is_there_in_every_state(
    client: httpx.AsyncClient, worker: Any
) -> None:
    worker.status.phase = "loading"
    text = (await client.get("/status")).text
    assert "模型正在加载" in text
    assert "<script" not in text


async def test_head_is_answered_like_get(make_app: Any, served: Any) -> None:
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.head("/")).status_code == 200
