"""/tokenize and /detokenize: what the model reads, without reading it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AliasChoices, Field
from starlette.responses import JSONResponse, Response

from qwell.core import Failed
from qwell.core import Request as Asked
from qwell.errors import QwellError
from qwell.server.answer import Answer
from qwell.server.client_answer import respond_whole
from qwell.server.health import status_of
from qwell.server.model_name import check_model
from qwell.server.openai_schemas import MAX_TOOLS, OpenAIMessage, ToolIn
from qwell.server.problem import problem_of, request_id_of
from qwell.server.schemas import MAX_MESSAGES, Strict

MAX_CHARS = 250_000  # of a text, and so that many tokens at most in one line of the worker's pipe
MAX_IDS = 250_000

router = APIRouter(tags=["tokens"])


class TokenizeIn(Strict):
    """Body of POST /tokenize: a text, or a conversation as the model's template writes it."""

    content: Annotated[
        str | None,
        Field(max_length=MAX_CHARS, validation_alias=AliasChoices("content", "prompt")),
    ] = None
    messages: (
        Annotated[list[OpenAIMessage], Field(min_length=1, max_length=MAX_MESSAGES)] | None
    ) = None
    tools: Annotated[list[ToolIn], Field(max_length=MAX_TOOLS)] | None = None
    model: Annotated[str, Field(max_length=300)] | None = None

    def to_core(self, request_id: str) -> Asked:
        """Raises QwellError unless it is one of text and conversation."""
        if (self.content is None) == (self.messages is None):
            raise QwellError(
                "invalid-request-body",
                found="both content and messages" if self.messages else "nothing to tokenize",
                expected="either content (a text) or messages (a conversation)",
                fix='send {"content": "..."} or {"messages": [...]}',
            )
        return Asked(
            id=request_id,
            messages=tuple(message.to_core() for message in self.messages or ()),
            tools=tuple(tool.to_core() for tool in self.tools or ()),
            prompt=self.content,
            encode_only=True,
        )


class DetokenizeIn(Strict):
    """Body of POST /detokenize."""

    tokens: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(max_length=MAX_IDS)]
    model: Annotated[str, Field(max_length=300)] | None = None


@router.post("/tokenize", response_class=JSONResponse)
async def tokenize(request: Request, body: TokenizeIn) -> Response:
    """Tokens of a text or of a conversation, their number, and how many the context holds.

    `prompt` is another name for `content`. What the text says never becomes a special token.
    """

    def document(answer: Answer) -> dict[str, Any]:
        n_ctx = status_of(request).model.get("n_ctx")
        ids = list(answer.tokens.ids) if answer.tokens and body.content != "" else []
        return {"tokens": ids, "count": len(ids), "max_model_len": n_ctx}

    return await _encoded(request, body.to_core(request_id_of(request.scope)), document, body.model)


@router.post("/detokenize", response_class=JSONResponse)
async def detokenize(request: Request, body: DetokenizeIn) -> Response:
    """The text of tokens, special tokens by name; `prompt` is another name for `content`."""

    def document(answer: Answer) -> dict[str, Any]:
        text = answer.tokens.text if answer.tokens and body.tokens else ""
        return {"content": text, "prompt": text}

    core = Asked(id=request_id_of(request.scope), prompt_ids=tuple(body.tokens), encode_only=True)
    return await _encoded(request, core, document, body.model)


async def _encoded(
    request: Request,
    core: Asked,
    document: Callable[[Answer], dict[str, Any]],
    model: str | None,
) -> Response:
    """What becomes of an encode_only request."""
    if model is not None:
        check_model(request, model)
    form = _Document(document, core.id)
    return await respond_whole(request, [[core]], lambda: form, model=model)


@dataclass(frozen=True, slots=True)
class _Document:
    document: Callable[[Answer], dict[str, Any]]
    request_id: str

    def whole(self, answers: Sequence[Answer]) -> dict[str, Any]:
        return self.document(answers[0])

    def refusal(self, failed: Failed) -> Response:
        return problem_of(failed, self.request_id)
