"""The support dialogue over HTTP, offers in the chat, and the model as its writer."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from qwell.core import Delta, Done, Failed
from qwell.doctor.case import Said
from qwell.doctor.checks import CHECKS
from qwell.doctor.fault import Fault, Remedy
from qwell.doctor.finding import Finding, Status
from qwell.doctor.treat import Treatment
from qwell.server import support_room
from qwell.server.support_writer import WorkerWriter

pytestmark = pytest.mark.anyio
DEAD = "engine.worker"
LOG = "it stops\n\nOSError: [Errno 28] No space left on device: '/data/model.part'"


class Ward:
    """Instead of this machine: the worker is dead until it is treated."""

    has_patient = True
    is_dead = True
    gate: threading.Event | None = None

    def __init__(self, *_: Any) -> None:
        pass

    def examine(self, names: Sequence[str], watch: Callable[[Finding], None]) -> list[Finding]:
        if Ward.gate is not None:
            Ward.gate.wait(20)
        found = [self._finding(name) for name in names]
        for finding in found:
            watch(finding)
        return found

    def _finding(self, name: str) -> Finding:
        is_dead = name == DEAD and Ward.is_dead
        status = Status.FAIL if is_dead else Status.PASS
        return Finding(name, CHECKS[name].layer, status, (), "ended" if is_dead else "")

    def treat(self, fault: Fault, remedy: Remedy) -> Treatment:
        Ward.is_dead = False
        found = tuple(self._finding(name) for name in fault.verify)
        return Treatment(fault.id, remedy.id, "fixed", "", found)

    def can_undo(self, remedy: str) -> bool:
        return False

    def reload(self) -> None:
        raise AssertionError("nothing failed to load")

    def undo(self, remedy: str) -> bool:
        return False


@pytest.fixture
def ward(monkeypatch: pytest.MonkeyPatch) -> type[Ward]:
    monkeypatch.setattr(support_room, "ServerClinic", Ward)
    Ward.is_dead, Ward.gate = True, None
    return Ward


@pytest.fixture
def app(make_app: Callable[..., FastAPI], ward: type[Ward]) -> FastAPI:
    return make_app()


@pytest.fixture
def client(app: FastAPI, client_of: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of(app)


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


async def turn(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    answer = await client.post("/api/support", json=body)
    assert answer.status_code == 200, answer.text
    return events_of(answer.text)


def last(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return [event for event in events if event["type"] == kind][-1]


async def test_from_words_to_a_verified_fix(client: httpx.AsyncClient) -> None:
    events = await turn(client, text="工作进程死了，没有回答")
    case = events[0]["case"]
    assert [e["type"] for e in events][:3] == ["case", "heard", "say"]
    assert events[-1]["state"] == "awaiting_consent"
    events = await turn(client, case=case, consent=last(events, "remedy")["remedy"])
    assert (events[-1]["state"], events[-1]["verified_by"]) == ("fixed", "checks")
    whole = (await client.get(f"/api/support/{case}")).json()
    assert [e["seq"] for e in whole["events"]] == list(range(whole["next"]))
    assert (whole["state"], whole["running"], whole["lang"]) == ("fixed", False, "zh")


async def test_each_turn_is_read_again_by_its_numbers(client: httpx.AsyncClient) -> None:
    events = await turn(client, text=LOG)
    case, n = events[0]["case"], len(events)
    path = f"/api/support/{case}/events"
    sse = {"accept": "text/event-stream"}
    assert events_of((await client.get(f"{path}?from=3", headers=sse)).text) == events[3:]
    assert (
        events_of((await client.get(path, headers=sse | {"last-event-id": "3"})).text)
        == (events[4:])
    )
    page = (await client.get(f"{path}?from=2")).json()
    assert (page["events"], page["next"], page["ended"]) == (events[2:], n, True)
    page = (await client.get(f"{path}?from={n}")).json()
    assert (page["events"], page["ended"]) == ([], True)


async def test_a_turn_goes_on_without_a_reader(client: httpx.AsyncClient, app: FastAPI) -> None:
    Ward.gate = threading.Event()
    room = app.state.support
    file, start = await room.begin(Said("the worker is dead"), "", "en", "")
    case = file.case.id
    assert (await client.get(f"/api/support/{case}")).json()["running"]
    busy = await client.post("/api/support", json={"case": case, "text": "and now?"})
    assert (busy.status_code, busy.json()["type"]) == (409, "/faults/case-busy")
    assert (await client.delete(f"/api/support/{case}")).status_code == 409
    follower = asyncio.create_task(
        client.get(f"/api/support/{case}/events", headers={"accept": "text/event-stream"})
    )
    await asyncio.sleep(0)
    Ward.gate.set()
    events = events_of((await follower).text)
    assert events[-1]["type"] == "done"
    assert start == 0


async def test_a_case_survives_a_restart(
    client: httpx.AsyncClient, make_app: Any, client_of: Any
) -> None:
    events = await turn(client, text="It does not start", conversation="c-1")
    case = events[0]["case"]
    other = client_of(make_app())
    assert (await other.get(f"/api/support/{case}")).json()["events"] == events
    listed = (await other.get("/api/support?conversation=c-1")).json()["cases"]
    assert [(c["case"], c["title"]) for c in listed] == [(case, "It does not start")]
    assert (await other.get("/api/support?conversation=c-2")).json()["cases"] == []


async def test_words_to_an_ended_case_open_a_new_one(client: httpx.AsyncClient) -> None:
    Ward.is_dead = False
    events = await turn(client, text="什么是跨域？", conversation="c-1")
    assert events[-1]["state"] == "no_fault"
    again = await turn(client, case=events[0]["case"], text=LOG)
    assert again[0]["case"] != events[0]["case"]
    assert len((await client.get("/api/support?conversation=c-1")).json()["cases"]) == 2


async def test_the_bundle_has_the_case_and_no_secret(client: httpx.AsyncClient) -> None:
    secret = "hf_abcdefghijklmnopqrstuvwx"
    events = await turn(client, text=f"token {secret} does not work\n{LOG}")
    answer = await client.get(f"/api/support/{events[0]['case']}/bundle")
    body = answer.json()
    assert body["case"]["case"] == events[0]["case"]
    assert body["findings"]
    assert "attachment" in answer.headers["content-disposition"]
    assert secret not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "  "},
        {"request_id": "unknown"},
        {"text": "x", "lang": "fr"},
        {"text": "x", "case": "../x"},
        {"text": "x", "unknown": 1},
        {"choice": "yes"},
        {"consent": "restart-worker"},
    ],
)
async def test_what_cannot_be_a_turn_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    answer = await client.post("/api/support", json=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "/faults/invalid-request-body")


async def test_unknown_cases(client: httpx.AsyncClient) -> None:
    for path in ("", "/events", "/bundle"):
        answer = await client.get(f"/api/support/no-such{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "/faults/case-unknown")
    assert (await client.delete("/api/support/no-such")).status_code == 404
    answer = await client.post("/api/support", json={"case": "no-such", "text": "x"})
    assert answer.status_code == 404


async def test_a_case_is_forgotten(client: httpx.AsyncClient) -> None:
    case = (await turn(client, text="It does not start"))[0]["case"]
    assert (await client.delete(f"/api/support/{case}")).status_code == 204
    assert (await client.get(f"/api/support/{case}")).status_code == 404


async def test_strangers_may_ask_but_not_agree(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as stranger:
        events = await turn(stranger, text="the worker is dead")
        body = {"case": events[0]["case"], "consent": last(events, "remedy")["remedy"]}
        answer = await stranger.post("/api/support", json=body)
        foreign = await stranger.post(
            "/api/support", json={"text": "x"}, headers={"origin": "http://evil.example"}
        )
    assert answer.status_code == 401
    assert Ward.is_dead
    assert foreign.status_code == 403


async def test_an_error_card_brings_its_evidence(
    client: httpx.AsyncClient, worker: Any, question: Any
) -> None:
    Ward.is_dead = False
    worker.script = (Failed(code="disk-full", cause="no space for the cache", fix="make room"),)
    failed = events_of((await client.post("/api/chat", json=question)).text)[-1]
    assert (failed["code"], bool(failed["request_id"])) == ("disk-full", True)
    events = await turn(client, fault=failed["code"], request_id=failed["request_id"])
    found = last(events, "diagnosis")
    assert found["fault"]["id"] == "disk-full"
    assert "no space for the cache" in json.dumps(found["fault"]["evidence"])


async def test_a_log_that_nobody_pasted_is_told_as_the_server_s_own(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        support_room.SupportRoom, "_lines_of", lambda _room, request_id: f"{request_id} died"
    )
    events = await turn(client, fault="worker-crashed", request_id="r1")
    assert (events[1]["own_log"], events[1]["text"]) == (True, "r1 died")
    assert events[2]["key"] == "opening_own_log"
    events = await turn(client, text="it broke", request_id="r1")
    assert events[1]["own_log"] is False


async def test_findings_of_the_page_become_evidence(client: httpx.AsyncClient) -> None:
    Ward.is_dead = False
    found = {"check": "browser.cors", "status": "fail", "evidence": [], "because": "blocked"}
    events = await turn(client, findings=[found], lang="zh")
    assert last(events, "diagnosis")["fault"]["id"] == "cors-blocked"


async def test_a_page_that_watches_gives_way(client: httpx.AsyncClient, app: FastAPI) -> None:
    events = await turn(client, text="the worker is dead")
    case = events[0]["case"]
    for _ in range(6):
        if events[-1]["state"] == "watching":
            break
        events = await turn(client, case=case, choice="decline")
    if events[-1]["state"] != "watching":
        pytest.fail(f"nothing was left to the person: {events[-1]}")
    file, start = await app.state.support.begin(Said(choice="watch"), case, "en", "")
    events = await turn(client, case=case, choice="still_broken")
    watched = [e for e in file.events[start : events[0]["seq"]] if e["type"] == "done"]
    assert [e["state"] for e in watched] == ["watching"]
    assert events[-1]["type"] == "done"


# ---- offers


async def notices(client: httpx.AsyncClient, text: str) -> list[dict[str, Any]]:
    body = {"messages": [{"role": "user", "content": text}]}
    events = events_of((await client.post("/api/chat", json=body)).text)
    assert "".join(e["text"] for e in events if e["type"] == "delta") == "你好, world"
    return [e for e in events if e["type"] == "notice"]


async def test_a_log_gets_an_answer_and_an_offer(client: httpx.AsyncClient) -> None:
    (offer,) = await notices(client, LOG)
    assert offer["code"] == "diagnosis-offered"
    assert (offer["detail"]["kind"], offer["detail"]["faults"][0]) == ("log", "disk-full")
    assert offer["detail"]["request_id"]


async def test_ordinary_talk_gets_none(client: httpx.AsyncClient) -> None:
    assert await notices(client, "What is CORS?") == []


async def test_offers_are_switched_off(make_app: Any, client_of: Any) -> None:
    assert await notices(client_of(make_app(offer_diagnosis="off")), LOG) == []


async def test_an_offer_is_kept_with_its_answer(api: httpx.AsyncClient) -> None:
    body = {
        "messages": [{"role": "user", "content": LOG}],
        "conversation": "c1",
        "parent": None,
    }
    events = events_of((await api.post("/api/chat", json=body)).text)
    assert events[1]["code"] == "diagnosis-offered"
    stored = (await api.get("/api/conversations/c1/messages")).text
    assert "diagnosis-offered" in stored


# ---- the model as writer


async def written(worker: Any, script: Any) -> str:
    worker.script = script
    writer = WorkerWriter(asyncio.get_running_loop(), worker)
    return await asyncio.to_thread(writer.write, "the disk is full", "en")


async def test_the_model_writes_when_it_is_ready(worker: Any) -> None:
    assert await written(worker, (Delta("The disk "), Delta("is full."), Done("stop"))) == (
        "The disk is full."
    )
    (request,) = worker.requests
    assert request.max_tokens < 200
    assert request.sampling.temperature == 0


async def test_what_the_model_does_not_end_is_not_used(worker: Any) -> None:
    assert await written(worker, (Delta("The disk"), Done("length"))) == ""
    assert await written(worker, (Delta("The"), Failed(code="worker-crashed"))) == ""
    worker.status.phase = "loading"
    assert await written(worker, (Delta("The disk is full."), Done("stop"))) == ""


async def test_the_model_chooses_by_number_within_a_grammar(worker: Any) -> None:
    worker.script = (Delta('"2"'), Done("stop"))
    writer = WorkerWriter(asyncio.get_running_loop(), worker)
    assert await asyncio.to_thread(writer.choose, "nope", ["Yes", "No"]) == 1
    assert worker.requests[0].reply_schema == {"enum": ["0", "1", "2"]}
    worker.script = (Delta("the second"), Done("stop"))
    assert await asyncio.to_thread(writer.choose, "nope", ["Yes", "No"]) == -1


async def test_a_model_that_hangs_is_not_waited_for(
    worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwell.server import support_writer

    monkeypatch.setattr(support_writer, "DEADLINE_S", 0.05)
    assert await written(worker, (Delta("The disk"), worker.PAUSE, Done("stop"))) == ""


async def test_the_real_clinic_looks_at_this_machine(
    make_app: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    events = await turn(client_of(make_app(port=1)), text="the disk may be full")
    checked = {e["check"] for e in events if e["type"] == "check" and e["status"] != "running"}
    assert "host.disk_space" in checked
    assert events[-1]["type"] == "done"
