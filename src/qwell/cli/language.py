"""Chinese or English, as the person's environment says. Standard library only."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Literal

Language = Literal["zh", "en"]


def preferred(environ: Mapping[str, str] = os.environ) -> Language:
    """The first of the variables that is set decides, in the order that programs look at them."""
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(variable):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def writes_utf8() -> bool:
    """Whether the terminal, or what stands for it, takes every character."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower() in ("utf-8", "utf8")
