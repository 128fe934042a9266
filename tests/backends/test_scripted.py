"""The stand-in answers from what its slots hold, and fails as its script says."""

import numpy as np
import pytest

from qwell.backends import Chunk
from qwell.backends.scripted import END, Script, ScriptedBackend
from qwell.errors import QwellError

HEADER = [257, *b"assistant\n"]


def prompt(text: str) -> list[int]:
    return [257, *b"user\n", *text.encode(), END, *b"\n", *HEADER]


def said(backend: ScriptedBackend, ids: list[int], n: int = 50) -> str:
    """The greedy continuation, until it ends."""
    answer = bytearray()
    start = 0
    for _ in range(n):
        [logits] = backend.forward([Chunk(0, start, ids, want_logits=True)])
        assert logits is not None
        start += len(ids)
        ids = [int(np.argmax(logits))]
        if ids == [END]:
            break
        answer += bytes(ids)
    return answer.decode()


def test_it_echoes() -> None:
    assert said(ScriptedBackend(), prompt("héllo\n")) == "héllo\n"


def test_it_answers_by_message_then_with_the_answer() -> None:
    script = Script(answer="else", answers={"ping": "pong"})
    assert said(ScriptedBackend(script), prompt("ping")) == "pong"
    assert said(ScriptedBackend(script), prompt("what")) == "else"


def test_a_wrongly_filled_slot_shows() -> None:
    backend = ScriptedBackend()
    backend.forward([Chunk(0, 0, prompt("one"), want_logits=False)])
    with pytest.raises(AssertionError, match="behind what the slot holds"):
        backend.forward([Chunk(0, 99, [1], want_logits=False)])


def test_the_script_comes_from_the_environment() -> None:
    assert Script.from_environ({"QWELL_SCRIPT": '{"answer": "x"}'}) == Script(answer="x")
    assert Script.from_environ({}) == Script()


@pytest.mark.parametrize("raw", ["{", "[1]", '{"unknown": 1}'])
def test_a_script_that_makes_no_sense_is_refused(raw: str) -> None:
    with pytest.raises(QwellError, match="config-invalid"):
        Script.from_environ({"QWELL_SCRIPT": raw})
