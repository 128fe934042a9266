"""Token ids to text that is final: whole characters, and nothing of a stop string.

Knows nothing of models and sampling, and does not decide when an answer is over: it says that
a stop string was hit.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from qwell.text.tokenizer import Tokenizer


class IncrementalDecoder:
    """Turns the tokens of one answer into text as they come.

    stop      strings that end the answer; of several the one that is complete first counts
    after     tokens that the answer goes on from; they may end inside a character
    hit       the stop string that was hit, or None; the text before it is out, what follows is
              dropped
    """

    def __init__(
        self, tokenizer: Tokenizer, stop: Sequence[str] = (), *, after: Sequence[int] = ()
    ) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = StopStrings(stop)
        for token in after:
            self._characters(token)

    @property
    def hit(self) -> str | None:
        return self._stop.hit

    def push(self, token: int) -> str:
        """The text that became final with this token, often empty. Control tokens have no text."""
        return self._stop.push(self._characters(token))

    def finish(self) -> str:
        """The text still held back; a character that was never completed becomes U+FFFD."""
        return self._stop.push(self._utf8.decode(b"", final=True)) + self._stop.finish()

    def _characters(self, token: int) -> str:
        if token in self._tokenizer.control:
            return ""
        return self._utf8.decode(self._tokenizer.token_bytes(token))


class StopStrings:
    """Passes text on up to the first stop string, holding back what could become one.

    hit   the stop string that ended the text, or None
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.hit: str | None = None

    def push(self, text: str) -> str:
        """The text that is final now; empty after a hit."""
        if self.hit is not None:
            return ""
        text = self._held + text
        ends = [(at + len(stop), at, stop) for stop in self._stop if (at := text.find(stop)) >= 0]
        if ends:
            _, at, self.hit = min(ends)
            self._held = ""
            return text[:at]
        final = len(text) - held_back(text, self._stop)
        self._held = text[final:]
        return text[:final]

    def finish(self) -> str:
        """What was held back and did not become a stop string."""
        held, self._held = self._held, ""
        return held


def held_back(text: str, marks: Sequence[str]) -> int:
    """Length of the longest end of text that is the beginning, but not the whole, of a mark."""
    longest = max(map(len, marks), default=1) - 1
    for start in range(max(0, len(text) - longest), len(text)):
        if any(mark.startswith(text[start:]) for mark in marks):
            return len(text) - start
    return 0
