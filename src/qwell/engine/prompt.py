"""From a request to the ids the model reads, within the context. Knows nothing of slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qwell.core import Notice, Request
from qwell.errors import QwellError
from qwell.text import Text
from qwell.text.context import Fitted, fit

DEFAULT_RESERVE = 512  # tokens kept free for an answer of unknown length


@dataclass(frozen=True, slots=True)
class Prompt:
    """n_dropped: tokens that were left out; notice: says so, if any were."""

    ids: list[int]
    n_dropped: int = 0
    notice: Notice | None = None


def reserve(max_tokens: int | None, n_ctx: int) -> int:
    """Room to keep for the answer: as asked, but never more than a quarter of the context."""
    wanted = DEFAULT_RESERVE if max_tokens is None else max(1, max_tokens)
    return min(wanted, n_ctx // 4)


def encode_prompt(text: Text, request: Request, n_ctx: int) -> Prompt:
    """Raises QwellError ``context-overflow`` when it does not fit and may not be trimmed."""
    room = reserve(request.max_tokens, n_ctx)
    if not request.messages:
        ids = _plain_ids(text, request)
        _check_length(ids, n_ctx - room)
        return Prompt(ids)
    fitted = fit(
        text.template,
        text.tokenizer,
        request.messages,
        request.tools,
        n_ctx=n_ctx,
        reserve=room,
        overflow=request.overflow,
        continue_last=request.continue_last,
    )
    return Prompt(list(fitted.ids), fitted.dropped_tokens, _trimmed(fitted))


def encode_whole(text: Text, request: Request) -> list[int]:
    """The prompt of a request as if the context had no end. Raises as encode_prompt."""
    if not request.messages:
        return _plain_ids(text, request)
    return text.template.encode(
        text.tokenizer, request.messages, request.tools, continue_last=request.continue_last
    )


def decode_whole(text: Text, ids: list[int]) -> str:
    """The text of tokens, control tokens too; bytes that are no character become U+FFFD."""
    return b"".join(map(text.tokenizer.token_bytes, ids)).decode("utf-8", "replace")


def _plain_ids(text: Text, request: Request) -> list[int]:
    if request.prompt_ids:
        _check_known(request.prompt_ids, text.tokenizer.n_vocab)
        return list(request.prompt_ids)
    ids = text.tokenizer.encode(request.prompt or "")
    # a model reads at least one token; this is the one that separates texts in training
    return ids or [text.tokenizer.id_of("<|endoftext|>") or 0]


def _check_known(ids: Sequence[int], n_vocab: int) -> None:
    wrong = next((token for token in ids if not 0 <= token < n_vocab), None)
    if wrong is not None:
        raise QwellError(
            "invalid-request-body",
            found=f"token {wrong}",
            expected=f"tokens from 0 to {n_vocab - 1}",
            fix="send text, or tokens of this model as POST /tokenize gives them",
        )


def _check_length(ids: list[int], room: int) -> None:
    if len(ids) > room:
        raise QwellError(
            "context-overflow",
            found=f"a prompt of {len(ids)} tokens",
            expected=f"at most {room}, so that an answer fits too",
            fix="shorten the prompt or start with a larger --ctx-size",
        )


def _trimmed(fitted: Fitted) -> Notice | None:
    if not fitted.dropped_messages:
        return None
    detail = {
        "dropped_messages": fitted.dropped_messages,
        "dropped_tokens": fitted.dropped_tokens,
        "tokens_before": fitted.prompt_tokens + fitted.dropped_tokens,
        "tokens_after": fitted.prompt_tokens,
    }
    return Notice("context-overflow", detail)
