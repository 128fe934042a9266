"""Chinese or English, as the person or the environment says. Standard library only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from qwell.translate import Language

__all__ = ["Language", "preferred", "speaking", "writes_utf8"]


def preferred(environ: Mapping[str, str] = os.environ) -> Language:
    """The first of the variables that is set decides, in the order that programs look at them."""
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(variable):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@contextmanager
def speaking(chosen: Language | None) -> Iterator[None]:
    """Meanwhile in this language: by the variable that is looked at first, also by children."""
    before = os.environ.get("LANGUAGE")
    try:
        if chosen is not None:
            os.environ["LANGUAGE"] = chosen
        yield
    finally:
        if before is not None:
            os.environ["LANGUAGE"] = before
        elif chosen is not None:
            del os.environ["LANGUAGE"]


def writes_utf8() -> bool:
    """Whether the terminal, or what stands for it, takes every character."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower() in ("utf-8", "utf8")
