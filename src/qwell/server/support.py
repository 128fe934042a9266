"""The support dialogue over HTTP: POST /api/support is one turn, its answer numbered events.

Thin: the dialogue is doctor/dialogue.py, who runs and who follows is support_room.py. See
docs/support.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from qwell.doctor import consult
from qwell.doctor.case import Said
from qwell.doctor.case_file import TERMINAL, CaseFile, Event
from qwell.doctor.fault import Language
from qwell.doctor.wording import is_chinese
from qwell.errors import QwellError
from qwell.server import sse
from qwell.server.chat import LONG_POLL_S
from qwell.server.doctor import MAX_TEXT, PostedFinding, require_trust, room_of
from qwell.server.schemas import Id, Strict
from qwell.server.support_room import SupportRoom

router = APIRouter(prefix="/api/support", tags=["doctor"])
_NO_STORE = {"Cache-Control": "no-store"}


class TurnIn(Strict):
    """Body of POST /api/support."""

    case: Id | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    choice: Annotated[str, Field(max_length=80)] | None = None
    consent: Annotated[str, Field(max_length=80)] | None = None
    lang: Literal["zh", "en"] | None = None
    findings: Annotated[tuple[PostedFinding, ...], Field(max_length=50)] = ()
    request_id: Annotated[str, Field(max_length=100)] = ""
    fault: Annotated[str, Field(max_length=80)] = ""
    conversation: Id | None = None


def support_of(request: Request) -> SupportRoom:
    room: SupportRoom = request.app.state.support
    return room


@router.post("", response_class=StreamingResponse)
async def turn(request: Request, body: TurnIn) -> Response:
    """One turn: what a person says, chooses or agrees to. Its events follow, up to `done`."""
    room = support_of(request)
    if body.consent or body.choice in ("undo", "retry"):
        require_trust(request)
    said = _said(request, room, body)
    if body.case is None and said.is_empty:
        raise QwellError(
            "invalid-request-body",
            found="a new case without text, findings, fault or a known request_id",
            expected="what is wrong, in words or as a log",
            fix="send text",
        )
    language: Language = body.lang or ("zh" if is_chinese(said.text) else "en")
    file, start = await room.begin(said, body.case or "", language, body.conversation or "")
    headers = {**sse.HEADERS, **_forgetting(file, body)}
    return StreamingResponse(_frames(room, file, start), media_type=sse.MEDIA_TYPE, headers=headers)


def _said(request: Request, room: SupportRoom, body: TurnIn) -> Said:
    posted = room_of(request).view.posted.take([f.model_dump() for f in body.findings])
    failures, lines = room.evidence_of(body.request_id, body.fault)
    text = "\n\n".join(part for part in (body.text, lines) if part.strip())
    is_own_log = bool(lines) and not body.text.strip()
    return Said(text, body.choice or "", body.consent or "", (*posted, *failures), is_own_log)


def _forgetting(file: CaseFile, body: TurnIn) -> Mapping[str, str]:
    """The remedy against an old page is the browser's: this answer tells it to forget copies."""
    if not body.consent:
        return {}
    remedies = consult.find_fault(file.case.fault).remedies
    actions = [remedy.action for remedy in remedies if remedy.id == body.consent]
    return {"Clear-Site-Data": '"cache"'} if "clear-web-cache" in actions else {}


async def _frames(room: SupportRoom, file: CaseFile, start: int) -> AsyncIterator[bytes]:
    async with aclosing(room.batches(file, start, sse.PING_EVERY_S)) as batches:
        async for batch in batches:
            yield b"".join(_frame(event) for event in batch) or sse.PING


def _frame(event: Mapping[str, Any]) -> bytes:
    return sse.encode(json.dumps(event, ensure_ascii=False), event["seq"])


@router.get("")
async def cases(request: Request, conversation: Id | None = None) -> JSONResponse:
    """All cases, newest first; those of one conversation where it is named."""
    room = support_of(request)
    found = await asyncio.to_thread(room.cases)
    listed = [c.brief() for c in found if conversation in (None, c.conversation)]
    return JSONResponse({"cases": listed}, headers=_NO_STORE)


@router.get("/{case_id}")
async def case(request: Request, case_id: str) -> JSONResponse:
    """A whole case with its events, for a page that was opened again."""
    room = support_of(request)
    file = room.find(case_id)
    body = {
        **file.case.brief(),
        "events": file.events,
        "next": len(file.events),
        "running": room.is_running(case_id),
    }
    return JSONResponse(body, headers=_NO_STORE)


@router.get("/{case_id}/events")
async def events(
    request: Request,
    case_id: str,
    start: Annotated[int, Query(alias="from", ge=0)] = 0,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> Response:
    """Follow from number `from` to the end of its turn: long-poll JSON, or SSE by Accept."""
    room = support_of(request)
    file = room.find(case_id)
    if sse.MEDIA_TYPE in accept:
        begin = start if last_event_id is None else last_event_id + 1
        frames = _frames(room, file, begin)
        return StreamingResponse(frames, media_type=sse.MEDIA_TYPE, headers=dict(sse.HEADERS))
    async with aclosing(room.batches(file, start, LONG_POLL_S)) as batches:
        batch: list[Event] = await anext(batches, [])
    ended = not room.is_running(case_id) if not batch else batch[-1]["type"] in TERMINAL
    following = batch[-1]["seq"] + 1 if batch else start
    page = {"case": case_id, "events": batch, "next": following, "ended": ended}
    return JSONResponse(page, headers=_NO_STORE)


@router.get("/{case_id}/bundle")
async def bundle(request: Request, case_id: str) -> JSONResponse:
    """A file for a helper, without keys and personal data."""
    room = support_of(request)
    room.find(case_id)
    content = await asyncio.to_thread(room.bundle, case_id)
    name = f'attachment; filename="qwell-support-{case_id}.json"'
    return JSONResponse(content, headers={**_NO_STORE, "Content-Disposition": name})


@router.delete("/{case_id}", status_code=204)
async def forget(request: Request, case_id: str) -> Response:
    """Forget a case: its file is removed."""
    support_of(request).forget(case_id)
    return Response(status_code=204)
