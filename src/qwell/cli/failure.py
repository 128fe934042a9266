"""An error as a person reads it in the terminal. Prints nothing."""

from __future__ import annotations

from qwell.cli.language import Language, preferred
from qwell.errors import QwellError
from qwell.translate import translated_error

_LABELS = {
    "en": ("  found:    ", "  expected: ", "  fix:      "),
    "zh": ("  现状：", "  应为：", "  解决办法："),
}


def describe(error: QwellError, language: Language | None = None) -> str:
    """Four lines: which fault, what was found, what was expected, what to do."""
    language = language or preferred()
    error = translated_error(error, language)
    said = (error.found, error.expected, error.fix)
    lines = [f"{label}{text}" for label, text in zip(_LABELS[language], said, strict=True)]
    return "\n".join([f"error: {error.fault}", *lines])
