"""From settings to an engine: sizes, progress, and what does not fit together."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwell.config import Settings
from qwell.core import Delta, Message, Request, Sampling
from qwell.errors import QwellError
from qwell.weights import PackedModel
from qwell.weights.pack import read_pack
from qwell.weights.tiny import write_tiny_pack
from qwell.worker import loading
from qwell.worker.loading import Loaded, load

SETTINGS = Settings(engine="native", threads=1, parallel=2, ctx_size=64)


@pytest.fixture
def tiny_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The pack's meta; what a test changes in it is what gets loaded."""
    path = write_tiny_pack(tmp_path / "tiny.qpack")
    meta = dict(read_pack(path).meta)
    monkeypatch.setattr("qwell.weights.ensure_pack", lambda *_: PackedModel(path, meta))
    return meta


def loaded(settings: Settings) -> Loaded:
    return load(settings, lambda done, stage: None)


def test_what_is_loaded_answers(tiny_pack: dict[str, Any]) -> None:
    engine = loaded(SETTINGS).engine
    request = Request("a", (Message("user", "hi"),), sampling=Sampling(temperature=0), max_tokens=5)
    events = engine.add(request)
    while engine.has_work:
        events += engine.step()
    assert any(isinstance(event, Delta) for _, event in events)


def test_the_model_is_described_as_it_is_served(tiny_pack: dict[str, Any]) -> None:
    model = loaded(SETTINGS).model
    assert model["engine"] == "native"
    assert model["quant"] == "q8"
    assert (model["n_ctx"], model["n_slots"], model["n_threads"]) == (64, 2, 1)
    assert model["threads_why"] == "as set"
    assert model["isa"]


def test_the_context_is_at_most_what_the_model_was_trained_for(
    tiny_pack: dict[str, Any],
) -> None:
    tiny_pack["config"] = {**tiny_pack["config"], "max_position_embeddings": 48}
    assert loaded(SETTINGS).model["n_ctx"] == 48


def test_slots_are_chosen_from_memory(
    tiny_pack: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "available_bytes", lambda: 2**40)
    assert loaded(replace(SETTINGS, parallel=0)).model["n_slots"] == 8


def test_too_little_memory_is_refused_before_it_is_taken(
    tiny_pack: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "available_bytes", lambda: 2**20)
    with pytest.raises(QwellError, match="insufficient-ram"):
        loaded(SETTINGS)


def test_a_foreign_tokenizer_is_refused(
    tiny_pack: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = loading.Text.from_meta(tiny_pack)
    text.tokenizer.n_vocab = 10**6
    monkeypatch.setattr(loading.Text, "from_meta", lambda _: text)
    with pytest.raises(QwellError, match="1000000 tokens") as caught:
        loaded(SETTINGS)
    assert caught.value.fault == "tokenizer-mismatch"


def test_progress_only_rises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qwell.weights import Progress

    path = write_tiny_pack(tmp_path / "tiny.qpack")

    def ensure(settings: Settings, report: Any) -> PackedModel:
        for stage in ("probe", "download", "verify", "pack"):
            for done in (0, 5, 10):
                report(Progress(stage, done, 10))  # type: ignore[arg-type]
        report(Progress("pack", 5, 0))
        return PackedModel(path, dict(read_pack(path).meta))

    monkeypatch.setattr("qwell.weights.ensure_pack", ensure)
    seen: list[float] = []
    load(SETTINGS, lambda done, stage: seen.append(done))
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(0.97)
