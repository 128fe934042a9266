"""Answers that must follow a grammar: which tokens may come next, as a bit for each token.

llguidance does the parsing, in about a tenth of a millisecond for a token. Knows nothing of what
the grammar is for (text/grammar.py), and nothing of sampling.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from qwell.errors import QwellError
from qwell.text import Text

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

Bits = NDArray[np.uint32]  # (ceil(n_vocab / 32),), the lowest bit first


class Grammars:
    """Compiles grammars for one model's tokens."""

    def __init__(self, text: Text, n_vocab: int) -> None:
        self._text = text
        self._n_vocab = n_vocab
        self._tokenizer: LLTokenizer | None = None

    def prepare(self) -> None:
        """Build the table of all tokens, which takes about a second and nobody else can run in.

        Does nothing the second time, and nothing without llguidance.
        """
        with contextlib.suppress(ImportError):  # who asks for a grammar is told
            self._tokenizer = self._tokenizer or self._build()

    def constraint(self, grammar: str) -> Constraint:
        """The beginning of an answer that follows grammar, which is Lark as llguidance reads it.

        The first call prepares, unless that was done before. Raises QwellError
        invalid-request-body for a grammar that cannot be followed, python-module-missing.
        """
        try:
            from llguidance import LLMatcher
        except ImportError as error:
            raise _missing(error) from error
        self._tokenizer = self._tokenizer or self._build()
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise _unusable(matcher.get_error())
        return Constraint(matcher, self._n_vocab)

    def _build(self) -> LLTokenizer:
        from llguidance import LLTokenizer, TokenizerWrapper

        table = _Table.of(self._text, self._n_vocab)
        return LLTokenizer(
            TokenizerWrapper(table), n_vocab=self._n_vocab, eos_token=sorted(self._text.stop_ids)
        )


class Constraint:
    """One answer on its way through its grammar. Call `allowed`, sample, `accept`, in turns."""

    def __init__(self, matcher: LLMatcher, n_vocab: int) -> None:
        self._matcher = matcher
        self._bits: Bits = np.zeros((n_vocab + 31) // 32, dtype=np.uint32)

    @property
    def may_end(self) -> bool:
        """What was accepted so far is a whole answer."""
        return self._matcher.is_accepting()

    @property
    def is_complete(self) -> bool:
        """Nothing can follow any more but the end."""
        return self._matcher.is_stopped()

    def allowed(self) -> Bits:
        """A bit for each token: whether it may come next. Valid until the next call.

        Raises QwellError inference-failed when the grammar became too complex to follow.
        """
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        return self._bits

    def accept(self, *tokens: int) -> None:
        """The answer goes on with these tokens."""
        self._matcher.consume_tokens(list(tokens))
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise QwellError(
                "inference-failed",
                found=f"a grammar that cannot be followed: {_reason(self._matcher.get_error())}",
                expected="a schema within the limits of the parser",
                fix="simplify the schema: fewer alternatives, shorter patterns",
            )


@dataclass(frozen=True, slots=True)
class _Table:
    """The vocabulary as llguidance asks for it."""

    eos_token_id: int
    bos_token_id: None
    tokens: Sequence[bytes]
    special_token_ids: Sequence[int]
    text: Text

    @classmethod
    def of(cls, text: Text, n_vocab: int) -> _Table:
        tokens = [text.tokenizer.token_bytes(token) for token in range(n_vocab)]
        control = sorted(text.tokenizer.control)
        return cls(min(text.stop_ids), None, tokens, control, text)

    def __call__(self, text: bytes) -> list[int]:
        return self.text.tokenizer.encode(text.decode("utf-8", "replace"))


def _reason(message: str) -> str:
    """What is wrong, without the place in a grammar that the caller never saw."""
    first = message.strip().partition("\n")[0]
    return re.sub(r"^at \d+\(\d+\): ", "", first)[:300]


def _unusable(message: str) -> QwellError:
    return QwellError(
        "invalid-request-body",
        found=f"a schema that cannot be followed: {_reason(message)}",
        expected="a JSON schema of the supported kind, of moderate size",
        fix="simplify the schema; docs/api.md lists what is supported",
    )


def _missing(error: ImportError) -> QwellError:
    return QwellError(
        "python-module-missing",
        found=f"llguidance cannot be imported: {error}",
        expected="a complete installation: JSON schemas and tools need it",
        fix="pip install --force-reinstall llguidance",
    )
