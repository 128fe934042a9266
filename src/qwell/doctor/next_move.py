"""What the dialogue does next: ask the question that tells most, name a fault, or hand over.

A pure function of the case and its suspects. The model has no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from qwell.doctor.case import Case, Question
from qwell.doctor.catalogue import load
from qwell.doctor.question_bank import (
    CLOSEST,
    LOG,
    NONE,
    WHERE,
    ask_closest,
    ask_for_log,
    ask_where,
    ask_whether,
    can_be_asked,
    likelihood,
    outcomes,
)
from qwell.doctor.suspects import Lineup, Suspect
from qwell.doctor.wording import complains, is_ordinary

MAX_TURNS = 14  # of the person, without those that only watch
MAX_QUESTIONS = 5
MAX_NAMED = 4  # diagnoses in one case
CERTAIN = 0.6
WORDS_CERTAIN = 0.9  # where no line and no check speaks, and a log may still come
GUESS = 0.2  # what the best suspect needs when nothing is left to ask, or half of it
STANDS_OUT = 2.0  # times as likely as any other
_LEAST_GAIN = 0.05  # bits that a question must be worth
_LOG_TELLS = 0.75  # chance that a log names the fault
_LOG_COSTS = 0.15  # bits: more effort than pressing a button
_MOST_CLOSEST = 3


@dataclass(frozen=True, slots=True)
class Ask:
    question: Question


@dataclass(frozen=True, slots=True)
class Name:
    suspect: Suspect


@dataclass(frozen=True, slots=True)
class NoFault:
    """because: healthy (nothing of trouble), harmless (known messages), ordinary (a question)."""

    because: str


@dataclass(frozen=True, slots=True)
class HandOver:
    because: str


Move = Ask | Name | NoFault | HandOver


def next_move(case: Case, lineup: Lineup) -> Move:
    """Never asks twice for the same thing."""
    if case.turns >= MAX_TURNS or case.n_named >= MAX_NAMED:
        return HandOver("limit")
    first = lineup.first
    if first is None:
        return _without_suspect(case, lineup)
    if _is_certain(first, case, lineup):
        return Name(first)
    question = best_question(case, lineup) if len(case.asked) < MAX_QUESTIONS else None
    if question is not None:
        return Ask(question)
    return Name(first) if _stands_out(lineup) else HandOver("unknown")


def _stands_out(lineup: Lineup) -> bool:
    """Worth a try, when nothing better can be had."""
    first, *others = lineup.suspects
    is_alone = all(first.p >= STANDS_OUT * other.p for other in others)
    return first.p >= (GUESS / 2 if is_alone else GUESS)


def _without_suspect(case: Case, lineup: Lineup) -> Move:
    is_well = lineup.verdict == "healthy" and (lineup.harmless or not complains(case.text))
    if is_well and not case.trials:
        return NoFault("harmless" if lineup.harmless else "healthy")
    if len(case.texts) == 1 and is_ordinary(case.text):
        return NoFault("ordinary")
    if not lineup.has_log and LOG not in case.asked:
        return Ask(ask_for_log())
    if WHERE not in case.asked:
        return Ask(ask_where())
    return HandOver("unknown")


def _is_certain(first: Suspect, case: Case, lineup: Lineup) -> bool:
    if first.p < CERTAIN or (lineup.verdict != "fault" and not case.replies):
        return False
    log_may_come = not lineup.has_log and LOG not in case.asked
    return first.is_seen or first.is_cited or not log_may_come or first.p >= WORDS_CERTAIN


def best_question(case: Case, lineup: Lineup) -> Question | None:
    """The one that separates the suspects best, in bits, less what it costs to answer it."""
    weights = {suspect.id: suspect.p for suspect in lineup.suspects}
    weights[NONE] = max(0.0, 1.0 - sum(weights.values()))
    asked = set(case.asked)
    compared = any(name.startswith(CLOSEST) for name in asked)
    rated = [
        (_gain(question, weights), question)
        for question in _questions(lineup.suspects)
        if question.id not in asked and not (question.id.startswith(CLOSEST) and compared)
    ]
    if LOG not in asked and not lineup.has_log:
        rated.append((_LOG_TELLS * _entropy(weights.values()) - _LOG_COSTS, ask_for_log()))
    gain, best = max(rated, key=lambda pair: pair[0], default=(0.0, None))
    if best is not None and gain >= _LEAST_GAIN:
        return best
    return None if WHERE in asked or weights[NONE] < 0.5 else ask_where()


def _questions(suspects: Sequence[Suspect]) -> Iterator[Question]:
    known = load().faults
    faults = [known[suspect.id] for suspect in suspects if suspect.id in known]
    yield from (ask_whether(fault) for fault in faults if can_be_asked(fault))
    if len(faults) > 1:
        yield ask_closest(faults[:_MOST_CLOSEST])


def _gain(question: Question, weights: dict[str, float]) -> float:
    """How many bits less there are to know, on average over the answers."""
    before = _entropy(weights.values())
    after = 0.0
    total = 0.0
    for reply in outcomes(question):
        joint = {fault: p * likelihood(reply, fault) for fault, p in weights.items()}
        share = sum(joint.values())
        after += share * _entropy(joint.values())
        total += share
    return before - after / total if total else 0.0


def _entropy(weights: Collection[float]) -> float:
    values = [weight for weight in weights if weight > 0]
    total = sum(values)
    return -sum(w / total * math.log2(w / total) for w in values) if total else 0.0
