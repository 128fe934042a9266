"""Models on a Ray cluster of three nodes, the smallest and the real one: a node dies, no answer is.

Where an answer goes on, on another node, only the text so far is known of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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

from qwell.lab.rig.models import write_folder

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
TOPICS = ("rivers", "bridges", "bread", "winter")


@dataclass(frozen=True)
class Kind:
    """A model, and answers of it that take some seconds. least_chars: of each answer."""

    name: str
    ctx_size: int
    n_tokens: int
    sampling: Mapping[str, float]
    least_chars: int


KINDS = (
    # letters at random, each of them a token: it neither repeats itself nor ends by itself
    Kind("tiny", 4096, 3000, {"temperature": 1.0, "top_k": 16}, 3000),
    Kind("real", 1024, 160, {"temperature": 0.0}, 400),
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    assert isinstance(request.param, Kind)
    return request.param


@pytest.fixture(scope="module")
def service(
    kind: Kind,
    postgres: URL,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("cluster")
    environ = {"QWELL_THREADS": "1", "QWELL_CTX_SIZE": str(kind.ctx_size)}
    if kind.name == "tiny":
        model = write_folder(folder / "model", max_position_embeddings=kind.ctx_size)
    else:
        model = request.getfixturevalue("real_gguf")
    environ["QWELL_MODEL"] = str(model)
    with running(postgres, folder, environ, "native") as service:
        yield service


def asked(kind: Kind, topic: str) -> dict[str, Any]:
    return question(
        f"Write a long story about {topic}.",
        conversation=f"{kind.name}-{topic}",
        parent=None,
        sampling=kind.sampling,
        max_tokens=kind.n_tokens,
    )


async def test_a_node_that_dies_costs_no_answer(service: Service, kind: Kind) -> None:
    BREAKS.clear()
    speak = {topic: asyncio.Event() for topic in TOPICS}
    async with clients(service) as client:
        async with asyncio.TaskGroup() as tasks:
            asking = {
                topic: tasks.create_task(events_of(client, asked(kind, topic), spoken))
                for topic, spoken in speak.items()
            }
            await asyncio.gather(*(spoken.wait() for spoken in speak.values()))
            assert not all(task.done() for task in asking.values())
            await service.order("kill")
        for topic, task in asking.items():
            events = task.result()
            assert events[-1]["type"] == "done", json.dumps(events[-1])
            kept = (await stored(client, f"{kind.name}-{topic}"))[-1]
            assert (kept["state"], kept["content"]) == ("done", text_of(events))
            assert len(text_of(events)) >= kind.least_chars
    n_broken = sum(n > 0 for n in BREAKS.values())
    print(f"{kind.name}: {n_broken} of {len(TOPICS)} readers read on elsewhere")
