"""The transformers engine is one call of generate() for each answer, whatever comes between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwell.backends import Chunk, Logits
from qwell.backends.torch_options import TorchOptions
from qwell.errors import QwellError

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("qwell.backends.transformers")
PROMPT = [257, *b"user\nhi", 258, 10, 257, *b"assistant\n"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from qwell.weights.tiny import write_tiny_pack

    return transformers.model_of(write_tiny_pack(tmp_path_factory.mktemp("p") / "t.qpack", seed=2))


class Calls:
    """Counts the calls of generate()."""

    def __init__(self, model: Any, patch: pytest.MonkeyPatch) -> None:
        self.n = 0
        real = model.generate

        def generate(*args: Any, **options: Any) -> Any:
            self.n += 1
            return real(*args, **options)

        patch.setattr(model, "generate", generate)


@pytest.fixture
def calls(model: Any, monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(model, monkeypatch)


@pytest.fixture(params=[True, False], ids=["cache", "no cache"])
def backend(model: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    built = transformers.GeneratingBackend(
        model, n_ctx=64, n_slots=2, n_threads=1, options=TorchOptions(use_cache=request.param)
    )
    yield built
    for slot in (0, 1):
        built._end(slot)


def fill(backend: Any, tokens: list[int], start: int = 0, slot: int = 0) -> Logits:
    [logits] = backend.forward([Chunk(slot, start, tokens, want_logits=True)])
    assert logits is not None
    return np.array(logits)


def written(backend: Any, n: int, slot: int = 0, start: int = len(PROMPT)) -> list[int]:
    """The n likeliest tokens after the prompt, one by one."""
    tokens = [int(fill(backend, PROMPT, slot=slot).argmax())]
    for i in range(n - 1):
        tokens.append(int(fill(backend, tokens[-1:], start + i, slot).argmax()))
    return tokens


def test_an_answer_is_one_call(backend: Any, calls: Calls) -> None:
    written(backend, 10)
    assert calls.n == 1


def test_the_answer_is_what_generate_alone_would_write(backend: Any, model: Any) -> None:
    alone = model.generate(
        torch.tensor([PROMPT]), max_new_tokens=10, do_sample=False, pad_token_id=0
    )
    assert written(backend, 10) == alone[0, len(PROMPT) :].tolist()


def test_answers_side_by_side_are_calls_side_by_side(backend: Any, calls: Calls) -> None:
    first = written(backend, 3, slot=0)
    second = written(backend, 3, slot=1)
    assert first == second
    next_ones = [
        fill(backend, first[-1:], len(PROMPT) + 2, slot=0),
        fill(backend, second[-1:], len(PROMPT) + 2, slot=1),
    ]
    assert calls.n == 2
    np.testing.assert_allclose(*next_ones, atol=1e-5)


def test_the_engine_picks_the_tokens(backend: Any, calls: Calls) -> None:
    fill(backend, PROMPT)
    fill(backend, [65], len(PROMPT))
    fill(backend, [66], len(PROMPT) + 1)
    assert backend._running[0].ids == [*PROMPT, 65, 66]
    assert calls.n == 1


def test_the_next_turn_begins_a_new_call_with_what_is_held(backend: Any, calls: Calls) -> None:
    tokens = written(backend, 4)
    again = [*PROMPT, *tokens[:3], 258, 10, *PROMPT]
    expected = fill(backend, again, slot=1)
    continued = fill(backend, again[len(PROMPT) + 3 :], len(PROMPT) + 3, slot=0)
    np.testing.assert_allclose(continued, expected, atol=1e-4)
    assert calls.n == 3


def test_what_the_model_raises_is_raised(
    backend: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("no such model")

    with monkeypatch.context() as patch:
        patch.setattr(model.model.layers[0], "forward", broken)
        with pytest.raises(ZeroDivisionError):
            fill(backend, PROMPT)
    assert np.isfinite(fill(backend, PROMPT)).all()


def test_a_compiled_model_says_the_same(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []

    def recorded(forward: Any, **options: Any) -> Any:
        compiled.append(options)
        return forward

    def made(*, compile: bool) -> Any:  # noqa: A002  the option's name
        options = TorchOptions(compile=compile)
        return transformers.GeneratingBackend(model, n_ctx=64, n_slots=1, options=options)

    monkeypatch.setattr(torch, "compile", recorded)
    monkeypatch.setattr(model, "forward", model.forward)
    plain = made(compile=False)
    assert compiled == []
    expected = fill(plain, PROMPT)
    plain._end(0)
    fast = made(compile=True)
    assert compiled == [{"dynamic": True}]
    np.testing.assert_allclose(fill(fast, PROMPT), expected, atol=1e-5)
    fast._end(0)


def test_compiling_without_a_compiler_is_explained(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(QwellError, match="apt install") as caught:
        transformers.GeneratingBackend(
            model, n_ctx=64, n_slots=1, options=TorchOptions(compile=True)
        )
    assert caught.value.fault == "build-toolchain-missing"


def test_bfloat16_is_close(model: Any, tmp_path: Path) -> None:
    from qwell.weights.tiny import write_tiny_pack

    exact = transformers.GeneratingBackend(model, n_ctx=64, n_slots=1)
    expected = fill(exact, PROMPT)
    exact._end(0)
    half = transformers.GeneratingBackend(
        transformers.model_of(write_tiny_pack(tmp_path / "t.qpack", seed=2)),
        n_ctx=64,
        n_slots=1,
        options=TorchOptions(dtype="bfloat16"),
    )
    assert half.isa == "bfloat16"
    got = fill(half, PROMPT)
    half.close()
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=0.05 * float(np.abs(expected).max()))
