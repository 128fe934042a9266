"""The child alone: it lives exactly as long as its parent wants it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

import pytest

from qwell.config import Settings
from qwell.core import Delta, Done, Notice
from qwell.engine.engine import Engine
from qwell.worker import protocol
from qwell.worker.process import Reports, Worker

LOAD = {"op": "load", "settings": asdict(Settings(engine="scripted", parallel=1))}


@contextmanager
def child(script: dict[str, Any]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "qwell.worker.process", f"--report-fd={writing}"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(writing,),
        env={**os.environ, "QWELL_SCRIPT": json.dumps(script)},
        start_new_session=True,
    )
    os.close(writing)
    with process, os.fdopen(reading, "rb") as reports:
        yield process, reports
        process.kill()


def send(process: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(protocol.encode(message))
    process.stdin.flush()


def read_until(reports: IO[bytes], key: str, value: Any) -> dict[str, Any]:
    return next(m for m in map(protocol.decode, reports) if m.get(key) == value)


def submit(text: str) -> dict[str, Any]:
    return {
        "op": "submit",
        "request": {"id": "a", "messages": [{"role": "user", "content": text}]},
    }


def test_it_loads_nothing_of_the_parents_side() -> None:
    """What it imports is on the way to the first answer."""
    own = "qwell.worker.process, qwell.worker.loading, qwell.weights.ensure"
    code = f"import sys, {own}; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    of_the_parent = {"asyncio", "fastapi", "pydantic", "uvicorn", "sqlalchemy"}
    of_rare_days = {"filelock", "huggingface_hub"}
    assert (of_the_parent | of_rare_days).isdisjoint(imported.stdout.decode().split())


@pytest.mark.parametrize("script", [{}, {"load_delay_s": 60}, {"hang_after": 0}])
def test_it_ends_with_its_parent_even_in_a_step_that_never_ends(script: dict[str, Any]) -> None:
    with child(script) as (process, reports):
        send(process, LOAD)
        read_until(reports, "phase", "loading" if "load_delay_s" in script else "ready")
        send(process, submit("hello"))
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20)


def test_shutdown_ends_it_in_good_order() -> None:
    with child({}) as (process, reports):
        send(process, LOAD)
        read_until(reports, "phase", "ready")
        send(process, {"op": "shutdown"})
        assert process.wait(timeout=20) == 0


def test_it_beats_while_it_loads_and_while_a_step_hangs() -> None:
    with child({"load_delay_s": 2.5, "hang_after": 0}) as (process, reports):
        send(process, LOAD)
        assert read_until(reports, "op", "beat")["running"] == 0
        read_until(reports, "phase", "ready")
        send(process, submit("hello"))
        assert read_until(reports, "running", 1)["step"] == 0


def test_it_reports_each_event_in_its_json() -> None:
    with child({}) as (process, reports):
        send(process, LOAD)
        send(process, submit("hi"))
        done = next(
            m["event"]
            for m in map(protocol.decode, reports)
            if m["op"] == "event" and m["event"]["type"] == "done"
        )
        assert done["reason"] == "stop"
        assert done["usage"]["completion_tokens"] == 2


def test_a_script_it_cannot_read_is_a_fault_with_a_name() -> None:
    with child({"no-such-field": 1}) as (process, reports):
        send(process, LOAD)
        assert read_until(reports, "phase", "failed")["error"]["fault"] == "config-invalid"
        assert process.wait(timeout=20) == 1


def test_words_that_were_kept_are_sent_as_one_and_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    reports = Reports(writing)
    monkeypatch.setattr("qwell.worker.process.HELD_S", 0.0)
    reports.events([("a", Delta("one ")), ("b", Delta("uno "))])
    monkeypatch.setattr("qwell.worker.process.HELD_S", 3600.0)
    for word in ("two ", "three "):
        reports.events([("a", Delta(word, logprobs=({"token": word},))), ("b", Delta("dos "))])
    reports.events([("b", Notice("boilerplate-reply")), ("b", Done())])
    os.close(writing)
    with os.fdopen(reading, "rb") as sent:
        said = [(m["id"], m["event"]) for m in map(protocol.decode, sent)]
    texts = [(name, event.get("text", event["type"])) for name, event in said]
    expected = [("a", "one "), ("b", "uno "), ("a", "two three "), ("b", "dos dos ")]
    assert texts == [*expected, ("b", "notice"), ("b", "done")]
    assert said[2][1]["logprobs"] == [{"token": "two "}, {"token": "three "}]


class IdleEngine:
    """Nothing to do; what is done meanwhile is told, and then everything ends."""

    has_work = False

    def __init__(self, worker: Worker) -> None:
        self.worker, self.told = worker, list[str]()

    def settle(self) -> bool:
        self.told.append("settled")
        return len(self.told) == 3

    def prepare(self) -> bool:
        self.told.append("prepared")
        self.worker.commands.put({"op": "shutdown"})
        return True


def test_time_in_which_nobody_asks_is_used_for_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qwell.worker.process.BRIEFLY_IDLE_S", 0.01)
    monkeypatch.setattr("qwell.worker.process.IDLE_S", 0.01)
    with Path(os.devnull).open("wb") as nowhere:
        worker = Worker(Reports(nowhere.fileno()))
        engine = IdleEngine(worker)
        worker.serve(cast("Engine", engine))
    assert engine.told == ["settled"] * 3 + ["prepared"]
    assert worker.idle == []
