"""The context budget: which messages still fit, and what had to go.

Knows roles and counts; how many tokens an answer should have room for is the caller's decision.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from qwell.core import Message
from qwell.errors import QwellError
from qwell.text.template import ChatTemplate, Tool
from qwell.text.tokenizer import Tokenizer

_BLOCKS = (4, 16, 64)  # in which a full context is emptied; finer ones beside a long system prompt


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt that leaves room for the answer.

    dropped_messages   oldest messages that were left out
    dropped_tokens     how much shorter the prompt became by that
    prompt_tokens      len(ids)
    """

    ids: list[int]
    dropped_messages: int
    dropped_tokens: int
    prompt_tokens: int


def fit(
    template: ChatTemplate,
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    tools: Sequence[Tool] = (),
    *,
    n_ctx: int,
    reserve: int,
    overflow: Literal["trim", "error"] = "trim",
    continue_last: bool = False,
) -> Fitted:
    """Encode the newest turns that fit beside the system prompt in n_ctx - reserve.

    A turn begins with a user's message and goes whole or not at all. Turns go in blocks of a
    quarter of the room, counted from the beginning of the conversation: one that grows keeps
    its cut for many turns, and with it the prefix that is cached.

    Raises QwellError context-overflow when the last turn alone is too long, or, with overflow
    "error", when anything would have to be dropped; and as ChatTemplate.encode does.
    """

    def encoded(first: int) -> list[int]:
        return template.encode(
            tokenizer, [*head, *messages[first:]], tools, continue_last=continue_last
        )

    def first_within(size: int) -> int | None:
        """Where the longest row of newest turns begins that takes at most so many tokens."""
        # Fewer turns never make more tokens; from the newest on, so that a long past costs nothing.
        n_kept = 1
        while n_kept < len(starts) and len(encoded(starts[-n_kept])) <= size:
            n_kept *= 2
        at = bisect_left(
            starts,
            x=True,
            lo=max(0, len(starts) - n_kept),
            key=lambda start: len(encoded(start)) <= size,
        )
        return starts[at] if at < len(starts) else None

    room = n_ctx - reserve
    head = list(takewhile(lambda message: message.role == "system", messages))
    whole = encoded(len(head))
    if len(whole) <= room:
        return Fitted(whole, 0, 0, len(whole))
    if overflow == "error":
        raise _too_long("a conversation", len(whole), n_ctx, reserve)
    starts = [i for i in range(len(head) + 1, len(messages)) if messages[i].role == "user"]
    blocks = [*(max(1, room // n) for n in _BLOCKS), 1]
    sizes = (len(whole) - _round_up(len(whole) - room, block) for block in blocks)
    first = next((at for size in sizes if (at := first_within(size)) is not None), None)
    if first is None:
        least = encoded(starts[-1]) if starts else whole
        raise _too_long("the system prompt and the last turn", len(least), n_ctx, reserve)
    ids = encoded(first)
    return Fitted(ids, first - len(head), len(whole) - len(ids), len(ids))


def _round_up(n: int, block: int) -> int:
    return -(-n // block) * block


def _too_long(what: str, n_tokens: int, n_ctx: int, reserve: int) -> QwellError:
    return QwellError(
        "context-overflow",
        found=f"{what} of {n_tokens} tokens",
        expected=f"at most {max(n_ctx - reserve, 0)} tokens: {n_ctx} of context, of which "
        f"{reserve} are kept for the answer",
        fix="shorten it, start a new conversation, or serve with a larger --ctx-size",
    )
