"""A person's question over HTTP, and what they see of the answer.

    python -m qwell.lab.ask [--kept] URL [QUESTION]
    python -m qwell.lab.ask --get URL

prints it as JSON, for places that only a child process can be in. Knows no fault.
"""

from __future__ import annotations

import json
import sys
import uuid
from dataclasses import asdict, dataclass

from qwell.config import Settings
from qwell.doctor.system import System

QUESTION = "Hello, what can you do?"
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Chat:
    """A streamed answer. error: what a person is told instead, "" for a whole answer."""

    text: str = ""
    error: str = ""
    reason: str = ""
    n_deltas: int = 0
    first_s: float = 0.0
    total_s: float = 0.0
    notices: tuple[str, ...] = ()


def ask(
    url: str,
    *turns: str,
    timeout_s: float = PATIENCE_S,
    api_key: str = "",
    max_tokens: int = 24,
    is_kept: bool = False,
) -> Chat:
    """Never raises for what can go wrong with a server.

    turns: user and assistant in turn; is_kept: in a new conversation, which is to be saved
    """
    roles = ("user", "assistant")
    messages = [
        {"role": roles[i % 2], "content": text} for i, text in enumerate(turns or (QUESTION,))
    ]
    body: dict[str, object] = {
        "messages": messages,
        "sampling": {"temperature": 0},
        "max_tokens": max_tokens,
    }
    if is_kept:
        body |= {"conversation": str(uuid.uuid4()), "parent": None}
    system = System(Settings(api_key=api_key), url=url)
    try:
        head, frames = system.frames(
            "/api/chat", body=json.dumps(body).encode(), timeout_s=timeout_s
        )
    except OSError as error:
        return Chat(error=f"{type(error).__name__}: {error}")
    if head.status != 200 or "content-encoding" in head.headers:
        shown = head.body[:300].decode("utf-8", "replace")
        return Chat(error=f"HTTP {head.status} {head.headers.get('content-encoding', '')} {shown}")
    events = [(frame.at_s, frame.json()) for frame in frames]
    return _told(events)


def _told(events: list[tuple[float, dict[str, object]]]) -> Chat:
    deltas = [(at, str(e.get("text", ""))) for at, e in events if e.get("type") == "delta"]
    text = "".join(part for _, part in deltas)
    notices = tuple(str(e.get("code", "")) for _, e in events if e.get("type") == "notice")
    last_at, last = events[-1] if events else (0.0, {})
    error = ""
    if last.get("type") == "error":
        error = f"{last.get('code')}: {last.get('cause')}"
    elif last.get("type") != "done":
        error = "the answer stopped in the middle"
    return Chat(
        text=text,
        error=error,
        reason=str(last.get("reason", "")),
        n_deltas=len(deltas),
        first_s=deltas[0][0] if deltas else 0.0,
        total_s=last_at,
        notices=notices,
    )


def get(url: str) -> tuple[int, str]:
    """Status and text; status 0 when nobody answers."""
    try:
        answer = System(Settings(), url=url).http(url, timeout_s=5.0)
    except OSError as error:
        return 0, str(error)
    return answer.status, answer.body.decode("utf-8", "replace")


if __name__ == "__main__":
    if sys.argv[1] == "--get":
        print(json.dumps(get(sys.argv[2])))
    else:
        words = [word for word in sys.argv[1:] if word != "--kept"]
        print(json.dumps(asdict(ask(*words, is_kept="--kept" in sys.argv))))
