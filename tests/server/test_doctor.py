"""The doctor over HTTP, on the application without a port."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from qwell.doctor.finding import Finding, Registry, Status, failed, passed
from qwell.errors import QwellError

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(make_app: Callable[..., FastAPI], tmp_path: Path) -> FastAPI:
    return make_app(data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"))


@pytest.fixture
def client(app: FastAPI, client_of: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of(app)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Instead of the real ones: one that passes, one that fails."""
    from qwell.server import doctor

    made = Registry()
    made.check("host.clock", layer="host")(lambda _: passed())
    made.check("host.disk_space", layer="host")(lambda _: failed("full", path="/data"))
    monkeypatch.setattr(doctor, "CHECKS", made)
    return made


async def test_facts_hold_no_folder_and_no_key(
    make_app: Any, client_of: Any, worker: Any, tmp_path: Path
) -> None:
    worker.status.model["source"] = {"path": "/home/me/model.gguf"}
    app = make_app(data_dir=str(tmp_path), api_key="very-secret")
    answer = await client_of(app, authorization="Bearer very-secret").get("/api/doctor/facts")
    body = answer.json()
    assert body["name"] == "qwell"
    assert body["worker"]["model"]["name"] == "tiny-qwen"
    assert "very-secret" not in answer.text
    assert "/home/me" not in answer.text


async def test_facts_need_the_key(make_app: Any, client_of: Any, tmp_path: Path) -> None:
    app = make_app(data_dir=str(tmp_path), api_key="very-secret")
    assert (await client_of(app).get("/api/doctor/facts")).status_code == 401


@pytest.mark.usefixtures("checks")
async def test_an_examination(client: httpx.AsyncClient) -> None:
    body = (await client.post("/api/doctor", json={})).json()
    assert body["status"] == "broken"
    assert [(f["check"], f["status"]) for f in body["findings"]] == [
        ("host.clock", "pass"),
        ("host.disk_space", "fail"),
    ]
    assert body["diagnoses"][0]["id"] == "disk-full"
    assert set(body["diagnoses"][0]["title"]) == {"zh", "en"}


@pytest.mark.usefixtures("checks")
async def test_an_examination_check_by_check(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/doctor", json={"layers": ["host"]}, headers={"Accept": "text/event-stream"}
    )
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    events = [json.loads(line) for line in lines]
    assert [event["type"] for event in events] == ["finding", "finding", "report"]
    assert events[-1]["status"] == "broken"


@pytest.mark.parametrize(("spoken", "said"), [("zh-CN", "磁盘已满"), ("en", "the disk is full")])
async def test_reasons_come_in_the_language_of_who_asks(
    client: httpx.AsyncClient, app: FastAPI, spoken: str, said: str
) -> None:
    found = Finding("host.disk_space", "host", Status.FAIL, (), "the disk is full")
    app.state.doctor.incidents.upsert(found, "disk-full")
    answer = await client.get("/api/incidents", headers={"accept-language": spoken})
    assert answer.json()["incidents"][0]["because"] == said


async def test_what_the_page_found_joins_the_facts(client: httpx.AsyncClient) -> None:
    evidence = [{"key": "url", "value": "http://x" * 200}]
    found = {"check": "browser.cors", "status": "fail", "evidence": evidence}
    unknown = {"check": "browser.nonsense", "status": "fail"}
    wrong = {"check": "browser.script", "status": "sideways"}
    body = {"layers": ["dialogue"], "findings": [found, unknown, wrong]}
    assert (await client.post("/api/doctor", json=body)).status_code == 200
    (posted,) = (await client.get("/api/doctor/facts")).json()["posted"]
    assert posted["check"] == "browser.cors"
    assert len(posted["evidence"][0]["value"]) == 300


async def test_a_pasted_log(client: httpx.AsyncClient) -> None:
    text = "OSError: [Errno 28] No space left on device: '/data/model.part'"
    body = (await client.post("/api/diagnose", json={"text": text})).json()
    assert body["verdict"] == "fault"
    assert body["faults"][0]["id"] == "disk-full"


async def test_faults_by_name(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/api/faults")).json()["faults"]
    assert {"disk-full", "config-invalid"} <= {fault["id"] for fault in listed}
    one = (await client.get("/api/faults/disk-full")).json()
    assert one["remedies"]
    assert one["verify"] == ["host.disk_space"]
    unknown = await client.get("/api/faults/no-such")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/faults/fault-unknown")


async def test_the_page_of_a_fault_is_in_both_languages(client: httpx.AsyncClient) -> None:
    page = await client.get("/faults/disk-full")
    assert page.status_code == 200
    assert "磁盘已满" in page.text
    assert "Disk is full" in page.text
    assert "<script" not in page.text
    assert "disk-full" in (await client.get("/faults")).text


async def test_the_page_of_an_unknown_fault_is_no_hole(client: httpx.AsyncClient) -> None:
    page = await client.get("/faults/%3Cscript%3E")
    assert page.status_code == 404
    assert "<script>" not in page.text


def fault_ids() -> set[str]:
    """Every fault that the source raises by a literal name."""
    import re

    root = Path(__file__).parents[2] / "src" / "qwell"
    texts = [path.read_text(encoding="utf-8") for path in root.rglob("*.py")]
    return {m for text in texts for m in re.findall(r'QwellError\(\s*"([a-z0-9-]+)"', text)}


async def test_every_error_of_ours_has_its_page(client: httpx.AsyncClient) -> None:
    missing = [
        f for f in sorted(fault_ids()) if (await client.get(f"/faults/{f}")).status_code != 200
    ]
    assert missing == []


# ---- fixes


async def test_a_fix_runs_and_is_verified(
    client: httpx.AsyncClient, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwell.server import doctor_room

    worker.status.phase = "restarting"
    worker.status.error = QwellError("worker-crashed", found="x", expected="y", fix="z")
    started: list[bool] = []

    async def start() -> None:
        started.append(True)
        worker.status.phase, worker.status.error = "ready", None

    monkeypatch.setattr(worker, "start", start)
    app: Any = client._transport
    room = app.app.state.doctor

    def look() -> Any:
        from qwell.server.monitors import OwnSystem

        return OwnSystem(room.view, ANY_SAMPLE)

    monkeypatch.setattr(doctor_room.DoctorRoom, "look", lambda _self: look())
    answer = await client.post("/api/fixes/restart-worker", json={"fault": "worker-crashed"})
    assert answer.json()["result"] == "fixed", answer.text
    assert started == [True]


ANY_SAMPLE: Any = None


async def test_a_fix_that_is_not_known(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/fixes/no-such", json={})
    assert (answer.status_code, answer.json()["type"]) == (404, "/faults/remedy-unknown")


async def test_consent_is_a_step_of_its_own(
    client: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwell.doctor.treat import Practice, Treatment

    def treat(_self: object, fault: Any, remedy: Any, *, consent: bool) -> Treatment:
        return Treatment(fault.id, remedy.id, "fixed" if consent else "needs-consent")

    monkeypatch.setattr(Practice, "treat", treat)
    url, body = "/api/fixes/remove-stale-lock", {"fault": "database-locked"}
    assert (await client.post(url, json=body)).status_code == 409
    assert (await client.post(url, json=body | {"consent": True})).status_code == 200


async def test_strangers_may_not_fix(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.post("/api/fixes/restart-worker", json={"fault": "worker-crashed"})
    assert answer.status_code == 401
    assert "203.0.113.9" in answer.json()["detail"]


async def test_a_cleared_cache_is_told_to_the_browser(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qwell.doctor.treat import Practice, Treatment

    def treat(_self: object, fault: Any, remedy: Any, *, consent: bool) -> Treatment:
        return Treatment(fault.id, remedy.id, "undone")

    monkeypatch.setattr(Practice, "treat", treat)
    body = {"fault": "stale-frontend-cache"}
    answer = await client.post("/api/fixes/clear-web-cache", json=body)
    assert answer.headers["clear-site-data"] == '"cache"'


async def test_incidents(client: httpx.AsyncClient, app: FastAPI) -> None:
    from qwell.doctor.finding import Finding, Status

    assert (await client.get("/api/incidents")).json() == {"open": 0, "incidents": []}
    finding = Finding("host.disk_space", "host", Status.FAIL, (), "full")
    app.state.doctor.incidents.upsert(finding, "disk-full")
    body = (await client.get("/api/incidents")).json()
    assert body["open"] == 1
    assert body["incidents"][0]["fault"] == "disk-full"


# ---- the way to the server


async def test_the_self_test_stream_is_numbered(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/selftest/stream?n=3&every_ms=10&pad=100")
    frames = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data")]
    assert [frame["seq"] for frame in frames] == [0, 1, 2]
    assert {len(frame["pad"]) for frame in frames} == {100}
    assert answer.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("query", ["n=0", "n=1000", "every_ms=1", "pad=-1"])
async def test_the_self_test_is_bounded(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/api/selftest/stream?{query}")).status_code == 400


async def test_a_body_is_counted(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/selftest/body", content=b"x" * 100_000)
    assert answer.json() == {"bytes": 100_000}
