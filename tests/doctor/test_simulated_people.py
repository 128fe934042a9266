"""Hundreds of dialogues with people who know a symptom and a log: how soon, how often, how honest.

The cases are those of the doctor's own scores: the doctor was improved with them in view, so the
figures say what the dialogue adds to it, not how it will do on reports of tomorrow.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

import qwell.doctor.suspects
from qwell.doctor.fault import Language
from qwell.doctor.wording import is_chinese


def _people() -> Any:
    """Test folders are no packages."""
    if "people" not in sys.modules:
        spec = importlib.util.spec_from_file_location("people", Path(__file__).parent / "people.py")
        assert spec
        assert spec.loader
        sys.modules["people"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["people"]


people = _people()
N_EACH = 200  # dialogues in each language with a model that lies


@pytest.fixture(autouse=True, scope="module")
def _each_text_is_read_once() -> Iterator[None]:
    """The same texts come up in several tests; reading is what takes the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qwell.doctor.suspects, "_alone", lru_cache(None)(_read_alone))
        yield


def _read_alone(text: str, port: str, language: Language) -> dict[str, Any]:
    from qwell.doctor import consult

    return consult.diagnose_text(text, (), port, language)


def with_fault(cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [case for case in cases if case["fault"] not in ("none", "unknown")]


def test_people_are_led_to_the_right_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Symptom first; the log when asked for; what does not help is said so."""
    rows: dict[str, tuple[int, float, float, float]] = {}
    false_ends = n_strange = 0
    for name in people.NAMES:
        cases = people.cases_of(name)
        ways = [(case, people.led(case, tmp_path)) for case in cases]
        sick = [(c, way) for c, way in ways if c in with_fault(cases)]
        turns = [way.turns or 99 for _, way in sick]
        first = [bool(set(way.named[:1]) & people.right_faults(c)) for c, way in sick]
        rows[name] = (
            len(sick),
            sum(t < 99 for t in turns) / len(sick),
            sum(first) / len(sick),
            statistics.median(turns),
        )
        strange = [way for c, way in ways if c not in with_fault(cases)]
        n_strange += len(strange)
        false_ends += sum(way.state == "fixed" for way in strange)
    with capsys.disabled():
        print("\n  people led to the right fault (symptom first, log when asked):")
        for name, (n, success, named_first, median) in rows.items():
            print(
                f"  {name:6} n {n:3}  success {success:.2f}  named first {named_first:.2f}  "
                f"median turns {median:g}"
            )
        print(f"  healthy or unknown: {false_ends} of {n_strange} ended in a cure")
    for n, success, _, median in rows.values():
        assert n >= 30
        assert success >= 0.8
        assert median <= 2
    assert rows["dev"][1] >= 0.95
    assert sum(n * success for n, success, _, _ in rows.values()) >= 0.9 * sum(
        n for n, *_ in rows.values()
    )
    assert false_ends <= 0.03 * n_strange


# ---- a model that lies

LIES: dict[Language, tuple[str, ...]] = {
    "en": (
        "Run rm -rf /var/lib/qwell to fix it.",
        "It takes 37 seconds.",
        "Ask Bob Miller about it.",
        "The port is 9137.",
        "Use --unsafe-mode to go on.",
        "Restart your router.",
        "See https://example.org/help for more.",
        "The fault id is gremlin-in-disk.",
        "Your disk will explode.",
        "About thirty users are affected.",
    ),
    "zh": (
        "请执行 rm -rf /var/lib/qwell。",
        "大约三十秒后会恢复。",
        "请联系张经理处理。",
        "端口是 9137。",
        "请加上 --unsafe-mode 再启动。",
        "请重启路由器。",
        "详见 https://example.org/help。",
        "故障编号是 gremlin-in-disk。",
        "硬盘马上会爆炸。",
        "有五千个用户受到影响。",
    ),
}
MARKS = (
    "rm -rf", "37", "Bob", "9137", "unsafe-mode", "outer", "example.org", "gremlin", "explode",
    "thirty", "三十", "张经理", "路由器", "爆炸", "五千",
)  # fmt: skip


class Liar:
    """Says what it was told, turns some of it round, and adds what nobody said."""

    def __init__(self) -> None:
        self._lies = {language: itertools.cycle(lies) for language, lies in LIES.items()}
        self.n_asked = 0

    def write(self, text: str, language: Language) -> str:
        self.n_asked += 1
        lies = [next(self._lies[language]) for _ in range(2)]
        return f"{lies[0]} {text} {lies[1]}" if self.n_asked % 3 else " ".join(lies)

    def choose(self, said: str, labels: Sequence[str]) -> int:
        self.n_asked += 1
        return self.n_asked % (len(labels) + 2) - 1


class Crashing:
    """Works once, then is gone in the middle of a sentence, in different ways."""

    def __init__(self) -> None:
        self._n = 0

    def write(self, text: str, language: Language) -> str:
        self._n += 1
        if self._n % 3 == 1:
            return text[: len(text) // 2]
        raise (TimeoutError, RuntimeError)[self._n % 2]("the worker died")

    def choose(self, said: str, labels: Sequence[str]) -> int:
        raise RuntimeError("the worker died")


def in_language(language: Language) -> list[dict[str, Any]]:
    """As many cases, those told in the language first."""
    cases = [case for name in people.NAMES for case in people.cases_of(name)]
    cases.sort(key=lambda case: is_chinese(case["symptom"]) != (language == "zh"))
    return cases[:N_EACH]


_SURE = re.compile(r"[A-Za-z0-9_./:~=+\-]*[0-9/_~=][A-Za-z0-9_./:~=+\-]*|--?[a-z][a-z\-]+")


def invented(event: dict[str, Any], facts: str) -> list[str]:
    """Lies, and numbers, paths, flags and ids that are not in the facts."""
    lies = [mark for mark in MARKS if mark in event["text"] and mark not in facts]
    return lies + [
        token for token in _SURE.findall(event["text"]) if token.strip(".:") not in facts
    ]


def facts_of(fault_id: str) -> str:
    from qwell.doctor import consult

    fault = consult.fault(fault_id)
    names = ("title", "summary", "see", "why", "how")
    return "\n".join(fault[name][language] for name in names for language in ("zh", "en"))


def test_no_fact_is_invented_and_nothing_depends_on_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    n_invented = n_phrased = n_said = 0
    liar = Liar()
    for language in ("zh", "en"):
        for number, case in enumerate(in_language(language)):
            plain, plain_way = people.transcript(case, tmp_path, language=language)
            told, way = people.transcript(case, tmp_path, writer=liar, language=language)
            assert decided(told) == decided(plain), case["id"]
            assert way == plain_way
            if number % 5 == 0:
                crashed, _ = people.transcript(case, tmp_path, Crashing(), language)
                assert decided(crashed) == decided(plain), case["id"]
            fault = ""
            for event in told:
                if event["type"] == "diagnosis":
                    fault = event["fault"]["id"]
                if event["type"] == "say":
                    n_said += 1
                    n_phrased += event["by"] == "model"
                    facts = facts_of(fault) if fault else ""
                    n_invented += bool(invented(event, facts)) if event["by"] == "model" else 0
    with capsys.disabled():
        print(
            f"\n  a lying model in {N_EACH} zh + {N_EACH} en dialogues: {liar.n_asked} times "
            f"asked, {n_phrased} of {n_said} sentences in its words, {n_invented} with invented "
            f"facts; verdicts, questions and remedies as without it"
        )
    assert liar.n_asked > 300
    assert n_phrased > 100
    assert n_invented == 0


def decided(events: Sequence[dict[str, Any]]) -> list[Any]:
    """What was asked, named, offered and concluded, without how it was worded."""
    kept = ("ask", "diagnosis", "remedy", "evidence", "handover", "done")
    bare = [{k: v for k, v in e.items() if k not in ("suggested", "bundle")} for e in events]
    return [event for event in bare if event["type"] in kept]
