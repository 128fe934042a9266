"""The application: which middleware, which routes, and what starts and stops with them.

Knows where everything is mounted, nothing of what it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

import qwell
from qwell.config import Settings
from qwell.errors import QwellError
from qwell.server import (
    anthropic,
    chat,
    chat_socket,
    conversations,
    docs_page,
    doctor,
    fault_page,
    health,
    metrics,
    openai,
    page,
    responses,
    selftest,
    support,
    text_completion,
    tokenize,
)
from qwell.server.admission import Admission
from qwell.server.api_key import ApiKey
from qwell.server.body_limit import BodyLimit
from qwell.server.canary import Canary
from qwell.server.connections import ConnectionLimit
from qwell.server.cors import OriginCheck
from qwell.server.cors import checked as checked_origins
from qwell.server.doctor_room import DoctorRoom
from qwell.server.exposition import Gauge
from qwell.server.host_check import HostCheck, own_names
from qwell.server.key_ring import KeyRing
from qwell.server.loop_lag import lag_observed
from qwell.server.metrics import Metrics, process_gauges, worker_gauges
from qwell.server.on_demand import OnDemand
from qwell.server.preparation import prepare
from qwell.server.problem import refusal, request_id_of
from qwell.server.request_log import RequestLog
from qwell.server.schemas import first_wrong, invalid_body
from qwell.server.security_headers import SecurityHeaders
from qwell.server.streams import Bounds, Copies, Streams
from qwell.server.support_room import SupportRoom
from qwell.server.trusted_proxy import ProxyHeadersMiddleware, checked
from qwell.server.worker_protocol import Worker
from qwell.store import StoreKeeper

_DOCTOR = (doctor, support, selftest, fault_page)
_CLIENT_APIS = (openai, text_completion, responses, anthropic, tokenize)
STOP_GRACE_S = 5.0  # for the worker, once the answers have ended

log = logging.getLogger("qwell.server")


def create_app(
    settings: Settings,
    worker: Worker,
    *,
    bundle: Path = page.BUNDLE,
    watched: bool = False,
    copies: Copies | None = None,
) -> FastAPI:
    """The whole server over a worker that is not started yet: it lives as long as the app.

    watched: monitors look after it, and ask the model a question now and then. copies: where other
    servers find the answers of this one. Raises QwellError ``config-invalid`` for keys, proxies
    and origins that cannot be used.
    """
    counted = Metrics()
    if settings.idle_unload_min:
        worker = OnDemand(worker, 60.0 * settings.idle_unload_min)
    app = FastAPI(
        title="qwell",
        version=qwell.__version__,
        description="Private streaming chat with Qwen2.5 on CPUs.",
        docs_url=None,  # docs_page.py: the framework's loads scripts from another origin
        redoc_url=None,
        redirect_slashes=False,  # behind a proxy it would name this server's own address
        lifespan=_lifespan,
        middleware=_middleware(settings, counted),
    )
    app.state.settings = settings
    app.state.worker = worker
    app.state.bundle = bundle
    app.state.metrics = counted
    app.state.streams = streams = _streams(settings, worker, counted, copies)
    app.state.copies = copies
    app.state.keeper = StoreKeeper(settings)
    app.state.canary = Canary(worker, streams)
    app.state.doctor = DoctorRoom(settings, worker, streams, app.state.keeper)
    app.state.support = SupportRoom(settings, app.state.doctor, worker, streams)
    app.state.watched = watched
    counted.watch(
        Gauge("qwell_answers_live", "answers running or waiting", lambda: streams.n_live),
        *worker_gauges(worker),
        *process_gauges(),
    )
    app.add_exception_handler(QwellError, _on_qwell_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_body)
    own = (chat, chat_socket, conversations, *_DOCTOR, health, metrics, docs_page)
    for part in (*own, *_CLIENT_APIS, page):
        app.include_router(part.router)
    app.router.default = page.any_other_path
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    await app.state.worker.start()
    copies: Copies | None = app.state.copies
    if copies is not None:
        await copies.start()
    preparing = asyncio.create_task(prepare(app.state.worker, app.state.keeper))
    room: DoctorRoom = app.state.doctor

    def note_lag(seconds: float) -> None:
        app.state.metrics.loop_lag_s.observe(seconds)
        room.view.lag_s.append(seconds)

    try:
        async with lag_observed(note_lag), room.watching() if app.state.watched else nullcontext():
            yield
    finally:
        preparing.cancel()
        await app.state.support.close()
        await app.state.streams.close(grace_s=0)
        if copies is not None:
            await copies.stop()
        await app.state.keeper.close()
        await app.state.worker.stop(STOP_GRACE_S)


def _middleware(settings: Settings, counted: Metrics) -> list[Middleware]:
    """Outermost first."""
    return [
        Middleware(ProxyHeadersMiddleware, trusted_hosts=checked(settings.trusted_proxy)),
        Middleware(RequestLog, metrics=counted),
        Middleware(SecurityHeaders),
        Middleware(ConnectionLimit),
        Middleware(HostCheck, names=own_names(settings.host, settings.cors_origin)),
        Middleware(OriginCheck, origins=checked_origins(settings.cors_origin)),
        Middleware(ApiKey, ring=KeyRing(settings.api_key, settings.api_key_file)),
        Middleware(BodyLimit, max_bytes=settings.max_body_mib * 2**20),
    ]


def _streams(
    settings: Settings, worker: Worker, counted: Metrics, copies: Copies | None
) -> Streams:
    return Streams(
        worker,
        Bounds(answer_s=settings.request_timeout_s),
        Admission(settings.max_queue, settings.rate_limit),
        counted,
        log_text=settings.log_prompts == "on",
        copies=copies,
    )


async def _on_qwell_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, QwellError)
    return refusal(request.url.path, error, request_id=request_id_of(request.scope))


async def _on_invalid_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = error.errors()
    return refusal(
        request.url.path,
        invalid_body(wrong),
        request_id=request_id_of(request.scope),
        param=first_wrong(wrong),
    )


async def _on_http_error(request: Request, error: Exception) -> Response:
    """Refusals of the framework: unknown path, wrong method, unreadable body."""
    assert isinstance(error, HTTPException)
    cause = error.__cause__
    if not isinstance(cause, QwellError):
        cause = _explained(request, error)
    status, request_id = error.status_code, request_id_of(request.scope)
    response = refusal(request.url.path, cause, request_id=request_id, status=status)
    response.headers.update(error.headers or {})
    response.status_code = error.status_code
    return response


def _explained(request: Request, error: HTTPException) -> QwellError:
    asked = f"{request.method} {request.url.path}"
    if error.status_code in (404, 405):
        return QwellError(
            "api-base-wrong",
            found=f"{asked}: {error.detail.lower()}",
            expected="a route listed at /docs; OpenAI clients use base_url .../v1",
            fix="correct the URL or the method",
        )
    return QwellError(
        "invalid-request-body",
        found=f"{asked}: {error.detail}",
        expected="a request as described at /docs",
        fix="correct the request and send it again",
    )
