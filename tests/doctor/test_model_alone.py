"""Two more baselines: what the model names by itself, from a list and in its own words."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest
from tests.doctor.test_score import by_doctor, cases_of, doctor_is_sure, score

from qwell.backends.native import NativeBackend
from qwell.core import Delta, Event, Message, Request, Sampling
from qwell.doctor.catalogue import load
from qwell.engine.engine import Engine
from qwell.text import Text
from qwell.weights.ensure import PackedModel

EACH = 3  # every third case of dev: a minute instead of three
LONGEST = 1500  # characters of a report, of which the end says most
HEALTHY = "nothing-is-wrong"
NOBODY_KNOWS = "something-else"
TASK = "You find the cause of trouble with a chat server. The causes are:\n"


class Alone:
    """Asks the model about one report after the other, without a word of the doctor's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._titles = {fault.id: fault.title.en for fault in load().faults.values()}
        self._names = [HEALTHY, NOBODY_KNOWS, *self._titles]

    def choice(self, report: str) -> list[str]:
        """One of the list, by a grammar."""
        task = TASK + "\n".join(self._names)
        schema = {"type": "object", "properties": {"cause": {"enum": self._names}}}
        schema |= {"required": ["cause"], "additionalProperties": False}
        said = self._answer(Request("q", self._asked(task, report), reply_schema=schema))
        named = [name for name in self._names if f'"{name}"' in said]
        return [] if set(named) & {HEALTHY, NOBODY_KNOWS} else named

    def writing(self, report: str) -> list[str]:
        """Every cause that its sentence names by id or title."""
        task = "Name the most likely technical cause of this trouble with a chat server."
        said = self._answer(Request("q", self._asked(task, report), max_tokens=48)).lower()
        words = set(re.findall(r"[a-z]+", said))
        return [
            fault
            for fault, title in self._titles.items()
            if words.issuperset(fault.split("-")) or title.lower() in said
        ]

    def _asked(self, task: str, report: str) -> tuple[Message, ...]:
        return (Message("system", task), Message("user", report[-LONGEST:]))

    def _answer(self, request: Request) -> str:
        self._engine.add(replace(request, sampling=Sampling(temperature=0.0)))
        events: list[Event] = []
        while self._engine.has_work:
            events += self._engine.step()
        return "".join(e.text for _, e in events if isinstance(e, Delta))


@pytest.fixture(scope="module")
def alone(real_pack: PackedModel) -> Alone:
    n_threads = min(2, len(os.sched_getaffinity(0)))
    backend = NativeBackend(real_pack.path, n_ctx=4096, n_slots=1, n_threads=n_threads)
    return Alone(Engine(backend, Text.from_meta(real_pack.meta)))


@pytest.mark.timeout(600)
def test_the_doctor_beats_the_model_alone(alone: Alone, capsys: pytest.CaptureFixture[str]) -> None:
    cases = cases_of("dev")[::EACH]
    rows = {
        "the model alone, from the list": score(cases, alone.choice),
        "the model alone, in its own words": score(cases, alone.writing),
        "doctor, in sample": score(cases, by_doctor, doctor_is_sure),
    }
    with capsys.disabled():
        print()
        for name, row in rows.items():
            print(f"  dev, every third, {name:36} n {row.n:3}  {row}")
    *baselines, doctor = rows.values()
    assert all(doctor.first > row.first for row in baselines)
    assert all(doctor.three > row.three for row in baselines)
