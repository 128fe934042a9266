"""The doctor over HTTP: checks, pasted logs, incidents, faults, fixes.

Thin: everything is decided in doctor/. Fixes run only for whoever sits at this machine or has the
key.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from qwell.doctor import consult
from qwell.doctor.address import is_loopback
from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import LAYERS, Finding, Layer
from qwell.doctor.monitor import incident_of
from qwell.doctor.observe import CAP_S, DEEP_CAP_S, Watch, ignore, observe, select
from qwell.doctor.reasons import retold
from qwell.doctor.scene import check_body
from qwell.doctor.system import System
from qwell.doctor.treat import Practice
from qwell.errors import QwellError
from qwell.server import caller, sse
from qwell.server.doctor_room import DoctorRoom
from qwell.server.schemas import Strict

MAX_TEXT = 2**22  # a log of 2 MB, and room
router = APIRouter(prefix="/api", tags=["doctor"])
log = logging.getLogger("qwell.server.doctor")


class PostedFinding(Strict):
    """What the page found in the browser."""

    check: Annotated[str, Field(max_length=60)]
    status: Annotated[str, Field(max_length=10)]
    evidence: Annotated[tuple[dict[str, Any], ...], Field(max_length=20)] = ()
    because: Annotated[str, Field(max_length=300)] = ""


class ExaminationIn(Strict):
    """Body of POST /api/doctor."""

    layers: Annotated[tuple[Layer, ...], Field(max_length=len(LAYERS))] = ()
    deep: bool = False
    findings: Annotated[tuple[PostedFinding, ...], Field(max_length=50)] = ()


class SymptomIn(Strict):
    """Body of POST /api/diagnose. live: join what the checks find now."""

    text: Annotated[str, Field(max_length=MAX_TEXT)]
    live: bool = False


class FixIn(Strict):
    """Body of POST /api/fixes/{id}. fault: which one it is to cure, where several share it."""

    consent: bool = False
    fault: Annotated[str, Field(max_length=80)] = ""


def room_of(request: Request) -> DoctorRoom:
    room: DoctorRoom = request.app.state.doctor
    return room


@router.get("/doctor/facts")
async def facts(request: Request) -> JSONResponse:
    """What the server knows of itself: worker, queue, recent answers, what pages posted."""
    room = room_of(request)
    await room.keeper.look()
    return JSONResponse(room.view.facts(), headers={"Cache-Control": "no-store"})


@router.get("/doctor/checks")
async def checks() -> dict[str, Any]:
    """Every check, with what it looks at in both languages."""
    return {"checks": [check_body(check.id) for check in CHECKS]}


@router.post("/doctor")
async def examine(request: Request, body: ExaminationIn) -> Response:
    """Run the checks and say what they mean. With Accept: text/event-stream, check by check."""
    room = room_of(request)
    room.view.posted.take([finding.model_dump() for finding in body.findings])
    if sse.MEDIA_TYPE in request.headers.get("accept", ""):
        return StreamingResponse(
            _stream(room, body), media_type=sse.MEDIA_TYPE, headers=dict(sse.HEADERS)
        )
    async with room.examining:
        findings = await asyncio.to_thread(_observe, room.look(), body, ignore)
        language = caller.language.get()
        report = await asyncio.to_thread(consult.report, findings, language)
    return JSONResponse(retold(report.to_dict(), language))


def _observe(system: System, body: ExaminationIn, watch: Watch) -> list[Finding]:
    if body.deep:
        system.keep("is deep", value=True)
    checks = select(CHECKS, layers=body.layers, deep=body.deep)
    return observe(system, checks, cap_s=DEEP_CAP_S if body.deep else CAP_S, watch=watch)


async def _stream(room: DoctorRoom, body: ExaminationIn) -> AsyncIterator[bytes]:
    """A `finding` for each check as soon as it is there, then the `report`."""
    language = caller.language.get()
    loop = asyncio.get_running_loop()
    found: asyncio.Queue[Finding | None] = asyncio.Queue()

    def tell(finding: Finding) -> None:
        loop.call_soon_threadsafe(found.put_nowait, finding)

    def work() -> list[Finding]:
        try:
            return _observe(room.look(), body, tell)
        finally:
            loop.call_soon_threadsafe(found.put_nowait, None)

    async with room.examining:
        running = asyncio.create_task(asyncio.to_thread(work))
        while (finding := await found.get()) is not None:
            told = {"type": "finding", "finding": retold(finding.to_dict(), language)}
            yield sse.encode(json.dumps(told, ensure_ascii=False))
        report = await asyncio.to_thread(consult.report, await running, language)
        told = {"type": "report", **retold(report.to_dict(), language)}
        yield sse.encode(json.dumps(told, ensure_ascii=False))


@router.post("/diagnose")
async def diagnose(request: Request, body: SymptomIn) -> dict[str, Any]:
    """What a symptom or a log means. The text alone decides, unless `live` is set."""
    room = room_of(request)
    findings: list[Finding] = []
    if body.live:
        async with room.examining:
            findings = await asyncio.to_thread(_observe, room.look(), ExaminationIn(), ignore)
    return await asyncio.to_thread(consult.diagnose_text, body.text, findings)


@router.get("/incidents")
async def incidents(
    request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """What went wrong since the server was installed, open ones first."""
    found = room_of(request).incidents.newest_first()
    return {
        "open": sum(incident.is_open for incident in found),
        "incidents": retold([i.to_dict() for i in found[:limit]], caller.language.get()),
    }


@router.get("/faults")
async def faults() -> dict[str, Any]:
    """Every fault that is known, in brief."""
    return {"faults": await asyncio.to_thread(consult.faults)}


@router.get("/faults/{fault_id}")
async def fault(fault_id: str) -> dict[str, Any]:
    """One fault: what one sees, why, how we know, what helps, how it is verified."""
    return await asyncio.to_thread(consult.fault, fault_id)


@router.post("/fixes/{remedy_id}")
async def fix(request: Request, remedy_id: str, body: FixIn) -> Response:
    """Treat: precondition, apply, settle, verify by the fault's own checks, else take back."""
    require_trust(request)
    known, remedy = await asyncio.to_thread(consult.find_remedy, remedy_id, body.fault)
    room = room_of(request)
    practice = Practice(room.look, room.hands(), room.journal)
    async with room.treating:
        done = await asyncio.to_thread(practice.treat, known, remedy, consent=body.consent)
    log.info("treatment", extra={"fault": known.id, "remedy": remedy.id, "result": done.result})
    for name in sorted(set(map(incident_of, known.verify))):
        room.incidents.note(name, f"{remedy.id}: {done.result}")
    status = 409 if done.result == "needs-consent" else 200
    response = JSONResponse(retold(done.to_dict(), caller.language.get()), status)
    if remedy.action == "clear-web-cache" and done.result in ("fixed", "undone"):
        response.headers["Clear-Site-Data"] = '"cache"'
    return response


def require_trust(request: Request) -> None:
    """Raises QwellError: without a key, only a browser or program of this machine may fix."""
    client = request.client.host if request.client else ""
    settings = room_of(request).view.settings
    if settings.api_key or settings.api_key_file or is_loopback(client):
        return
    raise QwellError(
        "auth-missing",
        found=f"a fix asked for from {client or 'an unknown address'}, and no key is set",
        expected="a request from this machine, or one with a key",
        fix="run `qwell doctor --fix` on the machine itself, or start with --api-key",
    )
