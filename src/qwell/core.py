"""The nouns: what a request is, what happens to it, how it ends.

Frozen, standard library only, no behaviour beyond turning into JSON and back. These are the
only types that cross the worker's pipe; their JSON is the event protocol that clients see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

Role = Literal["system", "user", "assistant", "tool"]
Reason = Literal["stop", "length", "repetition", "cancelled", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. tool_calls and tools follow the shape of OpenAI's chat API."""

    role: Role
    content: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()

    def to_template(self) -> dict[str, Any]:
        """The dictionary that chat templates read."""
        turn: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.tool_calls:
            turn["tool_calls"] = list(self.tool_calls)
        return turn


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. None means: the model's generation_config.json decides."""

    temperature: float | None = None  # 0 is greedy
    top_k: int | None = None  # 0 is off
    top_p: float | None = None  # 1 is off
    min_p: float | None = None  # 0 is off
    repetition_penalty: float | None = None  # 1 is off
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One answer to produce, to messages (chat), else to prompt, else to prompt_ids (completion).

    overflow   trim: drop the oldest turns and say so; error: refuse with context-overflow
    top_logprobs  None: none; n: logprob of the token and of the n best
    tools      what the model is told it may call, in the shape of OpenAI's chat API
    must_call  answer with calls and without text; one_call: with at most one
    reply_schema  JSON schema that the text of the answer follows
    encode_only  compute nothing: report the prompt's tokens and their text, however many
    """

    id: str
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    overflow: Literal["trim", "error"] = "trim"
    top_logprobs: int | None = None
    continue_last: bool = False  # go on with the last assistant message instead of a new turn
    prompt_ids: tuple[int, ...] = ()
    must_call: bool = False
    one_call: bool = False
    reply_schema: Mapping[str, Any] | None = None
    encode_only: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Request:
        values = dict(data)
        values["messages"] = tuple(
            Message(m["role"], m["content"], tuple(m.get("tool_calls", ())))
            for m in values.get("messages", ())
        )
        sampling = dict(values.get("sampling", {}))
        sampling["logit_bias"] = {int(k): v for k, v in sampling.get("logit_bias", {}).items()}
        values["sampling"] = Sampling(**sampling)
        values["stop"] = tuple(values.get("stop", ()))
        values["tools"] = tuple(values.get("tools", ()))
        values["prompt_ids"] = tuple(values.get("prompt_ids", ()))
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Usage:
    """prompt_tokens were read, cached_tokens of them before; dropped_tokens did not fit."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    dropped_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """queue, prefill and first token in milliseconds since the request was accepted."""

    queue_ms: float = 0.0
    prefill_ms: float = 0.0
    ttft_ms: float = 0.0
    tok_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Queued:
    type: ClassVar[str] = "queued"
    position: int = 0
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class Loading:
    """The model is being loaded; progress from 0 to 1."""

    type: ClassVar[str] = "loading"
    progress: float = 0.0


@dataclass(frozen=True, slots=True)
class Prefill:
    """Reading the prompt: done of total tokens, of which cached needed no work."""

    type: ClassVar[str] = "prefill"
    done: int = 0
    total: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """Text that is final: whole characters, no part of a stop string.

    logprobs: one entry per token of this delta, as in OpenAI's chat API, when asked for.
    tool_calls: pieces of calls. One with id and name begins a call; the arguments of it and of
    those that follow, joined, are its arguments as JSON text.
    """

    type: ClassVar[str] = "delta"
    text: str = ""
    logprobs: tuple[Mapping[str, Any], ...] = ()
    tool_calls: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """The answer to encode_only: the prompt as the model would read it."""

    type: ClassVar[str] = "tokens"
    ids: tuple[int, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader should know, with a fault id as code; never ends a stream."""

    type: ClassVar[str] = "notice"
    code: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """stop: the stop string that ended the answer, if one did."""

    type: ClassVar[str] = "done"
    reason: Reason = "stop"
    usage: Usage = Usage()
    timings: Timings = Timings()
    stop: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The other terminal event. code is a fault id; retry_after_s: when a new try makes sense."""

    type: ClassVar[str] = "error"
    code: str = ""
    title: str = ""
    cause: str = ""
    fix: str = ""
    request_id: str = ""
    retry_after_s: float | None = None


Event = Queued | Loading | Prefill | Delta | Tokens | Notice | Done | Failed
_EVENTS: dict[str, type[Event]] = {
    e.type: e for e in (Queued, Loading, Prefill, Delta, Tokens, Notice, Done, Failed)
}
_FIELDS = {e: tuple(f.name for f in fields(e)) for e in _EVENTS.values()}


def is_terminal(event: Event) -> bool:
    return isinstance(event, Done | Failed)


def event_to_dict(event: Event) -> dict[str, Any]:
    """JSON-ready; ``type`` first. What few answers have is left out where it is empty."""
    body = {name: getattr(event, name) for name in _FIELDS[type(event)]}
    if isinstance(event, Done):
        body |= {"usage": asdict(event.usage), "timings": asdict(event.timings)}
    for rare in ("logprobs", "tool_calls", "stop", "retry_after_s"):
        if not body.get(rare, True):
            del body[rare]
    return {"type": event.type, **body}


def event_from_dict(data: Mapping[str, Any]) -> Event:
    """Inverse of event_to_dict. Raises KeyError for an unknown type; ignores unknown fields."""
    cls = _EVENTS[data["type"]]
    values = {k: v for k, v in data.items() if k in _FIELDS[cls]}
    if cls is Done:
        values["usage"] = Usage(**values.get("usage", {}))
        values["timings"] = Timings(**values.get("timings", {}))
    return cls(**values)
