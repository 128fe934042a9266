"""Which question comes next: the one that tells most, and none that tells nothing."""

from __future__ import annotations

from typing import Any

from qwell.doctor.case import Case, Reply
from qwell.doctor.finding import Evidence, Finding, Status
from qwell.doctor.next_move import Ask, HandOver, Name, best_question, next_move
from qwell.doctor.question_bank import LOG, NONE, ask_closest, ask_whether, likelihood
from qwell.doctor.suspects import Lineup, Suspect, line_up


def case_of(text: str, **more: Any) -> Case:
    case = Case("0" * 16, 0.0, "en", **more)
    case.add_text(text)
    return case


def suspects(**shares: float) -> Lineup:
    found = [Suspect(name.replace("_", "-"), p, {"id": name}) for name, p in shares.items()]
    return Lineup("unknown", tuple(found))


def test_a_log_is_worth_more_than_a_guess() -> None:
    lineup = suspects(proxy_buffering=0.4, proxy_read_timeout=0.35, ws_upgrade_missing=0.2)
    question = best_question(case_of("x"), lineup)
    assert question is not None
    assert question.id == LOG


def test_among_near_rivals_the_closest_description_is_asked_for() -> None:
    lineup = suspects(proxy_buffering=0.4, proxy_read_timeout=0.35, ws_upgrade_missing=0.2)
    question = best_question(case_of("x", asked=[LOG]), lineup)
    assert question is not None
    assert question.id.startswith("closest:")


def test_nothing_is_asked_where_all_is_clear() -> None:
    assert best_question(case_of("x"), suspects(disk_full=0.999)) is None


def test_each_question_is_asked_once() -> None:
    lineup = suspects(proxy_buffering=0.45, proxy_read_timeout=0.45)
    case, asked = case_of("x"), []
    while (move := next_move(case, lineup)) and isinstance(move, Ask):
        asked.append(move.question.id)
        case.asked.append(move.question.id)
    assert len(asked) == len(set(asked))
    assert isinstance(move, Name | HandOver)


def test_answers_change_the_odds_in_their_direction() -> None:
    from qwell.doctor.catalogue import load

    faults = load().faults
    against = ask_whether(faults["model-dir-not-mounted"])  # "can you see the files?"
    told = Reply(against.id, "yes", against.about)
    assert likelihood(told, "model-dir-not-mounted") < likelihood(told, "disk-full")
    plain = ask_whether(faults["disk-full"])
    told = Reply(plain.id, "yes", plain.about)
    assert likelihood(told, "disk-full") > likelihood(told, NONE)
    three = ask_closest([faults["disk-full"], faults["inodes-full"]])
    told = Reply(three.id, "inodes-full", three.about)
    assert likelihood(told, "inodes-full") > likelihood(told, "disk-full")
    assert likelihood(Reply(three.id, "unsure", three.about), "disk-full") == 1.0


def test_a_refuted_fault_is_no_suspect_any_more() -> None:
    text = "it stops\n\nOSError: [Errno 28] No space left on device: '/data/x'"
    assert line_up(case_of(text)).suspects[0].id == "disk-full"
    ids = [suspect.id for suspect in line_up(case_of(text, refuted=["disk-full"])).suspects]
    assert "disk-full" not in ids


def dead_end(fault: str) -> list[Finding]:
    """A server that says itself why it cannot answer."""
    said = (Evidence("fault", fault, "worker status"),)
    return [
        Finding("engine.accepts_model", "engine", Status.FAIL, said, "refused"),
        Finding("api.ready", "api", Status.FAIL, said, "503"),
    ]


def test_what_the_program_names_comes_before_what_words_suggest() -> None:
    case = case_of("页面能打开，但是一直没有回答，提示模型加载失败")
    case.take(dead_end("model-path-missing"))
    first = line_up(case).suspects[0]
    assert (first.id, first.is_seen) == ("model-path-missing", True)
    assert first.p >= 0.6


def test_a_cited_line_comes_before_what_else_is_wrong_here() -> None:
    case = case_of("it stops\n\nOSError: [Errno 28] No space left on device: '/data/x'")
    case.take(dead_end("model-path-missing"))
    ids = [suspect.id for suspect in line_up(case).suspects]
    assert ids[0] == "disk-full"
    assert "model-path-missing" in ids
