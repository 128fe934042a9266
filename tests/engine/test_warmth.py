"""After a restart conversations go on where they were, with the same answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwell.backends import Backend, KeepsPieces
from qwell.backends.native import NativeBackend
from qwell.backends.scripted import ScriptedBackend
from qwell.core import Delta, Done, Message, Request, Sampling
from qwell.engine.engine import Engine
from qwell.engine.prefix_store import PIECE, PrefixStore
from qwell.engine.warmth import Warmth
from qwell.text import Text
from qwell.weights.pack import read_pack
from qwell.weights.tiny import write_tiny_pack
from qwell.worker.loading import scripted_text

SYSTEM = Message("system", "Answer briefly and kindly. " * 8)
FIRST = (SYSTEM, Message("user", "Tell me something about the sea."))


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pack(tmp_path_factory.mktemp("packs") / "tiny.qpack", seed=3)


def backend_of(kind: str, pack: Path) -> tuple[Backend, Text]:
    if kind == "scripted":
        return ScriptedBackend(n_ctx=1024), scripted_text()
    backend = NativeBackend(pack, n_ctx=1024, n_slots=2, n_threads=1, huge_pages=False)
    return backend, Text.from_meta(read_pack(pack).meta)


def ask(kind: str, pack: Path, folder: Path | None, *turns: Message) -> tuple[str, Done]:
    """One answer of a process that lives no longer; folder: where the store is, if any."""
    backend, text = backend_of(kind, pack)
    assert isinstance(backend, KeepsPieces)
    warmth = Warmth(backend, PrefixStore(folder, kind, 10**8)) if folder else None
    engine = Engine(backend, text, warmth=warmth)
    sampling = Sampling(temperature=0, repetition_penalty=1.0)
    events = engine.add(Request("a", turns, sampling=sampling, max_tokens=40))
    while engine.has_work:
        events += engine.step()
    if warmth:
        warmth.close()
    backend.close()
    done = events[-1][1]
    assert isinstance(done, Done)
    return "".join(e.text for _, e in events if isinstance(e, Delta)), done


@pytest.mark.parametrize("kind", ["scripted", "native"])
def test_the_next_turn_after_a_restart_is_warm_and_the_same(
    kind: str, pack: Path, tmp_path: Path
) -> None:
    answer, done = ask(kind, pack, tmp_path, *FIRST)
    assert done.usage.cached_tokens == 0
    turns = (*FIRST, Message("assistant", answer), Message("user", "And the mountains?"))
    warm, done = ask(kind, pack, tmp_path, *turns)
    cold, cold_done = ask(kind, pack, None, *turns)
    assert warm == cold
    assert cold_done.usage.cached_tokens == 0
    assert done.usage.cached_tokens >= 3 * PIECE
    assert done.usage.cached_tokens % PIECE == 0


def test_another_conversation_shares_the_system_prompt(pack: Path, tmp_path: Path) -> None:
    ask("native", pack, tmp_path, *FIRST)
    other = (SYSTEM, Message("user", "What is a lighthouse?"))
    warm, done = ask("native", pack, tmp_path, *other)
    assert done.usage.cached_tokens >= 3 * PIECE
    assert warm == ask("native", pack, None, *other)[0]


def test_a_damaged_piece_costs_time_only(pack: Path, tmp_path: Path) -> None:
    ask("native", pack, tmp_path, *FIRST)
    for path in sorted(tmp_path.glob("*.piece"))[::2]:
        path.write_bytes(path.read_bytes()[:-1])
    assert ask("native", pack, tmp_path, *FIRST)[0] == ask("native", pack, None, *FIRST)[0]


def test_a_piece_of_another_shape_is_refused(pack: Path) -> None:
    for kind in ("scripted", "native"):
        backend, _ = backend_of(kind, pack)
        assert isinstance(backend, KeepsPieces)
        with pytest.raises(ValueError, match="piece"):
            backend.put(0, 0, 16, b"short")
