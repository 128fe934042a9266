"""A sentence in the model's words, if it has any and they hold nothing but the facts.

Knows no model: a Writer is handed in. Whatever it does, the templates are there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from qwell.doctor.facts_filter import only_facts
from qwell.doctor.fault import Language

log = logging.getLogger(__name__)


class Writer(Protocol):
    """A language model on a short leash. It may be slow, wrong, or gone."""

    def write(self, text: str, language: Language) -> str:
        """The text in friendlier words; "" when there are none in time."""

    def choose(self, said: str, labels: Sequence[str]) -> int:
        """Which label the words mean, by its place; -1 for none."""


class Silent:
    """No model."""

    def write(self, _text: str, _language: Language) -> str:
        return ""

    def choose(self, _said: str, _labels: Sequence[str]) -> int:
        return -1


SILENT = Silent()


def phrased(writer: Writer, text: str, known: Sequence[str], language: Language) -> str:
    """The writer's version of text, without any sentence that says more than text and known.

    "" when nothing is left of it, or it lost what text says.
    """
    try:
        written = writer.write(text, language)
    except Exception:
        log.exception("the model did not phrase a sentence")
        return ""
    return only_facts(written, (text, *known), language) if written else ""


def suggested(writer: Writer, said: str, labels: Sequence[str]) -> int:
    """Which label a person may have meant; -1 for none. A suggestion is never taken unasked."""
    try:
        which = writer.choose(said, labels)
    except Exception:
        log.exception("the model did not choose")
        return -1
    return which if 0 <= which < len(labels) else -1
