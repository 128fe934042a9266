"""Conversations over HTTP: listed, searched, changed, taken out and brought in."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

PATH = "/api/conversations"


def tree(name: str = "c", **values: Any) -> dict[str, Any]:
    question = {"id": "q1", "role": "user", "content": "什么是 cache?", "created_at": 1}
    answer = {"id": "a1", "parent": "q1", "role": "assistant", "content": "快", "created_at": 2}
    first = {"id": name, "title": f"title {name}", "created_at": 1, "updated_at": 5}
    return first | {"messages": [question, answer]} | values


def file(*trees: Any) -> dict[str, Any]:
    return {"format": "qwell-conversations", "version": 1, "conversations": list(trees)}


async def bring(api: httpx.AsyncClient, *trees: Any) -> dict[str, Any]:
    response = await api.post(f"{PATH}/import", json=file(*trees))
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def test_pages_of_the_list_follow_one_another(api: httpx.AsyncClient) -> None:
    await bring(api, *(tree(f"c{n}", updated_at=n) for n in range(5)))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        response = await api.get(PATH, params={"limit": 2, "cursor": cursor})
        assert response.headers["cache-control"] == "no-store"
        seen += [it["id"] for it in response.json()["conversations"]]
        cursor = response.json()["next"]
    assert seen == ["c4", "c3", "c2", "c1", "c0"]


async def test_search_names_the_message_and_shows_the_place(api: httpx.AsyncClient) -> None:
    await bring(api, tree())
    (hit,) = (await api.get(PATH, params={"q": "什么 CACHE"})).json()["conversations"]
    assert (hit["id"], hit["message"], hit["excerpt"]) == ("c", "q1", "什么是 cache?")
    assert (await api.get(PATH, params={"q": "nowhere"})).json()["conversations"] == []


async def test_the_life_of_a_conversation(api: httpx.AsyncClient) -> None:
    made = await api.post(PATH, json={"title": "first"})
    assert made.status_code == 201
    path = f"{PATH}/{made.json()['id']}"
    settings = {"system": "Be brief.", "sampling": {"temperature": 0.5}}
    changed = await api.patch(path, json={"title": "第二", "settings": settings})
    assert changed.json()["title"] == "第二"
    assert (await api.get(path)).json()["settings"] == settings
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 404
    assert (await api.post(f"{path}/restore")).json()["title"] == "第二"
    assert (await api.get(path)).status_code == 200


async def test_messages_come_in_pages(api: httpx.AsyncClient) -> None:
    await bring(api, tree())
    first = (await api.get(f"{PATH}/c/messages", params={"limit": 1})).json()
    rest = (await api.get(f"{PATH}/c/messages", params={"after": first["next"]})).json()
    assert [it["id"] for it in first["messages"] + rest["messages"]] == ["q1", "a1"]
    assert rest["next"] is None


async def test_what_is_taken_out_can_be_brought_in(api: httpx.AsyncClient) -> None:
    await bring(api, tree("c1"), tree("c2", updated_at=6))
    whole = (await api.get(f"{PATH}/export")).json()
    assert [it["id"] for it in whole["conversations"]] == ["c2", "c1"]
    assert (await bring(api, *whole["conversations"]))["counts"] == {"unchanged": 2}
    one = (await api.get(f"{PATH}/c1/export")).json()
    assert one == whole | {"conversations": whole["conversations"][1:]}


async def test_a_file_is_named_after_its_conversation(api: httpx.AsyncClient) -> None:
    await bring(api, tree(title='缓存 "a/b"\r\nX: y'))
    response = await api.get(f"{PATH}/c/export", params={"format": "markdown"})
    name = "%E7%BC%93%E5%AD%98%20_a_b___X_%20y.md"
    assert response.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"


async def test_markdown_goes_out_and_comes_in(api: httpx.AsyncClient) -> None:
    await bring(api, tree())
    text = (await api.get(f"{PATH}/c/export", params={"format": "markdown"})).content
    headers = {"Content-Type": "text/markdown"}
    response = await api.post(f"{PATH}/import", content=text, headers=headers)
    ((name, outcome),) = response.json()["outcomes"].items()
    assert outcome == "added"
    messages = (await api.get(f"{PATH}/{name}/messages")).json()["messages"]
    assert [(it["role"], it["content"]) for it in messages] == [
        ("user", "什么是 cache?"),
        ("assistant", "快"),
    ]


async def test_a_copy_in_a_browser_does_not_bring_back_what_was_deleted(
    api: httpx.AsyncClient,
) -> None:
    await bring(api, tree())
    await api.delete(f"{PATH}/c")
    path = f"{PATH}/import"
    kept = await api.post(path, params={"deleted": "keep"}, json=file(tree()))
    assert kept.json()["outcomes"] == {"c": "deleted"}
    assert (await bring(api, tree()))["outcomes"] == {"c": "merged"}


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "", {"params": {"limit": 0}}, 400),
        ("GET", "", {"params": {"limit": 201}}, 400),
        ("GET", "", {"params": {"q": "x" * 201}}, 400),
        ("GET", "", {"params": {"cursor": "yesterday"}}, 400),
        ("GET", "", {"params": {"cursor": "9" * 30 + "-c"}}, 400),
        ("POST", "", {"json": {"title": "x" * 201}}, 400),
        ("POST", "", {"json": {"id": "../etc"}}, 400),
        ("POST", "", {"json": {"id": "c"}}, 409),
        ("GET", "/nobody", {}, 404),
        ("GET", "/nobody/messages", {}, 404),
        ("GET", "/nobody/export", {}, 404),
        ("GET", "/c/messages", {"params": {"after": 2**63}}, 400),
        ("GET", "/c/export", {"params": {"format": "exe"}}, 400),
        ("PATCH", "/c", {"json": {"title": ""}}, 400),
        ("PATCH", "/c", {"json": {"settings": {"sampling": {"top_p": 7}}}}, 400),
        ("PATCH", "/c", {"json": {"current": "nowhere"}}, 404),
        ("POST", "/nobody/restore", {}, 404),
        ("POST", "/import", {"json": {"conversations": []}}, 400),
        ("POST", "/import", {"json": file(tree(messages=[{"id": "m"}]))}, 400),
        ("POST", "/import", {"content": b"\xff"}, 400),
        ("POST", "/import", {"content": b"hi", "headers": {"Content-Type": "text/markdown"}}, 400),
        ("POST", "/import", {"content": b"[" * 100_000}, 400),
    ],
)
async def test_what_cannot_be_is_refused(
    api: httpx.AsyncClient, method: str, path: str, more: Any, status: int
) -> None:
    await bring(api, tree())
    response = await api.request(method, f"{PATH}{path}", **more)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["fix"]


async def test_messages_that_are_no_tree_are_refused_one_conversation_at_a_time(
    api: httpx.AsyncClient,
) -> None:
    orphan = tree("bad", messages=[{"id": "m", "parent": "x", "role": "user", "content": "?"}])
    outcomes = (await bring(api, orphan, tree("good")))["outcomes"]
    assert outcomes == {"bad": "refused", "good": "added"}


async def test_a_broken_store_says_why_and_the_rest_works(
    make_app: Any, client_of: Any, tmp_path: Any
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "qwell.db").write_bytes(b"no database" * 1000)
    app = make_app()
    async with app.router.lifespan_context(app):
        api = client_of(app)
        for path in ("", "/export", "/c", "/c/messages"):
            response = await api.get(f"{PATH}{path}")
            assert response.status_code == 503
            assert response.json()["type"] == "/faults/database-corrupt"
        assert (await api.get("/ready")).status_code == 200


async def test_exported_json_is_readable(api: httpx.AsyncClient) -> None:
    await bring(api, tree())
    text = (await api.get(f"{PATH}/export")).text
    assert "什么是" in text  # not escaped
    assert json.loads(text)["version"] == 1
