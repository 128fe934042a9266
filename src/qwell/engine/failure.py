"""Errors of the engine as faults, and faults as terminal events."""

from __future__ import annotations

from qwell.core import Failed
from qwell.errors import QwellError


def failed(error: QwellError, request_id: str) -> Failed:
    """The terminal event for an error."""
    title = error.fault.replace("-", " ").capitalize()
    cause = f"{error.found} (expected: {error.expected})"
    return Failed(error.fault, title, cause, error.fix, request_id)


def inference_failed(error: Exception) -> QwellError:
    """Whatever a backend raised, as a fault."""
    if isinstance(error, QwellError):
        return error
    if isinstance(error, MemoryError):
        return out_of_memory()
    return QwellError(
        "inference-failed",
        found=f"the engine raised {type(error).__name__}: {error}",
        expected="logits for every row",
        fix="send the message again; if it happens again, run `qwell doctor`",
    )


def out_of_memory() -> QwellError:
    """An allocation was refused."""
    return QwellError(
        "insufficient-ram",
        found="an allocation that the system refused",
        expected="memory for the weights and the conversations that run at once",
        fix="lower --parallel or --ctx-size, or give the program more memory",
    )


def not_finite(n_answer: int) -> QwellError:
    """Logits that hold NaN or infinity: never to be sampled from."""
    return QwellError(
        "weights-corrupt",
        found=f"logits that are not numbers after {n_answer} tokens of the answer",
        expected="finite logits",
        fix="the weights are damaged: fetch them again with `qwell pull`, then start again",
    )


def nothing_allowed(n_answer: int) -> QwellError:
    """A grammar that neither goes on nor ends."""
    return QwellError(
        "inference-failed",
        found=f"a grammar that allows no token after {n_answer} tokens of the answer",
        expected="a schema that some text follows",
        fix="simplify the schema",
    )
