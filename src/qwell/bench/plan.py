"""How many people one box serves, how many boxes people need, and what a token costs.

Steps of the scheduler are simulated with the rates that `qwell bench` measured on a box. Knows no
engine but its policy, and no clock; the same seed gives the same plan.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from statistics import quantiles
from typing import Any

from qwell.bench.workload import Workload
from qwell.engine.pace import Pace
from qwell.engine.scheduler import Policy

_TURNS = 400  # simulated; enough that percentiles move by a few per cent between seeds
_SPREADS = 8  # ways in which users' names may fall on replicas
_SPREAD_S = 120.0  # simulated for each of them


@dataclass(frozen=True, slots=True)
class Box:
    """Rates of one box. decode_tok_s: of all answers together, by how many there are.

    path_s   what the way from and to the reader adds to a first token; one of them is drawn
    """

    prefill_tok_s: float
    decode_tok_s: Mapping[int, float]
    n_slots: int = 8
    path_s: Sequence[float] = (0.0,)

    @classmethod
    def of(cls, figures: Mapping[str, Any], n_slots: int = 8) -> Box:
        """From what `qwell bench --json` wrote."""
        rates = {int(n): float(rate) for n, rate in figures["batch"].items()}
        return cls(float(figures["prefill_tok_s"]), rates, n_slots)

    def together(self, n: int) -> float:
        """Tokens per second of n answers together, between the measured points by a line."""
        points = sorted(self.decode_tok_s.items())
        below = max((p for p in points if p[0] <= n), default=points[0])
        above = min((p for p in points if p[0] >= n), default=points[-1])
        if below[0] == above[0]:
            return below[1]
        share = (n - below[0]) / (above[0] - below[0])
        return below[1] + share * (above[1] - below[1])


@dataclass(frozen=True, slots=True)
class Load:
    """What users of one box see. ttft_s: 95th percentile; tok_s: 10th; busy: share of the time."""

    users: int
    ttft_s: float
    tok_s: float
    busy: float
    tokens_per_s: float

    def is_good(self, wanted: Workload) -> bool:
        return self.ttft_s <= wanted.ttft_s and self.tok_s >= wanted.tok_s


@dataclass(slots=True)
class _Turn:
    asked: float
    left_to_read: int
    left_to_say: int
    began: float = 0.0


@dataclass(slots=True)
class _Simulation:
    """One box, step by step. Queue and chunks are those of engine/scheduler.py."""

    box: Box
    work: Workload
    rng: random.Random
    policy: Policy = field(default_factory=Policy)
    pace: Pace = field(default_factory=Pace)
    now: float = 0.0
    busy_s: float = 0.0
    questions: list[float] = field(default_factory=list)  # when the next ones are asked, a heap
    waiting: list[_Turn] = field(default_factory=list)
    running: list[_Turn] = field(default_factory=list)
    ttfts: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def run(self, users: int, turns: float = math.inf, seconds: float = math.inf) -> None:
        """Until so many answers have ended, or so much time has gone by."""
        for _ in range(users):
            heappush(self.questions, self.rng.uniform(0, self.work.think_s))
        while users and len(self.rates) < turns and self.now < seconds:
            self._arrive()
            self._step()

    def _arrive(self) -> None:
        if not (self.waiting or self.running):
            self.now = max(self.now, self.questions[0])
        while self.questions and self.questions[0] <= self.now:
            asked = heappop(self.questions)
            self.waiting.append(_Turn(asked, self.work.prompt_tokens, self.work.answer_tokens))
        while self.waiting and len(self.running) < self.box.n_slots:
            self.running.append(self.waiting.pop(0))

    def _step(self) -> None:
        answering = [turn for turn in self.running if not turn.left_to_read]
        n_read = self._read()
        seconds = n_read / self.box.prefill_tok_s
        if answering:
            seconds += len(answering) / self.box.together(len(answering))
        self.pace.note(n_read, seconds)
        self.now += seconds
        self.busy_s += seconds
        self._speak(answering)

    def _read(self) -> int:
        """Tokens of prompts that the step has time for, in equal shares."""
        reading = sorted(filter(_is_reading, self.running), key=lambda turn: turn.left_to_read)
        left = room = self._room(is_alone=len(self.running) == 1)
        for done, turn in enumerate(reading):
            chunk = min(turn.left_to_read, max(1, left // (len(reading) - done)))
            turn.left_to_read -= chunk
            left -= chunk
            if not turn.left_to_read:
                turn.began = math.inf  # its first token comes with this step
        return room - left

    def _room(self, *, is_alone: bool) -> int:
        policy = self.policy
        if is_alone:
            return self.pace.tokens_within(policy.alone_s, policy.alone_tokens)
        return self.pace.tokens_within(policy.shared_s, policy.shared_tokens)

    def _speak(self, answering: list[_Turn]) -> None:
        for turn in self.running:
            if turn.began == math.inf:
                turn.began = self.now
                turn.left_to_say -= 1
                self.ttfts.append(self.now - turn.asked + self.rng.choice(self.box.path_s))
        for turn in answering:
            turn.left_to_say -= 1
        for turn in [turn for turn in self.running if turn.left_to_say <= 0]:
            self.running.remove(turn)
            self.rates.append((self.work.answer_tokens - 1) / max(self.now - turn.began, 1e-9))
            heappush(self.questions, self.now + self.rng.expovariate(1 / self.work.think_s))


def _is_reading(turn: _Turn) -> bool:
    return turn.left_to_read > 0


def simulate(box: Box, work: Workload, users: int, *, turns: int = _TURNS, seed: int = 1) -> Load:
    """What that many users of one box see."""
    simulation = _Simulation(box, work, random.Random(seed))  # noqa: S311  a simulation
    simulation.run(users, turns=turns)
    return _seen(users, [simulation])


def simulate_replicas(
    box: Box, work: Workload, users: int, replicas: int, *, seed: int = 1
) -> Load:
    """What users of several such boxes see together, where each one's name decides on the box.

    Names may fall evenly or not: what is told is of several ways in which they may.
    """
    rng = random.Random(seed)  # noqa: S311  a simulation
    simulations: list[_Simulation] = []
    for _ in range(_SPREADS):
        places = [rng.randrange(replicas) for _ in range(users)]
        for replica in range(replicas):
            simulation = _Simulation(box, work, random.Random(rng.random()))  # noqa: S311  the same
            simulation.run(places.count(replica), seconds=_SPREAD_S)
            simulations.append(simulation)
    load = _seen(users, simulations)
    return replace(load, tokens_per_s=load.tokens_per_s / _SPREADS)


def _seen(users: int, boxes: Sequence[_Simulation]) -> Load:
    used = [box for box in boxes if box.now]
    return Load(
        users,
        quantiles([ttft for box in used for ttft in box.ttfts], n=20)[-1],
        quantiles([rate for box in used for rate in box.rates], n=10)[0],
        sum(box.busy_s for box in used) / sum(box.now for box in used),
        sum(len(box.rates) * box.work.answer_tokens / box.now for box in used),
    )


def users_per_box(box: Box, work: Workload) -> Load:
    """The most users that are served well; with none, what a single one sees."""
    good = simulate(box, work, 1)
    if not good.is_good(work):
        return good
    while (load := simulate(box, work, 2 * good.users)).is_good(work):
        good = load
    bad = load.users
    while bad - good.users > 1:
        load = simulate(box, work, (good.users + bad) // 2)
        if load.is_good(work):
            good = load
        else:
            bad = load.users
    return good


@dataclass(frozen=True, slots=True)
class Plan:
    """boxes: for so many users; cost: of a million tokens when every box is that full."""

    one_box: Load
    is_good: bool
    users: int
    boxes: int
    cost_per_million_tokens: float

    @classmethod
    def of(cls, box: Box, work: Workload, users: int, box_per_hour: float) -> Plan:
        """box_per_hour: price, in any currency."""
        load = users_per_box(box, work)
        boxes = math.ceil(users / load.users)
        cost = box_per_hour / (load.tokens_per_s * 3600) * 1e6
        return cls(load, load.is_good(work), users, boxes, cost)
