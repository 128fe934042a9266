"""An error as a person reads it in the terminal. Prints nothing."""

from __future__ import annotations

from qwell.cli.language import Language, preferred
from qwell.errors import QwellError, fault_of_import
from qwell.translate import translated_error

_LABELS = {
    "en": ("  found:    ", "  expected: ", "  fix:      "),
    "zh": ("  现状：", "  应为：", "  解决办法："),
}


def incomplete(error: ImportError) -> QwellError:
    """A command that cannot run here, because something that it imports is missing or broken."""
    return QwellError(
        fault_of_import(error),
        found=str(error),
        expected="a complete installation of qwell",
        fix="pip install --force-reinstall qwell",
    )


def describe(error: QwellError, language: Language | None = None) -> str:
    """Four lines: which fault, what was found, what was expected, what to do."""
    language = language or preferred()
    error = translated_error(error, language)
    said = (error.found, error.expected, error.fix)
    lines = [f"{label}{text}" for label, text in zip(_LABELS[language], said, strict=True)]
    return "\n".join([f"error: {error.fault}", *lines])
