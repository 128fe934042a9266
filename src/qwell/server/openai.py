"""/v1/models and /v1/chat/completions: OpenAI's chat API over the same streams as the page.

Knows routes; the JSON is made in openai_completion.py, and client_answer.py runs the answer.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from qwell.server.choices import variants
from qwell.server.client_answer import respond
from qwell.server.health import reason_not_ready, status_of
from qwell.server.model_name import check_model, served_name
from qwell.server.openai_completion import Completion
from qwell.server.openai_schemas import ChatCompletionIn
from qwell.server.problem import request_id_of

router = APIRouter(prefix="/v1", tags=["openai"])


@router.get("/models")
async def models(request: Request) -> dict[str, Any]:
    """The one model that is really served; an empty list while there is none."""
    name = status_of(request).model.get("name")
    return {"object": "list", "data": [_card(name)] if name else []}


@router.get("/models/{model:path}")
async def model_card(request: Request, model: str) -> dict[str, Any]:
    """The model, if it is the one that is served; 503 with the reason while there is none."""
    if reason := reason_not_ready(status_of(request)):
        raise reason
    check_model(request, model)
    return _card(served_name(request, model))


@router.post("/chat/completions", response_class=JSONResponse)
async def chat_completions(request: Request, body: ChatCompletionIn) -> Response:
    """A chat completion; with `stream` as server-sent events."""
    check_model(request, body.model)
    core = body.to_core(request_id_of(request.scope))
    n = body.n or 1
    return await respond(
        request,
        [variants(core, n)],
        lambda: Completion(
            core.id,
            model=served_name(request, body.model),
            n=n,
            logprobs=bool(body.logprobs),
            include_usage=body.include_usage,
        ),
        model=body.model,
        stream=bool(body.stream),
    )


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "qwell"}
