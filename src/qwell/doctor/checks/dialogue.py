"""The conversation: sent whole, rendered right, ended, readable, in the person's language.

Asks short questions with greedy sampling; only the deep checks make the model write more.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from qwell.doctor.finding import Facts, Outcome, check, failed, passed, skipped, warned
from qwell.doctor.load_sample import is_idle, load_sample

if TYPE_CHECKING:
    from qwell.doctor.system import System

OURS = ("api.identity",)
ANSWERS = ("api.terminal_event",)
_CJK = re.compile(r"[\u4e00-\u9fff]")
_SPECIAL = re.compile(r"<\|(im_start|im_end|endoftext)\|>")
_BROKEN = "\ufffd"
_LONG = 48


def _ask(
    system: System, *turns: str, system_prompt: str = "", max_tokens: int = 1
) -> dict[str, Any]:
    """The done event and the text of a greedy answer. turns: user and assistant in turn."""
    roles = ("user", "assistant")
    messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
    messages += [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]
    body = {"messages": messages, "sampling": {"temperature": 0}, "max_tokens": max_tokens}
    key = json.dumps(body, ensure_ascii=False)
    return system.once(f"ask {key}", lambda: _send(system, key.encode()))


def _send(system: System, body: bytes) -> dict[str, Any]:
    head, frames = system.frames("/api/chat", body=body, timeout_s=40.0)
    events = [frame.json() for frame in frames]
    done: dict[str, Any] = next((e for e in events if e.get("type") == "done"), {})
    if not done:
        raise OSError(f"status {head.status}, no answer")
    text = "".join(e.get("text", "") for e in events if e.get("type") == "delta")
    notices = [e.get("code") for e in events if e.get("type") == "notice"]
    return {**done, "text": text, "notices": notices}


def _n_prompt(answer: dict[str, Any]) -> int:
    return int(answer.get("usage", {}).get("prompt_tokens", 0))


@check("dialogue.history", layer="dialogue", needs=ANSWERS, timeout_s=40.0)
def history(system: System) -> Outcome:
    """Earlier turns are in the prompt."""
    if not is_idle(system):
        return skipped("the server is busy")
    one = _n_prompt(_ask(system, "Which word did I say?"))
    many = _n_prompt(_ask(system, "Remember the word river.", "Yes.", "Which word did I say?"))
    facts: Facts = {"tokens_alone": one, "tokens_with_history": many}
    if many <= one + 4:
        return failed("earlier turns are not in the prompt", "usage", **facts)
    return passed("usage", **facts)


@check("dialogue.system_prompt", layer="dialogue", needs=ANSWERS, timeout_s=40.0)
def system_prompt(system: System) -> Outcome:
    """A system message is in the prompt."""
    if not is_idle(system):
        return skipped("the server is busy")
    long = "You answer as a patient teacher who explains each step with a short example. " * 3
    plain = _n_prompt(_ask(system, "Which word did I say?"))
    with_system = _n_prompt(_ask(system, "Which word did I say?", system_prompt=long))
    facts: Facts = {"tokens_plain": plain, "tokens_with_system": with_system}
    if with_system <= plain:
        return failed("the system message is not in the prompt", "usage", **facts)
    return passed("usage", **facts)


@check("dialogue.text", layer="dialogue", needs=ANSWERS, timeout_s=30.0)
def text(system: System) -> Outcome:
    """What arrives are whole characters."""
    said = load_sample(system).text
    if _BROKEN in said:
        return failed("broken characters in the answer", "delta", text=said[:80])
    return passed("delta", characters=len(said))


@check("dialogue.no_control", layer="dialogue", needs=ANSWERS, timeout_s=30.0)
def no_control(system: System) -> Outcome:
    """Words that control the model do not show in answers."""
    said = load_sample(system).text
    if found := _SPECIAL.search(said):
        return failed("control words in the answer", "delta", token=found.group())
    return passed("delta")


@check("dialogue.not_degenerate", layer="dialogue", needs=ANSWERS, timeout_s=30.0)
def not_degenerate(system: System) -> Outcome:
    """The answer is no row of one character, which damaged weights give."""
    said = re.sub(r"\s+", "", load_sample(system).text)
    if len(said) >= 12 and len(set(said)) == 1:
        return failed("one character again and again", "delta", text=said[:20])
    return passed("delta", characters=len(said))


@check("dialogue.trims", layer="dialogue", needs=OURS)
def trims(system: System) -> Outcome:
    """Conversations of late fitted into the context window."""
    counts = system.facts.get("notices", {})
    n, answers = int(counts.get("context-overflow", 0)), int(system.facts.get("answers", 0))
    if answers >= 4 and n > 0.5 * answers:
        facts: Facts = {"trimmed": n, "answers": answers, "ctx_size": system.settings.ctx_size}
        return warned("most conversations are too long", "server", **facts)
    return passed("server", trimmed=n, answers=answers)


@check("dialogue.repeats", layer="dialogue", needs=OURS)
def repeats(system: System) -> Outcome:
    """Answers of late did not run in circles."""
    return _rarely(system, "repetition-loop", "answers run in circles")


@check("dialogue.garbled", layer="dialogue", needs=OURS)
def garbled(system: System) -> Outcome:
    """Answers of late had no broken characters."""
    return _rarely(system, "garbled-utf8", "answers have broken characters")


@check("dialogue.boilerplate", layer="dialogue", needs=OURS)
def boilerplate(system: System) -> Outcome:
    """Answers of late were not one stock phrase."""
    return _rarely(system, "boilerplate-reply", "answers are one stock phrase")


def _rarely(system: System, code: str, because: str) -> Outcome:
    n, answers = (
        int(system.facts.get("notices", {}).get(code, 0)),
        int(system.facts.get("answers", 0)),
    )
    if n >= 2 and n > 0.2 * answers:
        return failed(because, "server", times=n, answers=answers)
    return passed("server", times=n, answers=answers)


@check("dialogue.cut", layer="dialogue", needs=OURS)
def cut(system: System) -> Outcome:
    """Answers of late were not cut off by the limit of tokens."""
    reasons = system.facts.get("reasons", {})
    n, answers = int(reasons.get("length", 0)), int(system.facts.get("answers", 0))
    if answers >= 4 and n > 0.5 * answers:
        return warned("most answers are cut off", "server", cut=n, answers=answers)
    return passed("server", cut=n, answers=answers)


# ---- deep


@check("dialogue.stops", layer="dialogue", needs=ANSWERS, deep=True, timeout_s=60.0)
def stops(system: System) -> Outcome:
    """A short answer ends by itself."""
    if not is_idle(system):
        return skipped("the server is busy")
    answer = _ask(system, "Say only: OK", max_tokens=128)
    facts: Facts = {"reason": str(answer.get("reason", "")), "text": answer["text"][:80]}
    if answer.get("reason") == "length":
        return failed("the answer does not end", "done", **facts)
    return passed("done", **facts)


@check("dialogue.no_loop", layer="dialogue", needs=ANSWERS, deep=True, timeout_s=60.0)
def no_loop(system: System) -> Outcome:
    """A longer answer does not run in circles."""
    if not is_idle(system):
        return skipped("the server is busy")
    answer = _ask(system, "Name three colours and what has them.", max_tokens=96)
    if answer.get("reason") == "repetition" or "repetition-loop" in answer["notices"]:
        return failed("the answer runs in circles", "done", text=answer["text"][-80:])
    return passed("done", reason=str(answer.get("reason", "")))


@check("dialogue.language", layer="dialogue", needs=ANSWERS, deep=True, timeout_s=60.0)
def language(system: System) -> Outcome:
    """A question in Chinese is answered in Chinese."""
    if not is_idle(system):
        return skipped("the server is busy")
    said = _ask(system, "请用一句话介绍一下长城。", max_tokens=_LONG)["text"]
    if len(said) >= 8 and not _CJK.search(said):
        return failed("another language than the question's", "delta", text=said[:80])
    return passed("delta", text=said[:80])


@check("dialogue.knows_turns", layer="dialogue", needs=ANSWERS, deep=True, timeout_s=60.0)
def knows_turns(system: System) -> Outcome:
    """The model answers once and does not play the person."""
    if not is_idle(system):
        return skipped("the server is busy")
    said = _ask(system, "Hello! Who are you?", max_tokens=_LONG)["text"]
    if re.search(r"(?m)^\s*(user|human|用户)\s*(:|\uff1a)", said, re.IGNORECASE):
        return failed("the model plays the person", "delta", text=said[:120])
    return passed("delta", text=said[:80])
