"""Names, proxies, certificates, hubs, and what stands between."""

from __future__ import annotations

import json
import ssl
import urllib.error
from collections.abc import Callable
from typing import Any

import pytest

from qwell.doctor import clinic
from qwell.doctor.answer import Answer, Frame
from qwell.doctor.checks import CHECKS
from qwell.doctor.checks.network import DEEP_SILENCE_S, SILENCE_S
from qwell.doctor.observe import CAP_S, DEEP_CAP_S
from qwell.doctor.pacing import EVERY_MS, N_FRAMES

Status = Callable[[str, Any], str]


def paced(machine: Any, every_s: float, **headers: str) -> Any:
    frames = [Frame(json.dumps({"seq": i}), i * every_s) for i in range(N_FRAMES)]
    machine.frame_lists["/api/selftest/stream"] = frames
    machine.answers["/api/selftest/stream"] = Answer(200, headers)
    return machine


def test_a_stream_that_arrives_as_it_is_sent(served: Any, status: Status) -> None:
    machine = paced(served, EVERY_MS / 1e3)
    for name in ("stream_pacing", "stream_plain"):
        assert status(f"network.{name}", machine) == "pass"


def test_a_stream_that_somebody_collects(served: Any, outcome: Any) -> None:
    found = outcome("network.stream_pacing", paced(served, 0.0, server="nginx/1.22"))
    assert found.status == "fail"
    assert {e.key: e.value for e in found.evidence}["via"] == "nginx/1.22"


def test_a_stream_that_somebody_compresses(served: Any, status: Status) -> None:
    machine = paced(served, 0.0, **{"content-encoding": "gzip"})
    assert status("network.stream_plain", machine) == "fail"
    assert status("network.stream_pacing", machine) == "skip"


def test_a_silent_stream_that_is_cut(served: Any, status: Status) -> None:
    machine = paced(served, 0.1, server="nginx")
    assert status("network.silence", machine) == "pass"
    machine.frame_lists["/api/selftest/stream"] = [Frame("{}", 0.0)]
    assert status("network.silence", machine) == "fail"


@pytest.mark.parametrize(("code", "expected"), [(101, "pass"), (426, "fail"), (400, "fail")])
def test_the_switch_to_websocket(served: Any, status: Status, code: int, expected: str) -> None:
    served.serve("/ws/chat", {}, code)
    assert status("network.websocket", served) == expected


def test_a_handshake_that_is_cut(served: Any, status: Status) -> None:
    assert status("network.websocket", served) == "fail"


def test_a_body_that_is_too_large_for_a_proxy(served: Any, status: Status) -> None:
    machine = paced(served, 0.1, server="nginx")
    machine.serve("/api/selftest/body", {"bytes": 1})
    assert status("network.body_size", machine) == "pass"
    machine.serve("/api/selftest/body", {}, 413)
    assert status("network.body_size", machine) == "fail"


def test_a_direct_connection_has_nothing_between(served: Any, status: Status) -> None:
    machine = paced(served, 0.1)
    assert status("network.silence", machine) == "skip"
    assert status("network.body_size", machine) == "skip"


def test_an_unknown_name(make_machine: Any, status: Status) -> None:
    assert status("network.name", make_machine()) == "pass"
    assert status("network.name", make_machine(url="http://no-such.example:8000")) == "fail"


def test_an_address_that_nobody_can_call(make_machine: Any, status: Status) -> None:
    assert status("network.address", make_machine(url="http://0.0.0.0:8000")) == "fail"


def test_a_long_silence_fits_into_a_run() -> None:
    assert min(CAP_S, clinic.CAP_S, CHECKS["network.silence"].timeout_s) > SILENCE_S + 3
    assert min(DEEP_CAP_S, CHECKS["network.silence"].timeout_s) > DEEP_SILENCE_S + 3


def test_a_machine_without_a_way_to_it(machine: Any, status: Status) -> None:
    machine.connections["127.0.0.1", 8000] = "unreachable"
    assert status("network.route", machine) == "fail"


def test_packets_that_are_dropped(machine: Any, status: Status) -> None:
    assert status("network.route", machine) == "pass"  # refused is an answer
    machine.connections["127.0.0.1", 8000] = "timeout"
    assert status("network.route", machine) == "fail"


@pytest.mark.parametrize(
    ("spared", "expected"), [("", "fail"), ("example.com", "fail"), ("localhost,::1", "pass")]
)
def test_a_proxy_for_localhost(
    make_machine: Any, status: Status, spared: str, expected: str
) -> None:
    environ = {"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": spared}
    assert status("network.proxy_for_localhost", make_machine(environ)) == expected


def test_a_proxy_without_scheme(make_machine: Any, status: Status) -> None:
    assert status("network.proxy_form", make_machine({"HTTPS_PROXY": "proxy:3128"})) == "warn"


def test_certificates_that_are_named_but_missing(make_machine: Any, status: Status) -> None:
    assert status("network.ca_files", make_machine()) == "pass"
    assert status("network.ca_files", make_machine({"SSL_CERT_FILE": "/no/ca.pem"})) == "fail"


def test_clocks_that_differ(served: Any, status: Status) -> None:
    served.serve("/version", {"name": "qwell"}, date="Fri, 15 Jan 2027 08:00:00 GMT")
    assert status("network.clock_agrees", served) == "pass"
    served.clock += 3600
    assert status("network.clock_agrees", served) == "fail"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ssl.SSLCertVerificationError("self-signed certificate"), "fail"),
        (ConnectionRefusedError(), "skip"),
    ],
)
def test_a_certificate_that_is_not_trusted(
    make_machine: Any,
    status: Status,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    expected: str,
) -> None:
    machine = make_machine(url="https://127.0.0.1:8443")

    def refuse(*_args: Any, **_names: Any) -> Answer:
        raise urllib.error.URLError(error)  # type: ignore[arg-type]

    monkeypatch.setattr(machine, "http", refuse)
    assert status("network.certificate", machine) == expected


# ---- hubs


def test_a_machine_with_its_model_needs_no_hub(make_machine: Any, status: Status) -> None:
    assert status("network.hub_wanted", make_machine(model="/")) == "skip"


SOURCES = ("https://huggingface.co", "https://www.modelscope.cn", "https://pypi.org/simple")


def test_no_source_of_models_answers(machine: Any, status: Status) -> None:
    assert status("network.hub_wanted", machine) == "pass"
    assert status("network.hub", machine) == "fail"


@pytest.mark.parametrize("source", SOURCES)
def test_one_source_that_answers_is_enough(machine: Any, status: Status, source: str) -> None:
    machine.serve(source)
    for name in ("hub", "hub_name", "hub_certificate"):
        assert status(f"network.{name}", machine) == "pass"


def test_a_source_that_refuses_is_none(machine: Any, status: Status) -> None:
    machine.serve("https://huggingface.co", {}, 403)
    assert status("network.hub", machine) == "fail"


def test_the_package_index_has_the_default_model_only(make_machine: Any, status: Status) -> None:
    machine = make_machine(model="Qwen/Qwen2.5-1.5B-Instruct")
    machine.serve("https://pypi.org/simple")
    assert status("network.hub", machine) == "fail"


def test_the_index_that_pip_is_set_up_for(make_machine: Any, status: Status) -> None:
    machine = make_machine()
    machine.write("/etc/pip.conf", "[global]\nindex-url = https://mirror.example/simple\n")
    machine.serve("https://mirror.example/simple")
    assert status("network.hub", machine) == "pass"


def test_a_hub_without_name(machine: Any, status: Status) -> None:
    assert status("network.hub_name", machine) == "fail"
    machine.names["huggingface.co"] = ["192.0.2.1"]
    assert status("network.hub_name", machine) == "pass"


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("HF_HUB_OFFLINE", "1", "network.hub_allowed"),
        ("HF_ENDPOINT", "hf-mirror.com", "network.hub_address"),
        ("HF_TOKEN", "my token", "network.hub_token"),
    ],
)
def test_variables_of_the_hub(
    make_machine: Any, status: Status, variable: str, value: str, check: str
) -> None:
    assert status(check, make_machine()) == "pass"
    assert status(check, make_machine({variable: value})) == "fail"


def test_a_firewall_of_this_machine(make_machine: Any, status: Status) -> None:
    machine = make_machine(host="0.0.0.0")  # noqa: S104  made up
    machine.write("/etc/hostname", "box\n")
    machine.names["box"] = ["192.0.2.5"]
    machine.connections["192.0.2.5", 8000] = ""
    assert status("network.reachable_from_outside", machine) == "pass"
    machine.connections["192.0.2.5", 8000] = "timeout"
    assert status("network.reachable_from_outside", machine) == "fail"
