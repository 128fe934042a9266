"""When a fault counts as fixed: a skipped check proves nothing; a mended model is loaded again."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qwell.doctor.actions import Impossible
from qwell.doctor.finding import Evidence, Finding, Status


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
CHAT, DEAD, LOADS = "api.terminal_event", "engine.worker", "engine.accepts_model"
MOUNTED = "container.model_mounted"
UNTRIED = people.sick(CHAT, "no server runs here", Status.SKIP)


def said(events: list[dict[str, Any]]) -> list[str]:
    return [event["key"] for event in people.of_type(events, "say")]


# ---- the conversation that proves it


def treated_without_a_server(tmp_path: Path) -> tuple[Any, Any]:
    """Our remedy has helped; whether the server can chat cannot be seen."""
    ward = people.Ward({DEAD: people.sick(DEAD), CHAT: UNTRIED}, cures="restart-the-worker")
    talk = people.Talk.in_folder(tmp_path, ward)
    talk.send(text="no answers any more, the worker is dead")
    ward.cures = talk.file.case.remedy
    return ward, talk


def test_without_a_conversation_nothing_is_called_fixed(tmp_path: Path) -> None:
    ward, talk = treated_without_a_server(tmp_path)
    events = talk.send(consent=ward.cures)
    assert talk.state == "watching"
    assert said(events)[-1] == "chat_untried"
    assert talk.file.case.verified_by == ""


def test_the_conversation_may_come_later(tmp_path: Path) -> None:
    ward, talk = treated_without_a_server(tmp_path)
    talk.send(consent=ward.cures)
    ward.failing.clear()
    events = talk.send(choice="works")
    assert (talk.state, events[-1]["verified_by"]) == ("fixed", "checks")


def test_the_persons_word_is_noted_as_theirs(tmp_path: Path) -> None:
    ward, talk = treated_without_a_server(tmp_path)
    talk.send(consent=ward.cures)
    events = talk.send(choice="works")
    assert (talk.state, events[-1]["verified_by"]) == ("fixed", "person")


def test_a_conversation_that_fails_is_no_cure(tmp_path: Path) -> None:
    ward, talk = treated_without_a_server(tmp_path)
    ward.failing[CHAT] = people.sick(CHAT, "the answer failed")
    events = talk.send(consent=ward.cures)
    assert "still_wrong" in said(events)
    assert talk.state != "fixed"


@pytest.mark.parametrize("status", [Status.SKIP, Status.ERROR])
def test_a_watch_goes_on_until_there_is_a_conversation(tmp_path: Path, status: Status) -> None:
    refused = server_that_refuses("model-dir-not-mounted")
    refused.failing[CHAT] = people.sick(CHAT, "the model is still loading", status)
    talk = people.Talk.in_folder(tmp_path, refused)
    talk.send(text="the page says that there is no model")
    assert talk.state == "watching"
    talk.patience = people.Patience(look_s=0.0001, watch_s=0.002)
    refused.failing = {CHAT: refused.failing[CHAT]}
    talk.send(choice="watch")
    assert talk.state == "watching"
    refused.failing.clear()
    events = talk.send(choice="watch")
    assert (talk.state, events[-1]["verified_by"]) == ("fixed", "checks")


# ---- a model that is mended while the server runs


def server_that_refuses(fault: str) -> Any:
    """Up, and without a model: its folder is empty, and it says which fault that is."""
    named = (Evidence("fault", fault, "worker status"),)
    refusal = Finding(LOADS, "engine", Status.FAIL, named, "the worker could not load")
    return people.Ward({LOADS: refusal, MOUNTED: people.sick(MOUNTED, "the folder is empty")})


@dataclass
class Folder:
    """Of the server's model; filled: what loading it again comes to."""

    talk: Any
    ward: Any

    @classmethod
    def empty(cls, tmp_path: Path) -> Folder:
        ward = server_that_refuses("model-dir-not-mounted")
        talk = people.Talk.in_folder(tmp_path, ward)
        talk.patience = people.Patience(look_s=0.0001, watch_s=0.002, reload_look_s=0.0001)
        talk.send(text="the page says that there is no model")
        assert talk.file.case.fault == "model-dir-not-mounted"
        assert talk.state == "watching"
        return cls(talk, ward)


def test_done_and_load_again_turns_green(tmp_path: Path) -> None:
    folder = Folder.empty(tmp_path)
    assert "retry" in folder.talk.file.case.question.choice_ids
    folder.ward.on_reload = folder.ward.failing.clear
    events = folder.talk.send(choice="retry")
    assert said(events)[0] == "reloading"
    assert (folder.talk.state, events[-1]["verified_by"]) == ("fixed", "checks")


def test_loading_again_may_bring_up_the_next_trouble(tmp_path: Path) -> None:
    folder = Folder.empty(tmp_path)

    def mount_half_a_model() -> None:
        folder.ward.failing = dict(server_that_refuses("tokenizer-missing").failing)
        del folder.ward.failing[MOUNTED]

    folder.ward.on_reload = mount_half_a_model
    events = folder.talk.send(choice="retry")
    assert "another" in said(events)
    assert people.of_type(events, "diagnosis")[-1]["fault"]["id"] == "tokenizer-missing"


def test_who_only_watches_is_led_to_the_next_trouble_too(tmp_path: Path) -> None:
    folder = Folder.empty(tmp_path)
    folder.ward.failing = dict(server_that_refuses("weights-truncated").failing)
    del folder.ward.failing[MOUNTED]
    events = folder.talk.send(choice="watch")
    assert people.of_type(events, "diagnosis")[-1]["fault"]["id"] == "weights-truncated"


def test_loading_again_without_effect_keeps_waiting(tmp_path: Path) -> None:
    folder = Folder.empty(tmp_path)
    events = folder.talk.send(choice="retry")
    assert "still_wrong" in said(events)
    assert folder.talk.state == "watching"


def test_where_no_server_is_led_it_says_so(tmp_path: Path) -> None:
    folder = Folder.empty(tmp_path)

    def refuse() -> None:
        raise Impossible("no server runs: start it with `qwell serve`")

    folder.ward.on_reload = refuse
    events = folder.talk.send(choice="retry")
    assert "cannot_reload" in said(events)
    assert folder.talk.state == "watching"


# ---- what only the page sees, and tells late

PACING = "browser.stream_pacing"


def told_in_words(tmp_path: Path) -> tuple[Any, Any]:
    """The page has not told yet what it measures."""
    ward = people.Ward({PACING: people.sick(PACING, "the page has not told", Status.SKIP)})
    talk = people.Talk.in_folder(tmp_path, ward)
    talk.patience = people.Patience(look_s=0.0001, watch_s=0.002)
    talk.send(text="behind nginx the streamed answer comes all at once at the end")
    assert (talk.file.case.fault, talk.state) == ("proxy-buffering", "watching")
    return ward, talk


def test_a_late_measurement_of_the_page_is_awaited(tmp_path: Path) -> None:
    ward, talk = told_in_words(tmp_path)
    ward.failing[PACING] = people.sick(PACING, "the stream arrives in one piece")
    talk.send(choice="watch")
    assert (talk.state, talk.file.case.awaited) == ("watching", [PACING])
    ward.failing.clear()
    events = talk.send(choice="watch")
    assert (talk.state, events[-1]["verified_by"]) == ("fixed", "checks")


def test_what_was_never_seen_wrong_proves_nothing(tmp_path: Path) -> None:
    ward, talk = told_in_words(tmp_path)
    ward.failing.clear()
    talk.send(choice="watch")
    assert talk.state == "watching"


def test_what_came_back_by_itself_is_not_restarted(tmp_path: Path) -> None:
    stable = "engine.stable"
    ward = people.Ward({stable: people.sick(stable, "ended a moment ago", Status.WARN)})
    talk = people.Talk.in_folder(tmp_path, ward)
    talk.patience = people.Patience(look_s=0.0001, watch_s=0.002)
    events = talk.send(text="the worker crashed in the middle of an answer")
    assert (talk.file.case.fault, talk.state) == ("worker-crashed", "watching")
    assert "came_back" in [event["key"] for event in people.of_type(events, "say")]
    assert people.of_type(events, "remedy") == []
    ward.failing.clear()
    talk.send(choice="watch")
    assert (talk.state, ward.treated) == ("fixed", [])


def test_commands_name_what_the_check_has_measured(tmp_path: Path) -> None:
    measured = (Evidence("threads", 16, "cpu.max"), Evidence("cpus", 2, "cpu.max"))
    seen = Finding("engine.threads", "engine", Status.FAIL, measured, "more threads than CPUs")
    talk = people.Talk.in_folder(tmp_path, people.Ward({seen.check: seen}))
    events = talk.send(text="more threads than cores: inference crawls")
    remedy = people.of_type(events, "remedy")[-1]
    assert remedy["remedy"] == "threads-to-quota"
    assert "qwell serve --threads 2" in remedy["commands"]
