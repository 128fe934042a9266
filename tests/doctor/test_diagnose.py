"""From findings to verdicts: weighing, folding, abstaining, asking."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qwell.doctor.consult import report
from qwell.doctor.diagnose import CERTAIN, diagnose, diagnose_text
from qwell.doctor.finding import Evidence, Finding, Status

HERE = Path(__file__).parent
MESSAGES = (HERE / "messages.txt").read_text(encoding="utf-8").splitlines()
HEALTHY = (HERE / "healthy.txt").read_text(encoding="utf-8").splitlines()


def first(text: str) -> str:
    return next((d.fault.id for d in diagnose_text(text).diagnoses), "")


def test_evidence_against_a_fault_weighs_as_much_as_evidence_for_it() -> None:
    killed = "chat-1 exited with code 137"
    assert first(killed) == "oom-killed"
    assert first(f'{killed}\n"OOMKilled": false,\nroot: docker stop chat-1') != "oom-killed"


def test_an_effect_is_folded_under_its_cause() -> None:
    text = (
        "Could not fetch URL https://pypi.org: the SSL module is not available\n"
        "ERROR: No matching distribution found for certifi"
    )
    diagnosis = diagnose_text(text).diagnoses[0]
    assert diagnosis.fault.id == "openssl-missing"
    assert "pip-conflict" in diagnosis.symptoms


def test_rivals_are_ruled_out_with_a_reason() -> None:
    body = diagnose_text("write: no space left on device").to_dict()
    ruled_out = {entry["id"]: entry["because"] for entry in body["faults"][0]["ruled_out"]}
    assert "download-interrupted" in ruled_out
    assert all(ruled_out.values())


def test_a_thin_lead_is_no_verdict_and_the_next_question_has_choices() -> None:
    verdict = diagnose_text("Server in docker: connection refused when I call it on localhost:80")
    if verdict.verdict == "unknown":
        assert verdict.diagnoses[0].p < CERTAIN
        assert verdict.next.choices
    assert verdict.next.check or verdict.next.ask.en


@pytest.mark.parametrize(
    "text",
    [
        "What is CORS?",
        "Explain nginx proxy_buffering",
        "帮我写一首关于春天的诗",
        "解释一下 KV 缓存",
        "hi",
        "谢谢",
        "Write a Python function that handles PermissionError",
        "What does exit code 137 mean?",
        "",
        "   \n",
    ],
)
def test_ordinary_chat_is_no_report(text: str) -> None:
    verdict = diagnose_text(text)
    assert verdict.verdict in ("healthy", "unknown")
    assert verdict.diagnoses == ()


@pytest.mark.parametrize(
    "log",
    [
        'INFO:     127.0.0.1:1 - "GET /health HTTP/1.1" 200 OK',
        "INFO: processed 12 requests, 0 errors\nINFO: memory 600 MB of 4096 MB",
        "INFO: Shutting down\nINFO: Application shutdown complete.\nchat-1 exited with code 143",
        "WARN[0000] compose.yaml: the attribute `version` is obsolete, it will be ignored",
        "BrokenPipeError: [Errno 32] Broken pipe",
    ],
)
def test_a_healthy_log_raises_no_alarm(log: str) -> None:
    verdict = diagnose_text(log)
    assert verdict.verdict == "healthy"
    assert verdict.diagnoses == ()


def test_harmless_noise_does_not_hide_a_real_failure() -> None:
    text = "FutureWarning: `x` is deprecated\nOSError: [Errno 28] No space left on device"
    verdict = diagnose_text(text)
    assert verdict.diagnoses[0].fault.id == "disk-full"
    assert "deprecation-warning" in verdict.harmless


def test_live_findings_join_a_text() -> None:
    finding = Finding("host.inodes", "host", Status.FAIL, (Evidence("used", 100, "df"),), "full")
    with_check = diagnose_text("no space left on device", [finding])
    assert with_check.diagnoses[0].fault.id == "inodes-full"
    assert first("no space left on device") == "disk-full"


def test_a_passing_check_speaks_against_a_fault() -> None:
    passing = Finding("host.disk_space", "host", Status.PASS)
    doubtful = diagnose_text("no space left on device", [passing])
    sure = diagnose_text("no space left on device")
    assert doubtful.diagnoses[0].p < sure.diagnoses[0].p


def test_findings_alone_make_a_diagnosis() -> None:
    verdict = diagnose([Finding("host.disk_space", "host", Status.FAIL, (), "2 MB left")])
    assert verdict.verdict == "fault"
    assert verdict.diagnoses[0].fault.id == "disk-full"


def test_checks_that_broke_mean_nothing() -> None:
    verdict = diagnose([Finding("host.disk_space", "host", Status.ERROR, (), "crashed")])
    assert verdict.diagnoses == ()


def test_the_same_text_gets_the_same_verdict() -> None:
    text = "容器退出码 137，日志只有 Killed"
    bodies = [diagnose_text(text).to_dict() | {"ms": 0} for _ in range(3)]
    assert bodies[0] == bodies[1] == bodies[2]


def test_the_json_has_the_shape_that_programs_rely_on() -> None:
    body = diagnose_text("api-1 | OSError: [Errno 98] Address already in use").to_dict()
    json.dumps(body)
    assert {"verdict", "faults", "next", "ms"} <= body.keys()
    fault = body["faults"][0]
    wanted = {"id", "p", "layer", "title", "evidence", "ruled_out", "remedies", "verify"}
    assert fault.keys() == wanted
    assert fault["evidence"][0]["line"] == 1
    assert isinstance(fault["evidence"][0]["why"], str)
    assert {"id", "safety", "do", "commands"} == fault["remedies"][0].keys()
    assert body["next"].keys() == {"ask", "choices", "check"}


def test_secrets_do_not_come_back_in_evidence() -> None:
    text = "401 Unauthorized: api_key=abcdefgh12345 is not valid"
    verdict = diagnose_text(text)
    assert "abcdefgh12345" not in json.dumps(verdict.to_dict())
    assert verdict.receipt


@pytest.mark.parametrize("line", MESSAGES)
def test_messages_of_many_programs_name_their_fault(line: str) -> None:
    fault, _, message = line.partition("|")
    verdict = diagnose_text(message)
    assert verdict.verdict == "fault"
    assert verdict.diagnoses[0].fault.id == fault


@pytest.mark.parametrize("line", HEALTHY)
def test_ordinary_lines_name_no_fault(line: str) -> None:
    assert diagnose_text(line).diagnoses == ()


def test_a_long_healthy_log_names_no_fault() -> None:
    log = HEALTHY[: HEALTHY.index("What is a context window?")]
    assert diagnose_text("\n".join(log)).verdict == "healthy"


def test_a_guess_comes_with_a_question_and_no_verdict() -> None:
    verdict = diagnose_text("It became slow at some point.")
    assert verdict.verdict == "unknown"
    assert verdict.diagnoses
    assert verdict.next.ask.en


def test_a_dead_server_comes_before_what_it_left_behind() -> None:
    left = Finding("engine.orphans", "engine", Status.FAIL, because="a worker without a server")
    dead = Finding("api.server", "api", Status.FAIL, because="the server ended")
    found = report([left, dead]).diagnoses
    assert [d["id"] for d in found] == ["backend-not-listening", "cancelled-request-keeps-running"]
    assert not {"restart-worker"} & {r["id"] for d in found for r in d["remedies"]}
    assert "qwell serve" in found[0]["remedies"][0]["commands"][0]
