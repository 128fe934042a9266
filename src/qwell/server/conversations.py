"""/api/conversations: list, search, change, delete and bring back, take out and bring in.

Knows routes and their bounds. While the store is broken every route says why, with status 503.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from qwell.errors import QwellError
from qwell.server import markdown_file
from qwell.server.conversation_schemas import (
    FORMAT,
    VERSION,
    ChangeIn,
    ConversationIn,
    FileIn,
    MessageIn,
    TreeIn,
    message_body,
    summary,
)
from qwell.server.schemas import from_validation
from qwell.server.streams import Streams
from qwell.store import StoreKeeper
from qwell.store.records import Message

if TYPE_CHECKING:
    from qwell.store.store import Store
    from qwell.store.transfer import Tree

MAX_PAGE = 200
_NO_STORE = {"Cache-Control": "no-store"}
_MARKDOWN = "text/markdown"

router = APIRouter(prefix="/api/conversations", tags=["conversations"])
ConversationId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Format = Literal["json", "markdown"]


async def store_of(request: Request) -> Store:
    """Raises QwellError while there is none."""
    keeper: StoreKeeper = request.app.state.keeper
    return await keeper.get()


@router.get("")
async def listing(
    request: Request,
    q: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str, Query(max_length=100)] = "",
    limit: Limit = 50,
) -> JSONResponse:
    """Newest first, page by page; with `q` those that contain every word of it."""
    store = await store_of(request)
    if q.strip():
        found = await store.conversations.find(q, limit=limit)
        hits = [
            summary(hit.conversation) | {"message": hit.message, "excerpt": hit.excerpt}
            for hit in found
        ]
        return _json({"conversations": hits, "next": None})
    page = await store.conversations.newest(limit=limit, before=_position(cursor))
    is_full = len(page) == limit
    following = f"{page[-1].updated_at}-{page[-1].id}" if is_full else None
    return _json({"conversations": [summary(it) for it in page], "next": following})


@router.post("", status_code=201)
async def create(request: Request, body: ConversationIn) -> JSONResponse:
    """An empty conversation. Asking with a new id and `"parent": null` makes one, too."""
    store = await store_of(request)
    settings = body.settings.model_dump(exclude_unset=True)
    made = await store.conversations.create(body.new_id(), body.title, settings)
    return _json(summary(made), 201)


@router.get("/export")
async def export_all(request: Request) -> StreamingResponse:
    """Every conversation as one JSON file, in the shape that /import takes."""
    store = await store_of(request)
    return StreamingResponse(
        _file(store.transfer.take_all()),
        media_type="application/json",
        headers=_as_file("qwell-conversations", "json"),
    )


@router.post("/import")
async def bring_in(
    request: Request, *, deleted: Literal["keep", "revive"] = "revive"
) -> JSONResponse:
    """An exported file, JSON or Markdown. Adds what is missing, changes nothing that is there.

    `deleted`: what becomes of conversations that were deleted here. The answer tells for each
    id: added, merged, unchanged, deleted (and left so) or refused (its messages are no tree).
    """
    trees = await _trees(request)
    store = await store_of(request)
    outcomes: dict[str, str] = {}
    for tree in trees:
        outcomes[tree.id] = await store.transfer.bring(_to_tree(tree), revive=deleted == "revive")
    return _json({"outcomes": outcomes, "counts": Counter(outcomes.values())})


@router.get("/{conversation_id}")
async def one(request: Request, conversation_id: ConversationId) -> JSONResponse:
    """Title, times, settings and which branch is shown; its messages have a route of their own."""
    store = await store_of(request)
    return _json(summary(await store.conversations.get(conversation_id)))


@router.patch("/{conversation_id}")
async def change(request: Request, conversation_id: ConversationId, body: ChangeIn) -> JSONResponse:
    """Rename, set what answers are asked with, or show another branch."""
    store = await store_of(request)
    return _json(summary(await store.conversations.change(conversation_id, body.to_values())))


@router.delete("/{conversation_id}", status_code=204)
async def delete(request: Request, conversation_id: ConversationId) -> Response:
    """Delete; POST restore brings it back, for 30 days."""
    await (await store_of(request)).conversations.delete(conversation_id)
    return Response(status_code=204)


@router.post("/{conversation_id}/restore")
async def restore(request: Request, conversation_id: ConversationId) -> JSONResponse:
    """Bring a deleted conversation back."""
    store = await store_of(request)
    return _json(summary(await store.conversations.restore(conversation_id)))


@router.get("/{conversation_id}/messages")
async def messages(
    request: Request,
    conversation_id: ConversationId,
    after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Limit = MAX_PAGE,
) -> JSONResponse:
    """Messages of all branches in the order they came; `next` is `after` of the next page.

    An answer that is being written names its `stream`, to be followed at /api/streams/{stream}.
    """
    store = await store_of(request)
    page = await store.messages.page(conversation_id, after=after, limit=limit)
    streams: Streams = request.app.state.streams
    bodies = [message_body(it) | _stream_of(it, streams) for it in page.messages]
    return _json({"messages": bodies, "next": page.next})


@router.get("/{conversation_id}/export")
async def export_one(
    request: Request,
    conversation_id: ConversationId,
    format: Format = "json",  # noqa: A002  the parameter's name in the address
) -> Response:
    """The whole tree as JSON, or the branch that is shown as Markdown."""
    store = await store_of(request)
    tree = await store.transfer.take(conversation_id)
    if format == "json":
        body = "".join([part async for part in _file(_only(tree))])
        return Response(body, 200, _as_file(tree.conversation.title, "json"), "application/json")
    branch = await store.messages.branch(conversation_id, tree.conversation.current)
    said = [markdown_file.Said(it.role, it.content) for it in branch]
    text = markdown_file.write(tree.conversation.title, said)
    headers = _as_file(tree.conversation.title, "md")
    return Response(text, 200, headers, f"{_MARKDOWN}; charset=utf-8")


def _stream_of(message: Message, streams: Streams) -> dict[str, str]:
    stream = streams.of_request(message.request_id) if message.state == "partial" else None
    return {"stream": stream.id} if stream else {}


def _json(body: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(body, status, headers=_NO_STORE)


def _position(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    at, _, last = cursor.partition("-")
    if not at.isascii() or not at.isdecimal() or len(at) > 18 or not last:
        raise QwellError(
            "invalid-request-body",
            found=f"cursor {cursor!r}",
            expected="`next` of the page before",
            fix="begin without a cursor",
        )
    return int(at), last


# -- files


async def _only(tree: Tree) -> AsyncIterator[Tree]:
    yield tree


async def _file(trees: AsyncIterator[Tree]) -> AsyncIterator[str]:
    """A FileIn as text, one conversation at a time."""
    yield f'{{"format": "{FORMAT}", "version": {VERSION}, "conversations": [\n'
    comma = ""
    async for tree in trees:
        body = summary(tree.conversation)
        body["messages"] = [message_body(it) for it in tree.messages]
        yield comma + json.dumps(body, ensure_ascii=False)
        comma = ",\n"
    yield "\n]}\n"


def _as_file(title: str, suffix: str) -> dict[str, str]:
    """Downloaded under the title, as far as every system can name a file so."""
    name = "".join(char if char.isalnum() or char in " -_" else "_" for char in title)[:80].strip()
    encoded = quote(f"{name or 'conversation'}.{suffix}")
    return _NO_STORE | {"Content-Disposition": f"attachment; filename*=UTF-8''{encoded}"}


async def _trees(request: Request) -> list[TreeIn]:
    """The request's body, read off the event loop: it may be megabytes."""
    body = await request.body()
    is_markdown = request.headers.get("content-type", "").startswith(_MARKDOWN)
    return await run_in_threadpool(_read_markdown if is_markdown else _read_json, body)


def _read_json(body: bytes) -> list[TreeIn]:
    try:
        return FileIn.model_validate_json(body).conversations
    except ValidationError as error:
        raise from_validation(error) from None


def _read_markdown(body: bytes) -> list[TreeIn]:
    """A new conversation: the file names no ids."""
    try:
        title, said = markdown_file.read(body.decode("utf-8"))
    except ValueError as error:  # also what is not UTF-8
        raise QwellError(
            "invalid-request-body",
            found=f"a Markdown file that is no conversation: {error}",
            expected="a file exported as Markdown, or the JSON of an export",
            fix="export the conversation again, as JSON if it should keep everything",
        ) from None
    ids = [f"m{n}" for n in range(len(said))]
    try:
        turns = [
            MessageIn.model_validate(
                {"id": name, "parent": parent, "role": it.role, "content": it.content}
            )
            for name, parent, it in zip(ids, [None, *ids], said, strict=False)
        ]
        return [TreeIn(id=secrets.token_hex(12), title=title[:200], messages=turns)]
    except ValidationError as error:
        raise from_validation(error) from None


def _to_tree(tree: TreeIn) -> Tree:
    from qwell.store.transfer import Tree

    return Tree(tree.to_record(), [message.to_record() for message in tree.messages])
