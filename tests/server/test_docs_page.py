"""The HTTP reference is complete and needs nothing from elsewhere."""

from __future__ import annotations

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_every_route_is_described_without_a_script(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    text = (await client.get("/docs")).text
    assert "<script" not in text
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert f"{method.upper()} {path}" in text
            assert operation["description"]
