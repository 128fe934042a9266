"""The conversation: cut, forgotten, repeated, garbled, in the wrong language."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from qwell.lab.ask import ask
from qwell.lab.case import Effect, injector
from qwell.lab.injectors.engine import scripted
from qwell.lab.patient import Patient
from qwell.lab.rig.toxic import toxic


@injector("context-overflow", "tiny-window", who="tiny", quick=True, uses="settings")
def tiny_window(patient: Patient) -> Iterator[Effect]:
    """So short a context that a conversation of some turns does not fit."""
    with patient.restarted(ctx_size=192):

        def trouble() -> str:
            words = "the river runs down to the sea " * 4
            chat = patient.chat(words, words, words, words, "and what did I say first?")
            return f"told: {chat.notices[0]}" if chat.notices else chat.error

        yield Effect(
            proof="ctx_size = 192", trouble=trouble, clue="ctx_size",
            by_hand=lambda: _set(patient, ctx_size=1024),
        )  # fmt: skip


def _set(patient: Patient, **settings: object) -> None:
    from qwell.doctor.config_file import write_settings

    write_settings(patient.config, settings)
    patient.restart()


@injector("max-tokens-cut", "eight-tokens")
def short_answers(patient: Patient) -> Iterator[Effect]:
    """Every answer ends after eight tokens."""
    with patient.restarted(max_tokens=8):

        def trouble() -> str:
            chats = [_unlimited(patient) for _ in range(6)]
            return "answers end in mid-sentence" if chats[-1] == "length" else ""

        yield Effect(
            proof="max_tokens = 8", trouble=trouble, clue="cut",
            by_hand=lambda: _set(patient, max_tokens=2048),
        )  # fmt: skip


def _unlimited(patient: Patient) -> str:
    """How an answer ends that names no limit of its own."""
    body = {"messages": [{"role": "user", "content": "say this long sentence after me, please"}]}
    from qwell.config import Settings
    from qwell.doctor.system import System

    system = System(Settings(), url=patient.url)
    _, frames = system.frames("/api/chat", body=json.dumps(body).encode(), timeout_s=30)
    return str(frames[-1].json().get("reason", "")) if frames else ""


def _circles(fault: str, variant: str, answer: str, clue: str, seen: Callable[[str], str]) -> None:
    """Declare a case of a model that always says this."""

    def inject(patient: Patient) -> Iterator[Effect]:
        with scripted(patient, json.dumps({"answer": answer})) as repaired:

            def trouble() -> str:
                texts = [patient.chat(f"question {i}", max_tokens=200).text for i in range(4)]
                return seen(texts[-1])

            yield Effect(
                proof=f"every answer: {answer[:40]!r}", trouble=trouble, clue=clue,
                by_hand=repaired,
            )  # fmt: skip

    inject.__doc__ = f"Whatever is asked, the answer is {answer[:30]!r}."
    injector(fault, variant, quick=variant == "one-phrase")(inject)


_circles(
    "repetition-loop", "one-phrase", "and so on and on, " * 40, "",
    lambda text: "it says the same again and again" if text.count("and so on") > 3 else "",
)  # fmt: skip
_circles(
    "garbled-utf8", "replacement-characters", "caf\ufffd \ufffd\ufffd na\ufffdve, \ufffd\ufffd", "",
    lambda text: f"broken characters: {text[:20]!r}" if "\ufffd" in text else "",
)  # fmt: skip
_circles(
    "stop-token-missing", "control-words-in-text", "Hello!<|im_end|>", "im_end",
    lambda text: f"control words: {text!r}" if "<|im_end|>" in text else "",
)  # fmt: skip


@injector("boilerplate-reply", "sorry")
def stock_phrase(patient: Patient) -> Iterator[Effect]:
    """Whatever is asked in a conversation, the same apology comes."""
    answer = "I'm sorry, but as an AI language model I cannot help with that."
    with scripted(patient, json.dumps({"answer": answer})) as repaired:

        def trouble() -> str:
            turns: list[str] = []
            for question in ("what is a river?", "and a lake?", "name a sea", "name a fish"):
                turns += [question, patient.chat(*turns, question, max_tokens=200).text]
            same = set(turns[1::2]) == {answer}
            return f"always the same: {answer[:40]!r}" if same else ""

        yield Effect(
            proof=f"every answer: {answer!r}", trouble=trouble, clue="times", by_hand=repaired
        )


@injector("wrong-language", "english-to-chinese")
def wrong_language(patient: Patient) -> Iterator[Effect]:
    """A question in Chinese is answered in English."""
    answer = "The Great Wall is a series of fortifications in the north of China."
    with scripted(patient, json.dumps({"answer": answer})) as repaired:

        def trouble() -> str:
            text = patient.chat("\u957f\u57ce\u662f\u4ec0\u4e48\uff1f", max_tokens=80).text
            return f"answered: {text}" if text.isascii() else ""

        yield Effect(
            proof=f"every answer: {answer!r}", trouble=trouble, clue="Great Wall", by_hand=repaired,
            flags=("--deep",),
        )  # fmt: skip


def _between(
    fault: str,
    variant: str,
    rewrite: Callable[[dict[str, Any]], dict[str, Any]],
    trouble: Callable[[Patient, str], str],
    clue: str,
) -> None:
    """Declare a case of a program between page and server that changes what is asked."""

    def inject(patient: Patient) -> Iterator[Effect]:
        with ExitStack() as stack:
            port = stack.enter_context(toxic(patient.port, rewrite=rewrite))
            address = {"now": f"http://127.0.0.1:{port}"}
            url = address["now"]
            yield Effect(
                proof=f"{url} changes requests", trouble=lambda: trouble(patient, address["now"]),
                clue=clue, by_hand=lambda: address.update(now=patient.url),
                flags=("--url", url), cured_flags=(),
            )  # fmt: skip

    inject.__doc__ = (rewrite.__doc__ or "").strip()
    injector(fault, variant, quick=True)(inject)


def _last_alone(body: dict[str, Any]) -> dict[str, Any]:
    """A front end that sends the last message alone."""
    if isinstance(body.get("messages"), list):
        body["messages"] = body["messages"][-1:]
    return body


def _no_system(body: dict[str, Any]) -> dict[str, Any]:
    """A front end that leaves out the system message."""
    if isinstance(body.get("messages"), list):
        body["messages"] = [m for m in body["messages"] if m.get("role") != "system"]
    return body


def _forgets(patient: Patient, url: str) -> str:
    """Whether what was said before makes the prompt longer."""
    alone = _n_prompt(url, [("user", "which word?")])
    after = _n_prompt(
        url, [("user", "remember river " * 5), ("assistant", "yes"), ("user", "which word?")]
    )
    del patient
    return "it knows nothing of what was said before" if after <= alone else ""


def _ignores(patient: Patient, url: str) -> str:
    plain = _n_prompt(url, [("user", "who are you?")])
    told = _n_prompt(
        url, [("system", "you are a patient teacher of Latin " * 12), ("user", "who are you?")]
    )
    del patient
    return "it does not keep to its instructions" if told <= plain else ""


def _n_prompt(url: str, turns: list[tuple[str, str]]) -> int:
    from qwell.config import Settings
    from qwell.doctor.system import System

    messages = [{"role": role, "content": text} for role, text in turns]
    body = json.dumps({"messages": messages, "max_tokens": 1}).encode()
    _, frames = System(Settings(), url=url).frames("/api/chat", body=body, timeout_s=30)
    return int(frames[-1].json().get("usage", {}).get("prompt_tokens", 0)) if frames else 0


_between("history-not-sent", "last-message-alone", _last_alone, _forgets, "tokens")
_between("system-prompt-lost", "left-out", _no_system, _ignores, "tokens")


@injector("garbled-utf8", "decoded-in-pieces")
def decoded_in_pieces(patient: Patient) -> Iterator[Effect]:
    """A program between that lets nothing but ASCII through."""
    answer = "\u4f60\u597d\uff0c1, 2, 3, \u4f60\u597d"
    with scripted(patient, json.dumps({"answer": answer}, ensure_ascii=False)) as repaired:
        del repaired
        with toxic(patient.port, garble=True) as port:
            url = f"http://127.0.0.1:{port}"
            address = {"now": url}

            def trouble() -> str:
                text = ask(address["now"]).text
                return (
                    f"broken characters: {text[:20]!r}" if "?" in text or "\ufffd" in text else ""
                )

            yield Effect(
                proof=trouble(), trouble=trouble, clue="",
                by_hand=lambda: address.update(now=patient.url),
                flags=("--url", url), cured_flags=(),
            )  # fmt: skip
