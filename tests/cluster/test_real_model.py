"""The real model on a Ray cluster of three nodes: one of them dies, and no answer is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL
from tests.cluster.service import (
    BREAKS,
    Service,
    clients,
    events_of,
    question,
    running,
    stored,
    text_of,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
TOPICS = ("rivers", "bridges", "bread", "winter")
N_TOKENS = 160  # some seconds of an answer


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def service(
    postgres: URL, real_gguf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("cluster")
    environ = {"QWELL_MODEL": str(real_gguf), "QWELL_THREADS": "1", "QWELL_CTX_SIZE": "1024"}
    with running(postgres, folder, environ, "native") as service:
        yield service


async def test_a_node_that_dies_costs_no_answer(service: Service) -> None:
    """Where an answer goes on, on another node, only the text so far is known of it."""
    speak = {topic: asyncio.Event() for topic in TOPICS}
    async with clients(service) as client:
        async with asyncio.TaskGroup() as tasks:
            asking = {
                topic: tasks.create_task(
                    events_of(
                        client,
                        question(
                            f"Write a long story about {topic}.",
                            conversation=topic,
                            parent=None,
                            sampling={"temperature": 0.0},
                            max_tokens=N_TOKENS,
                        ),
                        spoken,
                    )
                )
                for topic, spoken in speak.items()
            }
            await asyncio.gather(*(spoken.wait() for spoken in speak.values()))
            await service.order("kill")
        for topic, task in asking.items():
            events = task.result()
            assert events[-1]["type"] == "done", json.dumps(events[-1])
            kept = (await stored(client, topic))[-1]
            assert (kept["state"], kept["content"]) == ("done", text_of(events))
            assert len(text_of(events).split()) > N_TOKENS / 4
    print(f"{sum(n > 0 for n in BREAKS.values())} of {len(TOPICS)} readers read on elsewhere")
