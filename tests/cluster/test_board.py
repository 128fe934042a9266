"""Engines that write are alive; together they look like one worker."""

from __future__ import annotations

from dataclasses import replace

from qwell.cluster.board import FORGET_AFTER_S, Board, note_of, together
from qwell.errors import QwellError
from qwell.worker.status import WorkerStatus

READY = WorkerStatus(phase="ready", progress=1.0, model={"name": "tiny", "n_slots": 4}, running=2)
BROKEN = QwellError("weights-truncated", found="half a file", expected="a whole one", fix="pull")


def test_who_stops_writing_is_forgotten() -> None:
    now = [0.0]
    board = Board(lambda: now[0])
    board.post("a", {"phase": "ready"})
    now[0] = FORGET_AFTER_S / 2
    board.post("b", {"phase": "ready"})
    now[0] = FORGET_AFTER_S + 0.1
    assert list(board.read()) == ["b"]
    board.remove("b")
    assert board.read() == {}


def test_one_that_is_ready_makes_all_ready() -> None:
    notes = [note_of(WorkerStatus(phase="failed", error=BROKEN)), note_of(READY), note_of(READY)]
    status = together(notes)
    assert status.phase == "ready"
    assert (status.model["n_slots"], status.model["n_engines"], status.running) == (8, 2, 4)
    assert status.error is None


def test_when_all_have_failed_the_reason_is_kept() -> None:
    status = together([note_of(replace(READY, phase="failed", model={}, error=BROKEN))])
    assert status.phase == "failed"
    assert status.error is not None
    assert status.error.to_dict() == BROKEN.to_dict()


def test_without_engines_it_is_starting() -> None:
    assert together([]).phase == "starting"
