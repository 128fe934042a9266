"""From a request to the ids the model reads, within the context. Knows nothing of slots."""

from __future__ import annotations

from dataclasses import dataclass

from qwell.core import Notice, Request
from qwell.errors import QwellError
from qwell.text import Text
from qwell.text.context import fit

DEFAULT_RESERVE = 512  # tokens kept free for an answer of unknown length


@dataclass(frozen=True, slots=True)
class Prompt:
    """notice: what had to be left out, if anything."""

    ids: list[int]
    notice: Notice | None = None


def reserve(max_tokens: int | None, n_ctx: int) -> int:
    """Room to keep for the answer: as asked, but never more than a quarter of the context."""
    wanted = DEFAULT_RESERVE if max_tokens is None else max(1, max_tokens)
    return min(wanted, n_ctx // 4)


def encode_prompt(text: Text, request: Request, n_ctx: int) -> Prompt:
    """Raises QwellError ``context-overflow`` when it does not fit and may not be trimmed."""
    room = reserve(request.max_tokens, n_ctx)
    if request.prompt is not None:
        return Prompt(_plain(text, request.prompt, n_ctx - room))
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
    return Prompt(list(fitted.ids), _trimmed(fitted.dropped_messages, fitted.dropped_tokens))


def _plain(text: Text, prompt: str, room: int) -> list[int]:
    # a model reads at least one token; this is the one that separates texts in training
    ids = text.tokenizer.encode(prompt) or [text.tokenizer.id_of("<|endoftext|>") or 0]
    if len(ids) > room:
        raise QwellError(
            "context-overflow",
            found=f"a prompt of {len(ids)} tokens",
            expected=f"at most {room}, so that an answer fits too",
            fix="shorten the prompt or start with a larger --ctx-size",
        )
    return ids


def _trimmed(n_messages: int, n_tokens: int) -> Notice | None:
    if not n_messages:
        return None
    detail = {"dropped_messages": n_messages, "dropped_tokens": n_tokens}
    return Notice("context-overflow", detail)
