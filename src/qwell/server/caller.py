"""Who asks: the client's address, in which language and, where keys are set, with which of them.

Found out once by the middleware and readable by everything that the request runs through, also
by each message of a WebSocket. Knows no key, only its name.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from qwell.translate import Language


@dataclass(frozen=True, slots=True)
class Caller:
    """key: the name of the key (see api_key.py), empty where none is asked for."""

    address: str = ""
    key: str = ""


UNKNOWN = Caller()
current: ContextVar[Caller] = ContextVar("caller", default=UNKNOWN)
language: ContextVar[Language] = ContextVar("language", default="en")


def speak(chosen: Language | None) -> None:
    """From here on in the language that a body asks for, where it names one."""
    if chosen is not None:
        language.set(chosen)
