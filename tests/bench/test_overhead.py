"""The measure of what a server costs beside its engine, taken from the scripted one."""

import asyncio
import json
from pathlib import Path

import pytest

from qwell.bench import overhead
from qwell.bench.load import SCRIPT
from qwell.config import Settings


@pytest.mark.timeout(120)
def test_both_give_the_same_answer_and_their_rates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QWELL_SCRIPT", SCRIPT)
    settings = Settings(engine="scripted", data_dir=str(tmp_path))
    figures = asyncio.run(overhead.overhead("scripted", settings, (), rounds=1, n_tokens=64))
    samples = figures["samples"]
    assert {name: len(rates) for name, rates in samples.items()} == {"bare": 2, "served": 2}
    assert min(*samples["bare"], *samples["served"]) > 0
    alone, behind = (sum(1 / rate for rate in samples[name]) for name in ("bare", "served"))
    assert figures["share"] == pytest.approx(behind / alone - 1)
    assert figures["server_ms"] > 0


def test_a_disturbed_round_does_not_move_the_share() -> None:
    bare = [100.0, 100.0, 50.0, 50.0, 100.0, 100.0]  # others came in the second round, and stayed
    served = [98.0, 98.0, 49.0, 49.0, 20.0, 98.0]
    rates = {"bare": bare, "served": served}
    figures = overhead._result(rates, overhead._Spent(n_tokens=1))
    assert figures["share"] == pytest.approx(1 / 0.98 - 1)


def test_what_is_no_answer_is_no_figure() -> None:
    delta = 'data: {"type": "delta", "text": "a"}\n\n'
    done = 'data: {"type": "done", "usage": {"completion_tokens": 3}}\n\n'
    answered = overhead._understood((delta + delta + done).encode(), 0.5)
    assert answered.text == "aa"
    assert answered.tok_s == 4
    for broken in ("", delta, delta + "data: " + json.dumps({"type": "error"}) + "\n\n"):
        with pytest.raises(RuntimeError, match="no answer"):
            overhead._understood(broken.encode(), 0.5)
