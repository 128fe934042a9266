"""The native engine meets packs that are damaged: it refuses them, or says so; it never crashes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from qwell.backends import Choice, Chunk
from qwell.backends.native import NativeBackend, _slow_why
from qwell.core import Failed, Request
from qwell.engine.engine import Engine
from qwell.errors import QwellError
from qwell.text import Text
from qwell.weights.pack import read_pack
from qwell.weights.tiny import write_tiny_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pack(tmp_path_factory.mktemp("packs") / "tiny.qpack", seed=5)


def backend_of(path: Path, isa: str = "auto") -> NativeBackend:
    return NativeBackend(path, n_ctx=64, n_slots=2, n_threads=1, isa=isa, huge_pages=False)


def test_weights_move_into_huge_pages_after_the_first_token(pack: Path) -> None:
    """Where the kernel has none, nothing moves, and the answer is the same, too."""
    still, moving = (
        NativeBackend(pack, n_ctx=64, n_slots=1, n_threads=2, huge_pages=huge)
        for huge in (False, True)
    )
    all_moved = 2 if moving._model.huge_bytes else 1
    for start, token in enumerate([5, 6, 7, 8]):
        chunk = Chunk(0, start, [token], want_logits=True)
        expected, found = still.forward([chunk])[0], moving.forward([chunk])[0]
        assert np.array_equal(expected, found)
        assert moving.is_settled is (start >= all_moved)


def test_weights_move_while_nobody_asks(pack: Path) -> None:
    backend = NativeBackend(pack, n_ctx=64, n_slots=1, n_threads=2)
    for _ in range(2 if backend._model.huge_bytes else 1):
        assert not backend.is_settled
        done = backend.settle()
    assert done
    assert backend.settle()
    still = backend_of(pack)
    [expected], [found] = (
        each.forward([Chunk(0, 0, [5, 6, 7], want_logits=True)]) for each in (still, backend)
    )
    assert np.array_equal(expected, found)


def poisoned(pack: Path, folder: Path, tensor: str, value: bytes) -> Path:
    """A copy whose tensor begins with value."""
    path = folder / "poisoned.qpack"
    shutil.copyfile(pack, path)
    _, offset = read_pack(pack).tensors[tensor]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value)
    return path


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_guess_that_is_no_number_leaves_the_others_to_be_computed(
    pack: Path, tmp_path: Path, value: float
) -> None:
    damaged = poisoned(pack, tmp_path, "head.scan", np.float32(value).tobytes())
    chunk = Chunk(0, 0, [1, 2, 3], want_logits=True)
    for choice in (None, Choice(1)):
        sound, found = (
            backend_of(path).forward([replace(chunk, choice=choice)])[0] for path in (pack, damaged)
        )
        assert sound is not None
        assert found is not None
        told = np.isfinite(found)  # what is infinite may stay so, which the sampler refuses
        assert told.sum() >= len(found) - 1
        np.testing.assert_allclose(found[told], sound[told], rtol=1e-6)


@pytest.mark.parametrize("isa", ["auto", "portable"])
@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ("out_norm", np.float32(np.nan).tobytes()),
        ("L0.attn_norm", np.float32(np.inf).tobytes()),
        ("L1.k_bias", np.float32(np.nan).tobytes()),
        ("L0.down", np.float16(np.nan).tobytes()),
        ("L1.v", np.float16(np.inf).tobytes()),
    ],
)
def test_weights_that_are_no_numbers_end_as_a_fault(
    pack: Path, tmp_path: Path, isa: str, tensor: str, value: bytes
) -> None:
    path = poisoned(pack, tmp_path, tensor, value)
    engine = Engine(backend_of(path, isa), Text.from_meta(read_pack(pack).meta))
    events = engine.add(Request("a", prompt="hello", max_tokens=5))
    while engine.has_work:
        events += engine.step()
    end = events[-1][1]
    assert isinstance(end, Failed)
    assert end.code == "weights-corrupt"


def loaded(path: Path) -> tuple[str, NativeBackend | None]:
    try:
        return "", backend_of(path)
    except QwellError as error:
        return error.fault, None


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_malformed_packs_are_refused_or_compute(
    pack: Path, tmp_path: Path, data: st.DataObject
) -> None:
    raw = bytearray(pack.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 4000))
        new = data.draw(st.binary(min_size=1, max_size=8))
        raw[at : at + len(new)] = new
    cut = data.draw(st.integers(0, len(raw)) | st.none())
    path = tmp_path / "malformed.qpack"
    path.write_bytes(raw if cut is None else raw[:cut])
    fault, backend = loaded(path)
    if backend is None:
        assert fault == "weights-corrupt"
        return
    [logits] = backend.forward([Chunk(0, 0, [1], want_logits=True)])
    assert logits is not None


def test_a_name_that_is_no_text_is_refused(pack: Path, tmp_path: Path) -> None:
    raw = bytearray(pack.read_bytes())
    raw[192] = 0x80  # the first tensor's name begins behind the header
    path = tmp_path / "malformed.qpack"
    path.write_bytes(raw)
    assert loaded(path) == ("weights-corrupt", None)


@given(
    tokens=st.lists(st.integers(-3, 300), max_size=4),
    slots=st.lists(st.integers(-3, 3), max_size=4),
    positions=st.lists(st.integers(-3, 70), max_size=4),
    outputs=st.lists(st.integers(-3, 5), max_size=4),
)
def test_rows_of_any_kind_are_computed_or_refused(
    pack: Path, tokens: list[int], slots: list[int], positions: list[int], outputs: list[int]
) -> None:
    model = backend_of(pack)._model
    arrays = [np.array(values, np.int32) for values in (tokens, slots, positions, outputs)]
    try:
        logits = model.forward(*arrays)
    except ValueError:
        return
    assert logits.shape == (len(outputs), model.n_vocab)


@given(st.tuples(*[st.integers(-20, 80)] * 3), st.integers(-9, 9), st.integers(0, 40_000))
def test_places_that_are_not_there_are_refused(
    pack: Path, places: tuple[int, int, int], slot: int, n_bytes: int
) -> None:
    model = backend_of(pack)._model
    start, n, target = places
    for call in (
        lambda: model.take(slot, start, n),
        lambda: model.put(slot, start, n, np.zeros(n_bytes, np.uint8)),
        lambda: model.copy(slot, target, n),
        lambda: model.release(slot),
    ):
        try:
            call()
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("n_best", "contenders", "complaint"),
    [
        ([1, 1], [], "n_best of each output"),
        ([-1], [], "fewer than no best"),
        ([1], [np.zeros(1, np.uint32)], "fewer contenders than tokens"),
        ([1], [None, None], "contenders of each output"),
        (None, [None], "contenders of each output"),
    ],
)
def test_a_choice_that_fits_no_output_is_refused(
    pack: Path,
    n_best: list[int] | None,
    contenders: list[NDArray[np.uint32] | None],
    complaint: str,
) -> None:
    one = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match=complaint):
        backend_of(pack)._model.forward(
            one, one, one, one,
            n_best=None if n_best is None else np.array(n_best, np.int32),
            contenders=contenders,
        )  # fmt: skip


def test_more_outputs_than_rows_of_a_pass_are_refused(pack: Path) -> None:
    one = np.zeros(1, np.int32)
    with pytest.raises(ValueError, match="more than 512 outputs"):
        backend_of(pack)._model.forward(one, one, one, np.zeros(513, np.int32))


def test_why_it_is_slow_is_said_where_it_is() -> None:
    assert _slow_why("avx2", "x86_64") == ""
    assert "no AVX2" in _slow_why("portable", "x86_64")
    assert "no dot-product" in _slow_why("portable", "aarch64")
