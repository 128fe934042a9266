"""Whatever the OpenAPI document allows, and whatever it does not: never a 500, always a document.

The worker answers at once, so that what is tried is the server's own reading and writing.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis

from qwell.config import Settings
from qwell.core import Delta, Done, Tokens, Usage
from qwell.server.app import create_app

ENTRY = {"token": "a", "logprob": -0.1, "bytes": [97]}
pytestmark = pytest.mark.anyio
SCRIPT = (
    Tokens((1, 2), "ab"),
    Delta("你好", ({**ENTRY, "top_logprobs": [ENTRY]},)),
    Done("stop", Usage(7, 3, 2)),
)


POSTS = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/tokenize",
    "/detokenize",
]
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture
def api(worker: Any, tmp_path: Path) -> Any:
    """What the document says of the routes that programs use. Every model's name will do."""
    worker.script = SCRIPT
    worker.status.model = {}
    app = create_app(Settings(data_dir=str(tmp_path)), worker, bundle=tmp_path)
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    return document.include(path_regex=r"^/(v1/|tokenize|detokenize)")


def test_every_route_of_programs_is_tried(api: Any) -> None:
    routes = [(o.ok().method, o.ok().path) for o in api.get_all_operations()]
    gets = [("get", "/v1/models"), ("get", "/v1/models/{model}")]
    assert sorted(routes) == sorted([("post", path) for path in POSTS] + gets)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("path", POSTS)
def test_nothing_makes_the_server_fail(
    api: Any, path: str, mode: Any, caplog: pytest.LogCaptureFixture
) -> None:
    statuses: set[int] = set()

    @hypothesis.given(api[path]["POST"].as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def try_it(case: Any) -> None:
        response = case.call()
        statuses.add(response.status_code)
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            assert_is_an_error_of(path, response.json())

    with caplog.at_level(logging.ERROR, "qwell"):
        try_it()
    assert not caplog.records, caplog.text
    assert (200 if mode is schemathesis.GenerationMode.POSITIVE else 400) in statuses


def assert_is_an_error_of(path: str, body: Any) -> None:
    if path.startswith("/v1/messages"):
        assert body["type"] == "error"
        assert body["error"].keys() >= {"type", "message"}
    elif path.startswith("/v1/"):
        assert body["error"].keys() >= {"message", "type", "code", "param"}
    else:
        assert body["type"].startswith("/faults/")
        assert body.keys() >= {"title", "status", "detail", "fix"}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"model": "\\ud800", "\\ud800": 1}',
        b'{"model": "\\ud800", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}',
        b'{"model": "\\ud800", "prompt": "\\ud800", "echo": true}',
        b'{"model": "\\ud800", "input": "x", "instructions": "\\ud800", "user": "\\ud800"}',
        b'{"content": "\\ud800"}',
        b'{"model": "qwell", "max_tokens": NaN, "temperature": Infinity}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"max_tokens": ' + b"9" * 5000 + b"}",
    ],
    ids=range(15),
)
async def test_bodies_that_no_document_describes(
    client: httpx.AsyncClient, worker: Any, path: str, body: bytes
) -> None:
    worker.script = SCRIPT
    worker.status.model = {}
    response = await client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        assert_is_an_error_of(path, response.json())
