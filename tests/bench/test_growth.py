"""A conversation that grows is measured at each length, on a random tiny model."""

from pathlib import Path

import pytest

from qwell.bench.engine import OwnEngine
from qwell.bench.growth import growth, token_cost_ratio
from qwell.weights.tiny import write_tiny_pack


def test_every_context_is_measured_once(tmp_path: Path) -> None:
    engine = OwnEngine(write_tiny_pack(tmp_path / "tiny.qpack", n_vocab=1280), 1)
    curves = growth(engine, (8, 600, 1100))
    for points in curves.values():
        assert [context for context, _ in points] == [8, 600, 1100]
        assert all(figure > 0 for _, figure in points)
    read = [seconds for _, seconds in curves["read_s"]]
    assert read == sorted(read)


def test_a_token_at_the_longest_context_against_one_at_the_shortest() -> None:
    curves = {"decode_ms": [(100, 10.0), (500, 11.0), (8000, 15.0)]}
    assert token_cost_ratio(curves) == pytest.approx(1.5)
