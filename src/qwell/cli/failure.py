"""An error as a person reads it in the terminal. Prints nothing."""

from __future__ import annotations

from qwell.errors import QwellError


def describe(error: QwellError) -> str:
    """Four lines: which fault, what was found, what was expected, what to do."""
    return (
        f"error: {error.fault}\n"
        f"  found:    {error.found}\n"
        f"  expected: {error.expected}\n"
        f"  fix:      {error.fix}"
    )
