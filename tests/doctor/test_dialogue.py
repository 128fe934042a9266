"""The dialogue on machines that are well, unwell, and out of reach; with people of all kinds."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwell.doctor.case import Said
from qwell.doctor.case_file import CaseFolder
from qwell.doctor.checks import CHECKS
from qwell.doctor.dialogue import MAX_TURNS, choices_now, recover, refusal
from qwell.doctor.finding import Evidence, Finding, Status
from qwell.doctor.scene import title_of


def _people() -> ModuleType:
    """Test folders are no packages."""
    if "people" not in sys.modules:
        spec = importlib.util.spec_from_file_location("people", Path(__file__).parent / "people.py")
        assert spec
        assert spec.loader
        sys.modules["people"] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["people"]


people: Any = _people()
DEAD = "engine.worker"
ENDS = ("done", "error")


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def last(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = people.of_type(events, kind)[-1]
    return found


# ---- what is done for the person


def test_from_a_complaint_to_a_verified_fix_and_back(tmp_path: Path) -> None:
    ward = people.Ward({DEAD: people.sick(DEAD, "ended")}, cures="restart-the-worker")
    talk = people.Talk.in_folder(tmp_path, ward)
    events = talk.send(text="no answers any more, the worker is dead")
    assert talk.state == "awaiting_consent", types(events)
    assert types(events)[:3] == ["case", "heard", "say"]
    assert ward.treated == []
    diagnosis, remedy = last(events, "diagnosis"), last(events, "remedy")
    assert diagnosis["seen"]
    assert remedy["needs_consent"]
    ward.cures = remedy["remedy"]

    events = talk.send(consent=remedy["remedy"])
    assert ward.treated == [remedy["remedy"]]
    assert last(events, "treated")["result"] == "fixed"
    statuses = {e["check"]: e["status"] for e in people.of_type(events, "verify")}
    assert set(statuses.values()) == {"pass"}
    assert "api.terminal_event" in statuses  # a real conversation went through
    end = events[-1]
    assert (end["state"], end["final"], end["verified_by"]) == ("fixed", True, "checks")

    talk.send(choice="undo")
    assert ward.taken_back == [remedy["remedy"]]
    assert talk.state == "handed_over"


def test_what_does_not_help_leads_on_and_ends(tmp_path: Path) -> None:
    ward = people.Ward({DEAD: people.sick(DEAD)}, cures="no such remedy")
    talk = people.Talk.in_folder(tmp_path, ward)
    events = talk.send(text="the worker died")
    for _ in range(MAX_TURNS + 1):
        if talk.file.case.is_final:
            break
        events = talk.send(**_keen(events, talk))
    assert talk.state == "handed_over"
    assert last(events, "handover")["bundle"].endswith("/bundle")
    assert len(ward.treated) == len(set(ward.treated))  # nothing twice


def _keen(events: list[dict[str, Any]], talk: Any) -> dict[str, Any]:
    """Agrees to everything, and nothing helps."""
    if talk.state == "awaiting_consent":
        return {"consent": last(events, "remedy")["remedy"]}
    return {"choice": "still_broken" if talk.state == "watching" else "unsure_or_first"} | (
        {"choice": last(events, "ask")["choices"][-1]["id"]} if talk.state == "asking" else {}
    )


def test_nothing_is_done_without_a_press(tmp_path: Path) -> None:
    ward = people.Ward({DEAD: people.sick(DEAD)})
    talk = people.Talk.in_folder(tmp_path, ward)
    events = talk.send(text="the worker died")
    remedy = last(events, "remedy")["remedy"]
    assert refusal(talk.file.case, Said(consent="another-remedy")) is not None
    assert refusal(talk.file.case, Said(choice="works")) is not None
    assert refusal(talk.file.case, Said(consent=remedy)) is None
    talk.send(choice="decline")
    assert ward.treated == []
    assert remedy in {trial.remedy for trial in talk.file.case.trials}


# ---- what a person has to do


def disk_full() -> tuple[Any, Any]:
    name = "host.disk_space"
    return name, people.Ward({name: people.sick(name, "full")}, cures="none")


def manual_talk(tmp_path: Path) -> tuple[str, Any, Any]:
    """Up to a remedy that only a person can carry out, for a fault that a check sees."""
    name, ward = disk_full()
    talk = people.Talk.in_folder(tmp_path, ward)
    talk.send(text="No space left on device, nothing can be saved")
    for _ in range(4):
        if talk.state != "awaiting_consent":
            break
        talk.send(choice="decline")
    assert talk.state == "watching"
    return name, ward, talk


def test_the_check_turns_green_while_it_is_watched(tmp_path: Path) -> None:
    _, ward, talk = manual_talk(tmp_path)
    talk.patience = people.Patience(look_s=0.0001, watch_s=1.0)
    looks = 0

    def cleans_up() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            ward.failing.clear()

    ward.on_look = cleans_up
    events = talk.send(choice="watch")
    seen = [e["status"] for e in people.of_type(events, "verify") if e["check"].startswith("host")]
    assert seen == ["fail", "pass"]
    assert talk.state == "fixed"
    assert events[-1]["verified_by"] == "checks"


def test_a_watch_gives_way(tmp_path: Path) -> None:
    _, ward, talk = manual_talk(tmp_path)
    talk.patience = people.Patience(look_s=30.0, watch_s=3000.0)
    stop: list[Any] = []
    ward.on_look = lambda: [scene.set() for scene in stop]
    events: list[dict[str, Any]] = []
    scene = people.Scene(talk.file, ward, events.append, patience=talk.patience)
    stop.append(scene.cancelled)
    people.Dialogue(scene).turn(Said(choice="watch"))
    assert events[-1]["state"] == "watching"


def test_a_claim_is_checked_and_a_second_one_believed(tmp_path: Path) -> None:
    _, _, talk = manual_talk(tmp_path)
    events = talk.send(choice="works")
    assert talk.state == "watching"
    assert last(events, "say")["key"] == "still_wrong"
    talk.send(text="it works now")
    assert talk.state == "fixed"
    assert talk.file.case.verified_by == "person"


def test_where_no_check_sees_it_the_person_decides(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    talk.send(text="Behind nginx the streamed reply only shows up after every token was generated")
    assert talk.state == "watching"
    events = talk.send(text="好了")
    assert events[-1]["verified_by"] == "person"


def test_it_comes_back(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    talk.send(text="Behind nginx the streamed reply only shows up after every token was generated")
    first = talk.file.case.fault
    talk.send(choice="works")
    talk.send(text="it came back: again everything arrives at once")
    assert talk.state != "fixed"
    assert first == "proxy-buffering"


# ---- questions


def test_words_that_are_no_answer_are_asked_about_once_more(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    events = talk.send(text="It is slow")
    for _ in range(6):
        if talk.state != "asking" or last(events, "ask")["question"].startswith(("is:", "closest")):
            break
        events = talk.send(choice=last(events, "ask")["choices"][0]["id"])
    assert talk.state == "asking"
    asked = last(events, "ask")["question"]
    again = talk.send(text="hmm, well")
    assert last(again, "ask")["question"] == asked
    assert last(again, "say")["key"] == "again_question"
    third = talk.send(text="hmm, well")
    assert not people.of_type(third, "ask") or last(third, "ask")["question"] != asked


def test_an_ordinary_question_is_no_fault(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away(), "zh")
    events = talk.send(text="什么是跨域？")
    assert talk.state == "no_fault"
    assert last(events, "say")["key"] == "ordinary"


def test_harmless_messages_are_explained(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    case = next(c for c in people.cases_of("dev") if c["fault"] == "none" and c["log"])
    events = talk.send(text=f"{case['symptom']}\n\n{case['log']}")
    assert talk.state == "no_fault"
    assert last(events, "say")["key"] in ("harmless", "healthy", "ordinary")


def test_lines_are_cited_in_the_message_that_they_came_with(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    talk.send(text="It does not start.\nI do not know more.")
    assert last(talk.heard, "ask")["question"] == "log"
    line = "OSError: [Errno 28] No space left on device: '/data/model.part'"
    events = talk.send(text=f"INFO: start\n{line}")
    (cited,) = last(events, "evidence")["lines"]
    assert (cited["part"], cited["line_in_part"], cited["text"]) == (1, 2, line)
    assert talk.file.case.text.split("\n")[cited["line"] - 1] == line


def test_checks_that_pass_here_do_not_refute_a_pasted_log(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Ward({}))
    events = talk.send(text="it fails\n\nOSError: [Errno 28] No space left on device: '/data/x'")
    assert last(events, "diagnosis")["fault"]["id"] == "disk-full"
    assert "elsewhere" in [e["key"] for e in people.of_type(events, "say")]


# ---- it ends, and nothing is lost


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_answered_it_ends(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Every turn has one end, numbers have no gap, and some turn is the last."""
    texts = st.sampled_from(
        ["it is slow", "页面打不开", "no", "是", "2", "blank page, error 502 from nginx", "??",
         "Traceback (most recent call last):\nOSError: [Errno 28] No space left on device"]
    )  # fmt: skip
    sick = data.draw(st.sets(st.sampled_from([DEAD, "host.disk_space", "engine.threads"])))
    clinic = people.Ward({name: people.sick(name) for name in sick}, cures="rotate-logs")
    talk = people.Talk.in_folder(tmp_path_factory.mktemp("case"), clinic)
    events = talk.send(text=data.draw(texts))
    n_turns = 1
    while not talk.file.case.is_final:
        assert n_turns <= 2 * MAX_TURNS + 50, talk.file.case
        case = talk.file.case
        options: list[dict[str, Any]] = [{"choice": c} for c in choices_now(case)]
        options += [{"consent": case.remedy}] if talk.state == "awaiting_consent" else []
        said = data.draw(st.one_of(st.sampled_from(options), texts.map(lambda t: {"text": t})))
        events = talk.send(**said)
        n_turns += 1
        assert [t for t in types(events) if t in ENDS] == [types(events)[-1]]
        assert events[-1]["type"] == "done", events[-1]
    assert [event["seq"] for event in talk.heard] == list(range(len(talk.heard)))
    assert talk.file.case.turns <= MAX_TURNS + 1


def test_a_case_survives_the_end_of_the_program(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    talk.send(text="It does not start")
    reopened = CaseFolder(tmp_path).get(talk.file.case.id)
    assert reopened is not None
    assert reopened.case == talk.file.case
    assert reopened.events == talk.file.events
    again = people.Talk(reopened, people.Away())
    again.send(text="INFO: x\nOSError: [Errno 28] No space left on device: '/data/x'")
    assert reopened.case.fault == "disk-full"


def test_a_turn_that_a_crash_cut_off_can_be_sent_again(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    talk.send(text="It does not start")
    talk.file.add("case", {"case": talk.file.case.id})
    with talk.file.path.open("a", encoding="utf-8") as file:
        file.write('\n{"event": {"seq": 99, "ty')
    reopened = CaseFolder(tmp_path).get(talk.file.case.id)
    assert reopened is not None
    recover(reopened)
    assert reopened.events[-1]["code"] == "case-interrupted"
    assert reopened.case.state == "asking"
    recover(reopened)
    assert types(reopened.events).count("error") == 1
    again = people.Talk(reopened, people.Away())
    again.send(choice="no_log")
    third = CaseFolder(tmp_path).get(talk.file.case.id)
    assert third is not None
    assert third.events == reopened.events


def test_a_check_that_breaks_the_turn_ends_it_with_an_error(tmp_path: Path) -> None:
    def breaks() -> None:
        raise RuntimeError("the machine is on fire")

    talk = people.Talk.in_folder(tmp_path, people.Ward({}, on_look=breaks))
    events = talk.send(text="it is slow")
    assert events[-1]["type"] == "error"
    assert "on fire" in events[-1]["cause"]
    assert [t for t in types(events) if t in ENDS] == ["error"]


def test_a_full_disk_does_not_silence_it(tmp_path: Path) -> None:
    (tmp_path / "support").write_text("a file where the folder should be")
    talk = people.Talk.in_folder(tmp_path, people.Away())
    talk.send(text="It does not start")
    events = talk.send(choice="no_log")
    assert last(events, "case")["saved"] is False
    assert events[-1]["type"] == "done"


def test_secrets_do_not_reach_the_disk(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    talk.send(text="HF_TOKEN=hf_abcdefghijklmnopqrstuvwx does not work, login fails")
    assert "hf_abcdefghij" not in talk.file.path.read_text(encoding="utf-8")
    assert "hf_abcdefghij" not in json.dumps(talk.heard)


def test_cases_are_listed_bounded_and_forgotten(tmp_path: Path) -> None:
    folder = CaseFolder(tmp_path)
    talk = people.Talk(folder.new("en", "conversation-1"), people.Away())
    talk.send(text="It does not start")
    (brief,) = [case.brief() for case in folder.newest_first()]
    assert (brief["title"], brief["conversation"]) == ("It does not start", "conversation-1")
    assert folder.get("../../etc/passwd") is None
    assert folder.forget(talk.file.case.id)
    assert CaseFolder(tmp_path).newest_first() == []


# ---- what is written for every check and every question


def test_every_check_has_a_title_in_chinese() -> None:
    for check in CHECKS:
        title = title_of(check.id)
        assert title.zh != title.en, check.id
        assert any("\u4e00" <= c <= "\u9fff" for c in title.zh), check.id


def test_questions_that_are_answered_with_yes_when_it_is_not_it_are_known() -> None:
    from qwell.doctor.catalogue import load
    from qwell.doctor.question_bank import NOT_YES_OR_NO, YES_SPEAKS_AGAINST

    asking = {fault.id for fault in load().faults.values() if fault.ask}
    assert asking >= YES_SPEAKS_AGAINST
    assert asking >= NOT_YES_OR_NO


def test_what_a_check_brings_up_is_looked_at_closer(tmp_path: Path) -> None:
    said = (Evidence("fault", "model-path-missing", "worker status"),)
    refused = Finding("engine.accepts_model", "engine", Status.FAIL, said, "no such path")
    ward = people.Ward({refused.check: refused, "model.path": people.sick("model.path")})
    talk = people.Talk.in_folder(tmp_path, ward)
    events = talk.send(text="the page opens, but there is no answer")
    found = last(events, "diagnosis")
    assert (found["fault"]["id"], found["seen"]) == ("model-path-missing", True)
    assert "model.path" in {event["check"] for event in people.of_type(events, "check")}
    assert last(events, "say")["key"] == "manual"  # and the check will turn green


LOG_OF_A_LOST_MOUNT = """\
The page is blank: ERR_CONNECTION_REFUSED

OSError: Can't load the configuration of './model'. Make sure './model' is the correct path to a \
directory containing a config.json file
"""


def test_an_empty_folder_comes_before_the_file_that_is_missing_in_it(tmp_path: Path) -> None:
    """The log shows the effect; the server and a check see its cause."""
    said = (Evidence("fault", "model-dir-not-mounted", "worker status"),)
    refused = Finding("engine.accepts_model", "engine", Status.FAIL, said, "an empty directory")
    at = (Evidence("url", "http://127.0.0.1:18123", "GET /health"),)
    reached = Finding("api.server", "api", Status.PASS, at)
    empty = people.sick("container.model_mounted", "the folder is empty")
    ward = people.Ward({finding.check: finding for finding in (refused, reached, empty)})
    talk = people.Talk.in_folder(tmp_path, ward)
    events = talk.send(text=LOG_OF_A_LOST_MOUNT)
    found, remedy = last(events, "diagnosis"), last(events, "remedy")
    assert (found["fault"]["id"], found["seen"]) == ("model-dir-not-mounted", True)
    assert any("config.json" in line["text"] for line in last(events, "evidence")["lines"])
    assert (remedy["safety"], talk.state) == ("manual", "watching")
    assert "-p 18123:8000" in remedy["commands"][0]  # where the server really is


def test_without_a_server_the_machine_itself_says_what_keeps_it_from_starting(
    tmp_path: Path,
) -> None:
    """The words alone point elsewhere: to the name that a request gives."""
    absent = people.sick("api.server", "no server runs at http://127.0.0.1:1", Status.SKIP)
    empty = people.sick("container.model_mounted", "the folder is empty")
    ward = people.Ward({finding.check: finding for finding in (absent, empty)})
    talk = people.Talk.in_folder(tmp_path, ward)
    found = last(talk.send(text="the page says the model is not found"), "diagnosis")
    assert (found["fault"]["id"], found["seen"]) == ("model-dir-not-mounted", True)


def test_a_folder_that_is_filled_is_no_fix_until_the_server_is_ready(tmp_path: Path) -> None:
    said = (Evidence("fault", "model-dir-not-mounted", "GET /ready"),)
    unready = Finding("api.ready", "api", Status.FAIL, said, "not ready")
    empty = people.sick("container.model_mounted", "the folder is empty")
    ward = people.Ward({finding.check: finding for finding in (empty, unready)})
    talk = people.Talk.in_folder(tmp_path, ward)
    talk.patience = people.Patience(look_s=0.001, watch_s=0.01)
    talk.send(text=LOG_OF_A_LOST_MOUNT)
    del ward.failing[empty.check]
    talk.send(choice="watch")
    assert talk.state == "watching"  # nobody could have a conversation yet
    del ward.failing[unready.check]
    events = talk.send(choice="watch")
    assert (talk.state, events[-1]["verified_by"]) == ("fixed", "checks")


def test_a_log_alone_is_about_what_it_shows(tmp_path: Path) -> None:
    events = people.Talk.in_folder(tmp_path, people.Away()).send(text=LOG_OF_A_LOST_MOUNT)
    assert last(events, "diagnosis")["fault"]["id"] == "config-json-missing"


def test_findings_of_the_page_join(tmp_path: Path) -> None:
    talk = people.Talk.in_folder(tmp_path, people.Away())
    found = people.sick("browser.cors", "blocked", Status.FAIL)
    events = talk.send(findings=(found,))
    assert last(events, "diagnosis")["fault"]["id"] == "cors-blocked"


def test_where_two_faults_show_alike_the_words_choose(tmp_path: Path) -> None:
    pacing = "browser.stream_pacing"
    for text, fault in (
        ("behind nginx the streamed answer comes all at once at the end", "proxy-buffering"),
        ("since gzip compression is on, server-sent events stop working", "gzip-buffers-stream"),
    ):
        ward = people.Ward({pacing: people.sick(pacing, "the stream arrives in one piece")})
        talk = people.Talk.in_folder(tmp_path, ward)
        diagnosis = last(talk.send(text=text), "diagnosis")
        assert (diagnosis["fault"]["id"], diagnosis["seen"]) == (fault, True)
