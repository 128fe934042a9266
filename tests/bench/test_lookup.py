"""Answers with guesses and without are timed, on a random tiny model."""

from pathlib import Path

from qwell.bench.lookup import PROMPTS, lookup_gain
from qwell.text import Text
from qwell.weights.pack import read_pack
from qwell.weights.tiny import write_tiny_pack


def test_each_kind_of_answer_has_a_gain(tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path / "tiny.qpack", n_vocab=1280, seed=2)
    gains = lookup_gain(pack, Text.from_meta(read_pack(pack).meta), 1)
    assert set(gains) == set(PROMPTS)
    assert min(gains.values()) > 0
