"""The measures of a real server, taken from the scripted one, which repeats the question."""

import asyncio
from pathlib import Path

import pytest

from qwell.bench import serving
from qwell.bench.clients import http_client
from qwell.bench.load import served

STORY = "story " * 250


@pytest.mark.timeout(120)
def test_measures_of_a_server_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "STORY", STORY)
    monkeypatch.setattr(serving, "ANSWER", 1600)
    monkeypatch.setattr(serving, "_BEFORE", 3)
    monkeypatch.setattr(serving, "CONVERSATIONS", 1)
    asyncio.run(_measure(tmp_path))


async def _measure(data: Path) -> None:
    async with served("scripted", data) as (url, pid), http_client(url, 2) as http:
        visitor = serving.Visitor(http, pid, long=100)
        assert await visitor.memory_mb() > 10
        pause = await visitor.pause()
        assert pause["alone_ms"] > 0
        assert pause["longest_ms"] > 0
        assert min((await visitor.turns()).values()) > 0
        assert 0 <= await visitor.rest_ms(STORY, 3) < 10_000


def test_text_of_a_frame() -> None:
    assert serving._text('{"choices": [{"delta": {"content": "a"}}]}') == "a"
    assert serving._text('{"choices": [{"delta": {"role": "assistant"}}]}') == ""
    assert serving._text('{"choices": [], "usage": {}}') == ""
    assert serving._text("[DONE]") == ""
