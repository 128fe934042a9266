"""Three kinds of error: QwellError is shown to the user, assert is our bug, the rest propagates.

Knows nothing of HTTP or the terminal: both render the same fields.
"""

from __future__ import annotations

from typing import Any


class QwellError(Exception):
    """A failure with a name, its evidence and the next step.

    fault      id of the fault taxonomy, e.g. ``weights-truncated``
    found      what is there, with the path or value
    expected   what should be there
    fix        what to do, with the command to run where one exists
    retry_after_s  when trying again makes sense, where that is known; does not cross the pipe
    """

    def __init__(
        self,
        fault: str,
        *,
        found: str,
        expected: str,
        fix: str,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(fault, found, expected, fix)
        self.fault = fault
        self.found = found
        self.expected = expected
        self.fix = fix
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"[{self.fault}] found: {self.found}; expected: {self.expected}; fix: {self.fix}"

    def to_dict(self) -> dict[str, str]:
        """The same four fields, for JSON."""
        return {
            "fault": self.fault,
            "found": self.found,
            "expected": self.expected,
            "fix": self.fix,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> QwellError:
        """Inverse of to_dict: errors cross the worker's pipe."""
        return cls(data["fault"], found=data["found"], expected=data["expected"], fix=data["fix"])


def fault_of_import(error: ImportError) -> str:
    """What a failed import says about the installation."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError):
        return "python-module-missing"
    if "GLIBC" in text:
        return "glibc-too-old"
    if "libgomp" in text:
        return "libgomp-missing"
    if "shared object" in text:
        return "shared-lib-missing"
    return "package-version-mismatch"
