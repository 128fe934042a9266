"""What was observed, and how a check declares itself.

A live check, a line of a log, a probe of the page, a person's answer: all of them become a
Finding. Knows no fault, no prose beyond a reason, and nothing of how the world is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, get_args

Layer = Literal[
    "host",
    "container",
    "dependency",
    "model",
    "engine",
    "api",
    "network",
    "browser",
    "dialogue",
]
LAYERS: tuple[Layer, ...] = get_args(Layer)  # from the machine up to the conversation
PATIENCE_S = 4.0  # with a check: a machine with too much to do is slow, and wants to be looked at

Value = str | int | float | bool
Facts = dict[str, Value]  # what a check gives as evidence, by name


class Status(StrEnum):
    """SKIP: a prerequisite is missing. ERROR: the check itself broke. Neither means unwell."""

    PASS = "pass"  # noqa: S105 - a word, no password
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact: a name, its value, and where it was read ("/sys/fs/cgroup/cpu.max", "log:12")."""

    key: str
    value: Value
    source: str = ""

    def to_dict(self) -> dict[str, Value]:
        return {"key": self.key, "value": self.value, "source": self.source}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evidence:
        return cls(data["key"], data["value"], data.get("source", ""))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check returns; the runner adds the check's name and the time that it took."""

    status: Status
    because: str = ""  # reason of a skip or error, in English; verdicts take prose from catalogue
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation. ``check`` is a check's id, or ``log.<fault>.<n>`` for a log signature."""

    check: str
    layer: Layer
    status: Status
    evidence: tuple[Evidence, ...] = ()
    because: str = ""
    ms: float = 0.0

    def facts(self) -> dict[str, Value]:
        """Evidence by key, the last one wins."""
        return {item.key: item.value for item in self.evidence}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, as in `doctor --json`."""
        return {
            "check": self.check,
            "layer": self.layer,
            "status": self.status.value,
            "evidence": [item.to_dict() for item in self.evidence],
            "because": self.because,
            "ms": round(self.ms, 2),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Inverse of to_dict. Raises KeyError or ValueError for what is none."""
        if data["layer"] not in LAYERS:
            raise ValueError(f"{data['layer']!r} is no layer")
        return cls(
            check=str(data["check"]),
            layer=data["layer"],
            status=Status(data["status"]),
            evidence=tuple(Evidence.from_dict(item) for item in data.get("evidence", ())),
            because=data.get("because", ""),
            ms=float(data.get("ms", 0.0)),
        )


def passed(source: str = "", **facts: Value) -> Outcome:
    return Outcome(Status.PASS, "", _evidence(source, facts))


def warned(because: str, source: str = "", **facts: Value) -> Outcome:
    return Outcome(Status.WARN, because, _evidence(source, facts))


def failed(because: str, source: str = "", **facts: Value) -> Outcome:
    return Outcome(Status.FAIL, because, _evidence(source, facts))


def skipped(because: str, source: str = "", **facts: Value) -> Outcome:
    return Outcome(Status.SKIP, because, _evidence(source, facts))


def _evidence(source: str, facts: Mapping[str, Value]) -> tuple[Evidence, ...]:
    return tuple(Evidence(key, value, source) for key, value in facts.items())


Run = Callable[[Any], Outcome]  # takes the System: the one door to the world


@dataclass(frozen=True, slots=True)
class Check:
    """A pure read with a name. Never changes anything, never loads the model in this process.

    needs      ids of checks that must pass first, else this one is skipped with that reason
    timeout_s  after that the runner reports ERROR
    deep       only run when asked for: takes seconds rather than milliseconds
    about      one line, from the function's docstring
    """

    id: str
    layer: Layer
    run: Run
    needs: tuple[str, ...] = ()
    timeout_s: float = PATIENCE_S
    deep: bool = False
    about: str = ""


class Registry:
    """Checks by id, in the order in which they were declared."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def check(
        self,
        check_id: str,
        *,
        layer: Layer,
        needs: tuple[str, ...] = (),
        timeout_s: float = PATIENCE_S,
        deep: bool = False,
    ) -> Callable[[Run], Run]:
        """Declare the decorated function as a check. A second check of that id is our bug."""

        def declare(run: Run) -> Run:
            assert check_id not in self._checks, f"{check_id} is declared twice"
            about = (run.__doc__ or "").strip().partition("\n")[0]
            self._checks[check_id] = Check(check_id, layer, run, needs, timeout_s, deep, about)
            return run

        return declare

    def __iter__(self) -> Iterator[Check]:
        return iter(self._checks.values())

    def __len__(self) -> int:
        return len(self._checks)

    def __contains__(self, check_id: object) -> bool:
        return check_id in self._checks

    def __getitem__(self, check_id: str) -> Check:
        return self._checks[check_id]


CHECKS = Registry()
check = CHECKS.check
