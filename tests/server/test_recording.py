"""Answers of conversations: their history comes from the store, and they go into it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from qwell.core import Delta, Done, Notice
from qwell.errors import QwellError
from qwell.server import sse
from qwell.store.journal import Journal

pytestmark = pytest.mark.anyio


def question(content: str, **ids: Any) -> dict[str, Any]:
    first = {"conversation": "c", "parent": None, "question": "q1", "answer": "a1"}
    return first | ids | {"messages": [{"role": "user", "content": content}]}


async def ask(api: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    response = await api.post("/api/chat", json=body)
    assert response.status_code == 200, response.text
    return [json.loads(frame.data) for frame in sse.Decoder().push(response.content)]


async def stored(api: httpx.AsyncClient, name: str = "c") -> list[dict[str, Any]]:
    messages: list[dict[str, Any]]
    messages = (await api.get(f"/api/conversations/{name}/messages")).json()["messages"]
    return messages


def told(worker: Any) -> list[tuple[str, str]]:
    """What the model was given last."""
    return [(it.role, it.content) for it in worker.requests[-1].messages]


async def test_question_and_answer_are_stored(api: httpx.AsyncClient) -> None:
    events = await ask(api, question("hi"))
    assert (events[0]["conversation"], events[0]["question"], events[0]["answer"]) == (
        "c",
        "q1",
        "a1",
    )
    first, second = await stored(api)
    assert (first["content"], first["state"]) == ("hi", "done")
    assert (second["parent"], second["content"], second["state"]) == ("q1", "你好, world", "done")
    assert second["end"]["usage"] == events[-1]["usage"]
    assert second["request_id"] == events[0]["request_id"]


async def test_ids_are_made_where_none_are_given(api: httpx.AsyncClient) -> None:
    body = {"conversation": "c", "parent": None, "messages": question("hi")["messages"]}
    (first, *_) = await ask(api, body)
    assert [it["id"] for it in await stored(api)] == [first["question"], first["answer"]]


async def test_the_history_comes_from_the_store(api: httpx.AsyncClient, worker: Any) -> None:
    await ask(api, question("one"))
    body = question("two", question="q2", answer="a2")
    del body["parent"]  # after what was said last
    await ask(api, body)
    assert told(worker) == [("user", "one"), ("assistant", "你好, world"), ("user", "two")]
    assert [it["parent"] for it in await stored(api)] == [None, "q1", "a1", "q2"]


async def test_a_cut_answer_goes_on_as_a_new_one(api: httpx.AsyncClient, worker: Any) -> None:
    await ask(api, question("hi"))
    body = question("hi", answer="a2") | {"continue_last": True}
    body["messages"].append({"role": "assistant", "content": "cut "})
    events = await ask(api, body)
    assert told(worker) == [("user", "hi"), ("assistant", "cut ")]
    assert worker.requests[-1].continue_last
    assert "".join(it["text"] for it in events if it["type"] == "delta") == "cut 你好, world"
    assert [it["content"] for it in await stored(api)] == [
        "hi",
        "你好, world",
        "cut 你好, world",
    ]


async def test_only_an_answer_to_a_question_goes_on(api: httpx.AsyncClient) -> None:
    for body in (
        question("hi"),
        question("hi") | {"messages": [{"role": "assistant", "content": "x"}]},
    ):
        refused = await api.post("/api/chat", json=body | {"continue_last": True})
        assert refused.status_code == 400


async def test_a_conversation_has_its_own_limit(api: httpx.AsyncClient, worker: Any) -> None:
    made = {"id": "c", "settings": {"system": "be brief", "max_tokens": 7}}
    await api.post("/api/conversations", json=made)
    await ask(api, question("hi"))
    assert told(worker) == [("system", "be brief"), ("user", "hi")]
    assert worker.requests[-1].max_tokens == 7


async def test_what_else_the_client_sends_is_not_history(
    api: httpx.AsyncClient, worker: Any
) -> None:
    body = question("one")
    body["messages"].insert(0, {"role": "user", "content": "another page's memory"})
    await ask(api, body)
    assert told(worker) == [("user", "one")]


async def test_an_edited_question_does_not_see_its_old_version(
    api: httpx.AsyncClient, worker: Any
) -> None:
    await ask(api, question("one"))
    await ask(api, question("better", question="q2", answer="a2"))
    assert told(worker) == [("user", "better")]
    assert len(await stored(api)) == 4


async def test_asking_again_adds_an_answer(api: httpx.AsyncClient, worker: Any) -> None:
    await ask(api, question("one"))
    await ask(api, question("one", answer="a2"))
    assert told(worker) == [("user", "one")]
    assert [(it["id"], it["parent"]) for it in await stored(api)] == [
        ("q1", None),
        ("a1", "q1"),
        ("a2", "q1"),
    ]


async def test_the_conversation_says_how_it_is_answered(
    api: httpx.AsyncClient, worker: Any
) -> None:
    settings = {"system": "Be brief.", "sampling": {"temperature": 0.5}}
    await api.post("/api/conversations", json={"id": "c", "settings": settings})
    await ask(api, question("one"))
    assert told(worker) == [("system", "Be brief."), ("user", "one")]
    assert worker.requests[-1].sampling.temperature == 0.5
    await ask(api, question("one", answer="a2") | {"sampling": {"temperature": 1}})
    assert worker.requests[-1].sampling.temperature == 1


async def test_empty_answers_are_not_told(api: httpx.AsyncClient, worker: Any) -> None:
    worker.script = (Done("cancelled"),)
    await ask(api, question("one"))
    await ask(api, question("two", parent="a1", question="q2", answer="a2"))
    assert told(worker) == [("user", "one"), ("user", "two")]


async def test_a_failure_and_what_came_before_it_are_stored(
    api: httpx.AsyncClient, worker: Any
) -> None:
    worker.status.phase = "failed"
    events = await ask(api, question("one"))
    answer = (await stored(api))[-1]
    assert answer["state"] == "failed"
    assert answer["end"]["code"] == events[-1]["code"] == "weights-truncated"


async def test_remarks_are_stored(api: httpx.AsyncClient, worker: Any) -> None:
    worker.script = (Notice("context-overflow", {"dropped": 2}), Delta("x"), Done())
    await ask(api, question("one"))
    assert (await stored(api))[-1]["notices"] == [
        {"code": "context-overflow", "detail": {"dropped": 2}}
    ]


async def test_a_stopped_answer_keeps_what_was_said(
    make_app: Any, served: Any, worker: Any
) -> None:
    worker.script = (Delta("one "), worker.PAUSE)
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as api:
        started = (await api.post("/api/streams", json=question("go"))).json()
        await worker.paused.wait()
        await api.delete(f"/api/streams/{started['stream']}")
        while not (await api.get(f"/api/streams/{started['stream']}?from=3")).json()["ended"]:
            pass
        answer = (await stored(api))[-1]
    assert (answer["content"], answer["end"]["reason"]) == ("one ", "cancelled")


async def test_text_is_stored_before_the_answer_has_ended(
    make_app: Any, served: Any, worker: Any
) -> None:
    worker.script = (Delta("half"), worker.PAUSE, Done())
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as api:
        await api.post("/api/streams", json=question("go"))
        async with asyncio.timeout(10):
            while (await stored(api))[-1]["content"] != "half":
                pass  # the store can only be asked
        answer = (await stored(api))[-1]
        assert answer["state"] == "partial"
        assert (await api.get(f"/api/streams/{answer['stream']}")).status_code == 200


async def test_a_server_that_stops_stores_its_answers(
    make_app: Any, served: Any, worker: Any
) -> None:
    worker.script = (Delta("half"), worker.PAUSE)
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as api:
        await api.post("/api/streams", json=question("go"))
        await worker.paused.wait()
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as api:
        answer = (await stored(api))[-1]
    assert (answer["content"], answer["state"]) == ("half", "done")
    assert answer["end"]["reason"] == "cancelled"


async def test_an_answer_that_may_not_begin_is_stored_as_failed(
    make_app: Any, served: Any, worker: Any
) -> None:
    worker.script = (worker.PAUSE, Done())
    async with served(make_app(max_queue=1)) as url, httpx.AsyncClient(base_url=url) as api:
        for n in range(2):
            await api.post("/api/streams", json=question("go", conversation=f"c{n}"))
        refused = await api.post("/api/streams", json=question("go"))
        answer = (await stored(api))[-1]
        worker.go()
    assert refused.json()["type"] == "/faults/request-queueing"
    assert (answer["state"], answer["end"]["code"]) == ("failed", "request-queueing")


async def test_an_answer_out_of_time_is_stored_as_that(
    make_app: Any, served: Any, worker: Any
) -> None:
    worker.script = (Delta("half"), worker.PAUSE)
    settings = {"request_timeout_s": 1}
    async with served(make_app(**settings)) as url, httpx.AsyncClient(base_url=url) as api:
        events = await ask(api, question("go"))
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as api:
        answer = (await stored(api))[-1]
    assert events[-1]["code"] == "answer-timeout"
    assert (answer["content"], answer["state"]) == ("half", "failed")
    assert answer["end"]["code"] == "answer-timeout"


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (question("x", conversation="other", parent="a1"), 404, "conversation-unknown"),
        (question("x", parent="nowhere", question="q2", answer="a2"), 404, "message-unknown"),
        (question("other words"), 409, "conversation-conflict"),
        ({"messages": question("x")["messages"], "parent": "a1"}, 400, "invalid-request-body"),
        (question("x", conversation="../x"), 400, "invalid-request-body"),
        (
            question("x") | {"messages": [{"role": "assistant", "content": "x"}]},
            400,
            "invalid-request-body",
        ),
    ],
)
async def test_what_does_not_fit_is_refused(
    api: httpx.AsyncClient, worker: Any, body: Any, status: int, fault: str
) -> None:
    await ask(api, question("one"))
    response = await api.post("/api/chat", json=body)
    assert (response.status_code, response.json()["type"]) == (status, f"/faults/{fault}")
    assert len(worker.requests) == 1


async def test_with_a_broken_store_the_answer_comes_and_says_that_it_is_not_saved(
    make_app: Any, client_of: Any, tmp_path: Path, worker: Any
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "qwell.db").write_bytes(b"no database" * 1000)
    body = question("two", parent="a1")
    body["messages"] = [{"role": "user", "content": "one"}, *body["messages"]]
    app = make_app()
    async with app.router.lifespan_context(app):
        events = await ask(client_of(app), body)
    assert [it["type"] for it in events] == [
        "queued",
        "notice",
        "prefill",
        "delta",
        "delta",
        "done",
    ]
    assert events[1]["code"] == "database-corrupt"
    assert events[1]["detail"]["saved"] is False
    assert told(worker) == [("user", "one"), ("user", "two")]  # what the client remembers


async def test_a_conversation_that_could_not_be_saved_goes_on(
    api: httpx.AsyncClient, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its browser has it: the server must not call it deleted."""
    full = QwellError("disk-full", found="0 MB", expected="room", fix="df -h")

    async def refuse(_self: Journal, _turn: Any) -> None:
        raise full

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "begin", refuse)
        await ask(api, question("one"))
    body = question("two", parent="a1", question="q2", answer="a2")
    body["messages"] = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "first"},
        *body["messages"],
    ]
    events = await ask(api, body)
    assert (events[1]["code"], events[1]["detail"]["saved"]) == ("disk-full", False)
    assert told(worker) == [("user", "one"), ("assistant", "first"), ("user", "two")]
    await ask(api, question("one"))  # room again: the browser brings it
    assert [it["content"] for it in await stored(api)][:1] == ["one"]
    gone = await api.post(
        "/api/chat", json=question("x", parent="nowhere", question="q3", answer="a3")
    )
    assert gone.status_code == 404


async def test_a_store_that_breaks_meanwhile_is_told_before_the_end(
    make_app: Any, served: Any, worker: Any, tmp_path: Path
) -> None:
    worker.script = (Delta("half"), worker.PAUSE, Delta(" whole"), Done())
    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as api:
        started = (await api.post("/api/streams", json=question("go"))).json()
        await worker.paused.wait()
        with closing(sqlite3.connect(tmp_path / "data" / "qwell.db", timeout=30)) as other:
            other.execute("BEGIN EXCLUSIVE")
            worker.go()
            events, page = [], {"ended": False, "next": 0}
            while not page["ended"]:
                path = f"/api/streams/{started['stream']}?from={page['next']}"
                page = (await api.get(path, timeout=30)).json()
                events += page["events"]
    assert [it["type"] for it in events][-2:] == ["notice", "done"]
    assert events[-2]["code"] == "database-locked"
    assert events[-2]["detail"]["saved"] is False


async def test_a_long_history_is_cut_at_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    from qwell.core import Message as CoreMessage
    from qwell.server import recording

    monkeypatch.setattr(recording, "MAX_HISTORY_CHARS", 5)
    said = [CoreMessage("user", text) for text in ("aaa", "bbb", "cc")]
    assert [it.content for it in recording._newest(said)] == ["bbb", "cc"]


async def test_the_socket_stores_too(make_app: Any, served: Any) -> None:
    from websockets.asyncio.client import connect

    async with served(make_app()) as url, httpx.AsyncClient(base_url=url) as api:
        async with connect(f"{url.replace('http', 'ws', 1)}/ws/chat") as socket:
            await socket.send(json.dumps({"op": "chat", **question("hi")}))
            while json.loads(await socket.recv())["type"] != "done":
                pass
        assert [it["content"] for it in await stored(api)] == ["hi", "你好, world"]
