"""The text side of one model, as a pack's meta describes it.

Knows which texts end an answer; knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qwell.errors import QwellError
from qwell.text.template import ChatTemplate
from qwell.text.tokenizer import Tokenizer

# Qwen2 ends a turn with the first; the second ends a document and, at times, a turn as well.
STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")


@dataclass(frozen=True, slots=True)
class Text:
    """Tokenizer, template, the ids that end an answer and the model's sampling defaults."""

    tokenizer: Tokenizer
    template: ChatTemplate
    stop_ids: frozenset[int]
    generation_config: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Text:
        """From a pack's meta.

        Raises QwellError: tokenizer-missing, tokenizer-mismatch, chat-template-missing,
        chat-template-wrong, stop-token-missing.
        """
        tokenizer = Tokenizer.from_meta(meta.get("tokenizer"))
        named = {tokenizer.id_of(text) for text in STOP_TOKENS} - {None}
        stop_ids = frozenset(meta.get("stop_ids") or ()) | named
        if not stop_ids:
            raise _no_stop_token()
        return cls(
            tokenizer=tokenizer,
            template=ChatTemplate(meta.get("chat_template")),
            stop_ids=frozenset(number for number in stop_ids if number is not None),
            generation_config=dict(meta.get("generation_config") or {}),
            name=meta.get("name", ""),
        )


def _no_stop_token() -> QwellError:
    return QwellError(
        "stop-token-missing",
        found="a tokenizer with none of " + ", ".join(STOP_TOKENS),
        expected="the token that ends an answer",
        fix="use an Instruct model with its own tokenizer: qwell pull",
    )
