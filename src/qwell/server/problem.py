"""Refusals as documents: RFC 9457 for everything but /v1, which has the shapes of its clients.

Knows how a QwellError looks on the wire, in the caller's language, and which status its fault id
means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from qwell.core import Failed
from qwell.doctor.consult import find_fault
from qwell.errors import QwellError
from qwell.server import caller
from qwell.translate import Language, joined, translated, translated_error

MEDIA_TYPE = "application/problem+json"

# Faults that are the caller's to solve or that ask for patience; all others mean 503.
_STATUS = {
    "invalid-request-body": 400,
    "context-overflow": 400,
    "request-unreadable": 400,
    "auth-missing": 401,
    "cors-blocked": 403,
    "host-not-allowed": 403,
    "api-base-wrong": 404,
    "model-name-unknown": 404,
    "stream-unknown": 404,
    "fault-unknown": 404,
    "remedy-unknown": 404,
    "conversation-unknown": 404,
    "case-unknown": 404,
    "case-busy": 409,
    "message-unknown": 404,
    "conversation-conflict": 409,
    "conversation-too-long": 409,
    "body-incomplete": 408,
    "request-incomplete": 408,
    "proxy-body-too-large": 413,
    "body-too-large": 413,
    "body-encoded": 415,
    "rate-limited": 429,
    "internal-error": 500,
    "request-queueing": 503,
    "answer-timeout": 504,
}
# Seconds, where the error itself does not know better.
_RETRY_AFTER = {"request-queueing": 5, "model-still-loading": 5, "worker-crashed": 2}

# OpenAI's own words where it has one; otherwise the fault id is the code.
_OPENAI_CODES = {
    "auth-missing": "invalid_api_key",
    "context-overflow": "context_length_exceeded",
    "model-name-unknown": "model_not_found",
    "rate-limited": "rate_limit_exceeded",
}


def title(fault: str, language: Language = "en") -> str:
    """A readable form of a fault id: ``weights-truncated`` is ``Weights truncated``."""
    known = _chinese_title(fault) if language == "zh" else ""
    return known or fault.replace("-", " ").capitalize()


@cache
def _chinese_title(fault: str) -> str:
    try:
        return find_fault(fault).title.zh
    except QwellError:
        return ""


def worded(failed: Failed, language: Language | None = None) -> Failed:
    """The same in this language; None: the caller's."""
    language = language or caller.language.get()
    if language == "en":
        return replace(failed, title=failed.title or title(failed.code))
    return replace(
        failed,
        title=title(failed.code, language),
        cause=translated(failed.cause, language),
        fix=translated(failed.fix, language),
    )


def status_of(fault: str) -> int:
    return _STATUS.get(fault, 503)


def patience_s(fault: str, known_s: float | None = None) -> float | None:
    """When trying again makes sense; None where waiting is no help."""
    return _RETRY_AFTER.get(fault) if known_s is None else known_s


def headers_of(fault: str, retry_after_s: float | None = None) -> dict[str, str]:
    """Retry-After is in whole seconds, at least one."""
    wait_s = patience_s(fault, retry_after_s)
    headers = {} if wait_s is None else {"Retry-After": str(max(1, math.ceil(wait_s)))}
    return headers | ({"WWW-Authenticate": "Bearer"} if fault == "auth-missing" else {})


def problem(error: QwellError, *, request_id: str = "", status: int | None = None) -> JSONResponse:
    """An RFC 9457 document: type, title, status, detail, and what was expected and helps."""
    code = status or status_of(error.fault)
    language = caller.language.get()
    error = translated_error(error, language)
    body = {
        "type": f"/faults/{error.fault}",
        "title": title(error.fault, language),
        "status": code,
        "detail": error.found,
        "expected": error.expected,
        "fix": error.fix,
    }
    if request_id:
        body["request_id"] = request_id
    headers = headers_of(error.fault, error.retry_after_s)
    return JSONResponse(body, code, headers=headers, media_type=MEDIA_TYPE)


def problem_of(failed: Failed, request_id: str) -> JSONResponse:
    """The same document for an answer that failed."""
    failed = worded(failed)
    body = {
        "type": f"/faults/{failed.code}",
        "title": failed.title,
        "status": status_of(failed.code),
        "detail": failed.cause,
        "fix": failed.fix,
        "request_id": request_id,
    }
    headers = headers_of(failed.code, failed.retry_after_s)
    return JSONResponse(body, status_of(failed.code), headers=headers, media_type=MEDIA_TYPE)


def openai_body(fault: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {
        "error": {
            "message": message,
            "type": _openai_type(fault),
            "code": _OPENAI_CODES.get(fault, fault),
            "param": param,
            "fault": fault,
        }
    }


def openai_error(error: QwellError, *, param: str | None = None) -> JSONResponse:
    message = joined(error, caller.language.get())
    return JSONResponse(
        openai_body(error.fault, message, param),
        status_of(error.fault),
        headers=headers_of(error.fault, error.retry_after_s),
    )


def anthropic_body(fault: str, message: str, request_id: str) -> dict[str, Any]:
    """An error in Anthropic's shape, with its fault added."""
    error = {"type": _anthropic_type(fault), "message": message, "fault": fault}
    return {"type": "error", "error": error, "request_id": request_id}


def anthropic_error(error: QwellError, *, request_id: str = "") -> JSONResponse:
    message = joined(error, caller.language.get())
    return JSONResponse(
        anthropic_body(error.fault, message, request_id),
        status_of(error.fault),
        headers=headers_of(error.fault, error.retry_after_s),
    )


def refusal(
    path: str,
    error: QwellError,
    *,
    request_id: str = "",
    param: str | None = None,
    status: int | None = None,
) -> Response:
    """The document in the shape that callers of this path expect."""
    if path.startswith("/v1/messages"):
        return anthropic_error(error, request_id=request_id)
    if path.startswith("/v1/"):
        return openai_error(error, param=param)
    return problem(error, request_id=request_id, status=status)


async def refuse(scope: Scope, receive: Receive, send: Send, error: QwellError) -> None:
    """Answer an HTTP request, or a WebSocket handshake, with a refusal."""
    response = refusal(scope["path"], error, request_id=request_id_of(scope))
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": error.fault})
            return
    await response(scope, receive, send)


def request_id_of(scope: Mapping[str, Any]) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def _openai_type(fault: str) -> str:
    status = status_of(fault)
    if fault == "context-overflow":
        return "exceed_context_size_error"
    if status == 401:
        return "authentication_error"
    if status == 429:
        return "rate_limit_error"
    return "invalid_request_error" if status < 500 else "server_error"


def _anthropic_type(fault: str) -> str:
    known = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        503: "overloaded_error",
        504: "timeout_error",
    }
    return known.get(status_of(fault), "invalid_request_error")
