from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qwell.errors import QwellError
from qwell.text import Tokenizer
from qwell.weights import calibration
from qwell.weights.calibration import calibration_ids, final_states, second_moments
from qwell.weights.gguf_file import open_gguf
from qwell.weights.source import Source, from_array
from qwell.weights.tiny import tiny_config, tiny_source

CHATML = ("<|im_start|>", "<|im_end|>")


@pytest.fixture(scope="module")
def source() -> Source:
    return tiny_source(tiny_config(), seed=5)


@pytest.fixture(scope="module")
def moments(source: Source) -> Any:
    return second_moments(source)


def test_moments_are_symmetric_and_nowhere_negative(moments: Any) -> None:
    assert moments.shape == (64, 64)
    assert moments.dtype == np.float64
    np.testing.assert_array_equal(moments, moments.T)
    values = np.linalg.eigvalsh(moments)
    assert values[0] > -1e-9 * values[-1]
    assert values[-1] > 0


def test_the_same_model_has_the_same_moments(source: Source, moments: Any) -> None:
    layers: list[None] = []
    again = second_moments(source, lambda: layers.append(None))
    np.testing.assert_array_equal(again, moments)
    assert len(layers) == source.config["num_hidden_layers"]


def test_moments_are_the_mean_over_all_but_the_first_positions(
    source: Source, moments: Any
) -> None:
    passages = calibration_ids(Tokenizer.from_meta(source.tokenizer))
    apart = [final_states(source, [ids])[1:].astype(np.float64) for ids in passages]
    expected = sum(h.T @ h for h in apart) / sum(len(h) for h in apart)
    np.testing.assert_allclose(moments, expected, rtol=1e-3, atol=1e-4)


def test_a_state_depends_on_what_stands_before_it_and_on_nothing_behind(source: Source) -> None:
    whole = final_states(source, [[1, 2, 3, 4, 5]])
    np.testing.assert_allclose(final_states(source, [[1, 2, 3]]), whole[:3], atol=1e-5)
    assert np.abs(final_states(source, [[9, 2, 3]])[2] - whole[2]).max() > 1e-3


def test_matrices_are_read_in_pieces(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = final_states(source, [[7, 8, 9]])
    monkeypatch.setattr(calibration, "_PIECE_VALUES", 300)  # a few rows, and a rest
    np.testing.assert_allclose(final_states(source, [[7, 8, 9]]), whole, atol=1e-5)


def test_of_the_embedding_only_the_rows_of_the_text_are_read(source: Source) -> None:
    name = "model.embed_tokens.weight"
    table, read = source.tensors[name], []

    def watched(first: int, last: int) -> Any:
        read.extend(range(first, last))
        return table.read(first, last)

    tensors = {**source.tensors, name: replace(table, read=watched)}
    final_states(replace(source, tensors=tensors), [[200, 3], [3, 41]])
    assert read == [3, 41, 200]


def test_the_text_holds_special_tokens_and_no_passage_is_long() -> None:
    tokenizer = Tokenizer.byte_level()
    passages = calibration_ids(tokenizer)
    begins, ends = (sum(ids.count(tokenizer.specials[s]) for ids in passages) for s in CHATML)
    assert begins == ends > 5
    assert b"<|im_" not in b"".join(
        tokenizer.token_bytes(i) for ids in passages for i in ids if i < 256
    )
    assert max(map(len, passages)) < 1024


@pytest.mark.parametrize("damage", [np.nan, np.inf, 1e38])
def test_states_that_are_no_numbers_are_refused(source: Source, damage: float) -> None:
    name = "model.layers.1.mlp.down_proj.weight"
    values = source.tensors[name].floats(0, 64).copy()
    values[3] = damage
    broken = replace(source, tensors={**source.tensors, name: from_array(values)})
    with pytest.raises(QwellError) as caught:
        second_moments(broken)
    assert caught.value.fault == "weights-corrupt"


@pytest.mark.parametrize(
    ("tokenizer", "fault"),
    [({}, "tokenizer-missing"), ({"json": "{"}, "tokenizer-mismatch")],
)
def test_a_tokenizer_that_cannot_be_read(
    source: Source, tokenizer: dict[str, Any], fault: str
) -> None:
    with pytest.raises(QwellError) as caught:
        second_moments(replace(source, tokenizer=tokenizer))
    assert caught.value.fault == fault


def test_a_gguf_file_gives_moments(write_gguf: Callable[..., Path]) -> None:
    source = open_gguf(write_gguf())
    try:
        assert np.isfinite(second_moments(source)).all()
    finally:
        source.close()
