"""A conversation that grows is measured at each length, on a random tiny model."""

from pathlib import Path

from qwell.bench.engine import OwnEngine
from qwell.bench.growth import growth
from qwell.weights.tiny import write_tiny_pack


def test_every_context_is_measured_once(tmp_path: Path) -> None:
    engine = OwnEngine(write_tiny_pack(tmp_path / "tiny.qpack", n_vocab=1280), 1)
    curves = growth(engine, (8, 600, 1100))
    for points in curves.values():
        assert [context for context, _ in points] == [8, 600, 1100]
        assert all(figure > 0 for _, figure in points)
    read = [seconds for _, seconds in curves["read_s"]]
    assert read == sorted(read)
