"""/health: the process lives. /ready: a token can come out. /health/deep: one just did.

/version says what is really served.

Knows the worker's status, not how it came about.
"""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

import qwell
from qwell.errors import QwellError
from qwell.server.admission import shutting_down
from qwell.server.canary import Verdict
from qwell.server.problem import problem, request_id_of
from qwell.server.worker_protocol import Status

router = APIRouter(tags=["operations"])
_STARTED_AT = time.monotonic()
_NO_STORE = {"Cache-Control": "no-store"}


def status_of(request: Request) -> Status:
    status: Status = request.app.state.worker.status
    return status


def reason_not_ready(status: Status) -> QwellError | None:
    """Why no token can come out now, with what to do; None when ready."""
    match status.phase:
        case "ready" | "idle":
            return None  # an idle worker is loaded by the request that needs it
        case "failed" | "restarting" if status.error is not None:
            return status.error
        case "failed" | "restarting":
            return QwellError(
                "worker-crashed",
                found="the worker process ended" + _last_line(status.last_words),
                expected="a running worker",
                fix="it is started again by itself; if it keeps ending, see `qwell serve`'s log",
            )
        case "stopped":
            return QwellError(
                "backend-not-listening",
                found="the server is shutting down",
                expected="a running server",
                fix="start it again: qwell serve",
            )
        case _:
            return QwellError(
                "model-still-loading",
                found=f"the model is loading: {status.progress:.0%}",
                expected="a loaded model",
                fix="wait; the page shows the progress",
            )


def _last_line(last_words: str) -> str:
    lines = last_words.strip().splitlines()
    return f"; it last said: {lines[-1][:300]}" if lines else ""


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health() -> JSONResponse:
    """The process lives; says nothing about the model."""
    body = {"status": "ok", "uptime_s": round(time.monotonic() - _STARTED_AT, 1)}
    return JSONResponse(body, headers=_NO_STORE)


@router.head("/ready", include_in_schema=False)
@router.get("/ready")
async def ready(request: Request) -> Response:
    """200 when a token can come out, else 503 with cause and fix (RFC 9457)."""
    status = status_of(request)
    reason = _closing(request) or reason_not_ready(status)
    if reason is not None:
        return _unhealthy(request, reason)
    return JSONResponse({"status": status.phase, "model": _model(status)}, headers=_NO_STORE)


@router.head("/health/deep", include_in_schema=False)
@router.get("/health/deep")
async def deep(request: Request) -> Response:
    """200 when a token came out within a deadline, kept for some seconds; else 503 with cause.

    A worker that is busy with other answers is healthy by them; one unloaded while idle stays so.
    """
    status = status_of(request)
    reason = _closing(request) or reason_not_ready(status)
    if reason is not None:
        return _unhealthy(request, reason)
    if status.phase == "idle":
        return JSONResponse({"status": "idle"}, headers=_NO_STORE)
    verdict: Verdict = await request.app.state.canary.verdict()
    if verdict.error is not None:
        return _unhealthy(request, verdict.error)
    body = {"status": "ok", "how": verdict.how, "seconds": round(verdict.seconds, 3)}
    return JSONResponse(body, headers=_NO_STORE)


def _closing(request: Request) -> QwellError | None:
    closing_in_s: float | None = request.app.state.streams.admission.closing_in_s
    return None if closing_in_s is None else shutting_down(closing_in_s)


def _unhealthy(request: Request, reason: QwellError) -> Response:
    response = problem(reason, request_id=request_id_of(request.scope), status=503)
    response.headers.update(_NO_STORE)
    return response


@router.get("/version")
async def version(request: Request) -> JSONResponse:
    """What is really served: model, quant, engine, instruction set, threads."""
    status = status_of(request)
    body = {
        "name": "qwell",
        "version": qwell.__version__,
        "phase": status.phase,
        "progress": status.progress,
        "model": _model(status),
    }
    return JSONResponse(body, headers=_NO_STORE)


def _model(status: Status) -> dict[str, Any] | None:
    """What the worker reports, but for the folder: that is nobody's business on the network."""
    model = dict(status.model)
    if "source" in model:
        model["source"] = {k: v for k, v in model["source"].items() if k != "path"}
    return model or None
