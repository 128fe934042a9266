"""Every backend keeps the same promises; what holds for one must hold for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwell.backends import Backend, Cancelled, Choice, Chunk, Logits
from qwell.backends.registry import create_backend
from qwell.backends.torch_options import TorchOptions

N_CTX, N_SLOTS = 96, 3
PROMPT = [257, *b"user\nWhat is it?", 258, 10, 257, *b"assistant\n"]
OTHER = [257, *b"user\nAnother one, and a longer one", 258, 10, 257, *b"assistant\n"]


@pytest.fixture(scope="module")
def tiny_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from qwell.weights.tiny import write_tiny_pack

    return write_tiny_pack(tmp_path_factory.mktemp("packs") / "tiny.qpack", seed=1)


@pytest.fixture(
    scope="module", params=["scripted", "transformers", "without cache", "oracle", "native"]
)
def backend(request: pytest.FixtureRequest, tiny_pack: Path) -> Iterator[Backend]:
    with pytest.MonkeyPatch.context() as patch:
        # time in which another thread can get a word in
        patch.setenv("QWELL_SCRIPT", '{"prompt_delay_s": 0.001}')
        built = build(request.param, tiny_pack)
    yield built
    built.close()


def build(name: str, pack: Path) -> Backend:
    if name in ("scripted", "native"):
        return create_backend(name, pack, n_ctx=N_CTX, n_slots=N_SLOTS, n_threads=1)
    transformers = pytest.importorskip("qwell.backends.transformers")
    if name == "oracle":
        oracle: Backend = transformers.TransformersBackend.from_pack(
            pack, n_ctx=N_CTX, n_slots=N_SLOTS, n_threads=1
        )
        return oracle
    options = TorchOptions(use_cache=name == "transformers")
    return create_backend(
        "transformers", pack, n_ctx=N_CTX, n_slots=N_SLOTS, n_threads=1, torch_options=options
    )


def fill(backend: Backend, slot: int, tokens: list[int], start: int = 0) -> Logits:
    [logits] = backend.forward([Chunk(slot, start, tokens, want_logits=True)])
    assert logits is not None
    return logits.copy()


def same(left: Logits, right: Logits) -> None:
    """Equal but for the order of additions, which batching may change."""
    scale = float(np.abs(left).max())
    np.testing.assert_allclose(left, right, atol=2e-3 * max(scale, 1.0))


def test_limits_are_those_asked_for(backend: Backend) -> None:
    assert (backend.limits.n_ctx, backend.limits.n_slots) == (N_CTX, N_SLOTS)
    assert backend.limits.n_vocab >= 259


def test_logits_are_float32_over_the_vocabulary(backend: Backend) -> None:
    logits = fill(backend, 0, PROMPT)
    assert logits.shape == (backend.limits.n_vocab,)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_logits_come_only_where_wanted(backend: Backend) -> None:
    chunks = [Chunk(0, 0, PROMPT, want_logits=False), Chunk(1, 0, OTHER, want_logits=True)]
    first, second = backend.forward(chunks)
    assert first is None
    assert second is not None


def test_the_same_tokens_give_the_same_logits_in_every_slot(backend: Backend) -> None:
    same(fill(backend, 0, PROMPT), fill(backend, 2, PROMPT))


@pytest.mark.parametrize("cut", [1, 7, len(PROMPT) - 1])
def test_a_prompt_in_pieces_is_the_prompt(backend: Backend, cut: int) -> None:
    whole = fill(backend, 0, PROMPT)
    backend.forward([Chunk(1, 0, PROMPT[:cut], want_logits=False)])
    same(whole, fill(backend, 1, PROMPT[cut:], start=cut))


def test_token_by_token_is_the_prompt(backend: Backend) -> None:
    whole = fill(backend, 0, PROMPT)
    for i, token in enumerate(PROMPT):
        last = fill(backend, 1, [token], start=i)
    same(whole, last)


def test_start_forgets_what_lies_behind_it(backend: Backend) -> None:
    whole = fill(backend, 0, OTHER)
    fill(backend, 1, [*OTHER[:5], *PROMPT])
    same(whole, fill(backend, 1, OTHER[5:], start=5))


def test_a_batch_is_its_rows(backend: Backend) -> None:
    alone = [fill(backend, 0, PROMPT), fill(backend, 0, OTHER)]
    fill(backend, 2, PROMPT[:-1])
    together = backend.forward(
        [
            Chunk(2, len(PROMPT) - 1, PROMPT[-1:], want_logits=True),
            Chunk(1, 0, OTHER, want_logits=True),
        ]
    )
    for left, right in zip(alone, together, strict=True):
        assert right is not None
        same(left, right)


def test_a_choice_keeps_the_best_contender(backend: Backend) -> None:
    """Of each chunk its own, in a batch; what is not asked for may differ."""
    alone = [fill(backend, 0, PROMPT), fill(backend, 0, OTHER)]
    n_vocab = backend.limits.n_vocab
    bits = np.full(-(-n_vocab // 32), 0xFFFFFFFF, np.uint32)
    best = int(alone[1].argmax())
    bits[best >> 5] ^= np.uint32(1 << (best & 31))
    together = backend.forward(
        [
            Chunk(0, 0, PROMPT, want_logits=True, choice=Choice(1)),
            Chunk(1, 0, OTHER, want_logits=True, choice=Choice(2, bits)),
            Chunk(2, 0, OTHER, want_logits=True),
        ]
    )
    for left, right in zip([*alone, alone[1]], together, strict=True):
        assert right is not None
        order = np.argsort(-left)[:3]
        same(left[order], right[order])
        assert int(right.argmax()) == int(order[0])


def test_a_copied_prefix_is_as_good_as_a_computed_one(backend: Backend) -> None:
    whole = fill(backend, 0, [*PROMPT[:10], *OTHER])
    fill(backend, 1, PROMPT)
    fill(backend, 2, OTHER)
    backend.copy(1, 2, 10)
    same(whole, fill(backend, 2, OTHER, start=10))
    same(fill(backend, 0, [*PROMPT, 65]), fill(backend, 1, [65], start=len(PROMPT)))


def test_a_slot_can_be_filled_to_the_last_entry(backend: Backend) -> None:
    tokens = [1 + i % 200 for i in range(N_CTX)]
    fill(backend, 0, tokens[:-1])
    assert np.isfinite(fill(backend, 0, tokens[-1:], start=N_CTX - 1)).all()


def run_cancelled(backend: Backend, chunk: Chunk) -> None:
    """Cancel from another thread, over and over, until a forward has noticed."""
    stop = threading.Event()

    def pester() -> None:
        while not stop.is_set():
            backend.cancel()

    thread = threading.Thread(target=pester)
    thread.start()
    try:
        for _ in range(1000):
            backend.forward([chunk])
    finally:
        stop.set()
        thread.join()


def test_cancel_from_another_thread_ends_a_step(backend: Backend) -> None:
    whole = fill(backend, 0, PROMPT)
    fill(backend, 1, PROMPT[:4])
    with pytest.raises(Cancelled):
        run_cancelled(backend, Chunk(1, 4, PROMPT[4:], want_logits=True))
    again = retried(lambda: fill(backend, 1, PROMPT[4:], start=4))
    same(whole, again)


def retried(call: Callable[[], Any]) -> Any:
    """A cancel may arrive after the step it was meant for; one step later it is used up."""
    try:
        return call()
    except Cancelled:
        return call()
