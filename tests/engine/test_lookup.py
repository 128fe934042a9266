"""Guesses come from what was said, stop where they are wrong, and never change an answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.backends import Chunk
from qwell.backends.native import NativeBackend
from qwell.backends.scripted import Script, ScriptedBackend
from qwell.core import Delta, Done, Event, Message, Request, Sampling
from qwell.engine.engine import Engine
from qwell.engine.lookup import Lookup
from qwell.text import Text
from qwell.weights.pack import read_pack
from qwell.weights.tiny import write_tiny_pack
from qwell.worker.loading import scripted_text


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(0, 9))
def test_a_guess_is_what_followed_the_same_phrase(ids: list[int], most: int) -> None:
    draft = Lookup().draft(ids, most)
    assert len(draft) <= most
    places = range(3, len(ids))
    followed = [ids[i : i + len(draft)] for i in places if ids[i - 3 : i] == ids[-3:]]
    assert not draft or draft in followed
    assert bool(draft) == (bool(followed) and most > 0)


def test_guesses_that_are_right_become_longer_and_wrong_ones_rare() -> None:
    ids = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3]
    good, bad = Lookup(), Lookup()
    for _ in range(10):
        good.note(3, 3)
        bad.note(3, 0)
    assert good.draft(ids, 9) == [4, 5, 6, 7, 8, 9]
    assert [bool(bad.draft(ids, 9)) for _ in range(16)].count(True) == 2


# -- in the engine

CODE = "def f(x):\n    return x + 1\n\n\ndef g(x):\n    return x + 1\n"


def said(engine: Engine, sampling: Sampling, **values: object) -> tuple[str, Done, int]:
    request = Request("a", (Message("user", CODE),), sampling=sampling, **values)  # type: ignore[arg-type]
    events: list[tuple[str, Event]] = engine.add(request)
    while engine.has_work:
        events += engine.step()
    done = events[-1][1]
    assert isinstance(done, Done), done
    return "".join(e.text for _, e in events if isinstance(e, Delta)), done, engine.n_steps


def scripted(*, verifies: bool, answer: str) -> Engine:
    return Engine(ScriptedBackend(Script(answer=answer), verifies=verifies), scripted_text())


@pytest.mark.parametrize("max_tokens", [None, 1, 20, 40])
@pytest.mark.parametrize("answer", [CODE + CODE, CODE + "no " * 9, "nothing of that"])
def test_answers_are_the_same_in_fewer_steps(answer: str, max_tokens: int | None) -> None:
    plain, tried = (
        said(scripted(verifies=v, answer=answer), Sampling(temperature=0), max_tokens=max_tokens)
        for v in (False, True)
    )
    assert plain[0] == tried[0]
    assert plain[1].usage == tried[1].usage
    assert plain[1].reason == tried[1].reason
    assert tried[2] <= plain[2]
    assert max_tokens is not None or answer.startswith("nothing") or tried[2] < plain[2] * 0.7


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pack(tmp_path_factory.mktemp("packs") / "tiny.qpack", seed=3)


def native(pack: Path) -> NativeBackend:
    return NativeBackend(pack, n_ctx=512, n_slots=2, n_threads=2, huge_pages=False)


@pytest.mark.parametrize("temperature", [0.0, 0.1, 1.0])
def test_real_answers_are_the_same_at_any_temperature(pack: Path, temperature: float) -> None:
    answers = []
    for verifies in (False, True):
        backend = native(pack)
        backend.verifies = verifies
        engine = Engine(backend, Text.from_meta(read_pack(pack).meta))
        sampling = Sampling(temperature, repetition_penalty=1.0, seed=4)
        answers.append(said(engine, sampling, max_tokens=200, top_logprobs=1)[:2])
    assert answers[0][0] == answers[1][0]
    assert answers[0][1].usage == answers[1][1].usage


def test_guessed_tokens_get_the_logits_that_they_would_get_alone(pack: Path) -> None:
    backend = native(pack)
    prompt, guesses = list(CODE.encode()), [1, 2, 3, 4]
    backend.forward([Chunk(0, 0, prompt, want_logits=False)])
    [rows] = backend.forward(
        [Chunk(0, len(prompt), [9, *guesses], want_logits=True, n_drafted=len(guesses))]
    )
    assert rows is not None
    assert rows.shape == (5, backend.limits.n_vocab)
    for i, token in enumerate([9, *guesses]):
        [alone] = backend.forward([Chunk(0, len(prompt) + i, [token], want_logits=True)])
        assert alone is not None
        assert (alone == rows[i]).all()
