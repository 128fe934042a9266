"""Which engine a conversation belongs to, so that it finds its prefix in that engine's cache.

Rendezvous hashing (Thaler, Ravishankar 1998): every front computes the same order without talking
to the others, and an engine that comes or goes moves only the conversations that are its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from qwell.core import Request

_PROMPT_CHARS = 256  # of a raw prompt: what a program repeats in front of each of its prompts


def affinity(request: Request) -> str:
    """The same for every turn of a conversation: made from what its first question was."""
    if not request.messages:
        start = request.prompt or " ".join(map(str, request.prompt_ids[:_PROMPT_CHARS]))
        return _digest(start[:_PROMPT_CHARS])
    first = next((m.content for m in request.messages if m.role == "user"), "")
    system = next((m.content for m in request.messages if m.role == "system"), "")
    return _digest(f"{system}\0{first}")


def preferred(key: str, engines: Iterable[str]) -> list[str]:
    """The engines, the one that the key belongs to first, then who takes over for it."""
    return sorted(engines, key=lambda engine: _digest(f"{key}\0{engine}"), reverse=True)


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()
