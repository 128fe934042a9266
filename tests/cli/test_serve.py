"""`qwell serve` as a person runs it: banner, signals, a taken port, a model that cannot load."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from qwell.cli.serve import config_table
from qwell.config import load


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """Output up to the line that contains wanted; fails when the process ends before."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def get(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_what_it_serves_and_stops_when_asked(
    started: Any, free_port: int, sent: signal.Signals
) -> None:
    process = started("serve", "--port", str(free_port))
    told = read_until(process, "loaded")
    assert f"http://127.0.0.1:{free_port}" in told
    assert "model   scripted" in told
    assert "context 4096 tokens" in told
    assert get(f"http://127.0.0.1:{free_port}/ready")[0] == 200
    process.send_signal(sent)
    assert process.wait(30) == 0


def test_a_model_that_cannot_load_leaves_the_server_up_with_the_cause(
    started: Any, free_port: int
) -> None:
    script = json.dumps({"load_fault": "weights-truncated"})
    process = started("serve", "--port", str(free_port), QWELL_SCRIPT=script)
    told = read_until(process, "The server stays up")
    assert "error: weights-truncated" in told
    assert "fix:      unset QWELL_SCRIPT" in told
    status, body = get(f"http://127.0.0.1:{free_port}/ready")
    assert status == 503
    assert body["type"] == "/faults/weights-truncated"
    assert body["fix"] == "unset QWELL_SCRIPT"


def test_a_taken_port_is_an_error_with_its_holder(qwell: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        done = qwell("serve", "--port", str(holder.getsockname()[1]))
    assert done.returncode == 2
    assert "error: port-in-use" in done.stderr
    assert "by process" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_public_address_without_a_key_is_warned_about(started: Any, free_port: int) -> None:
    process = started("serve", "--host", "0.0.0.0", "--port", str(free_port))  # noqa: S104  what is warned about
    assert "--api-key" in read_until(process, "warning")


def test_json_logs_are_one_object_a_line(started: Any, free_port: int) -> None:
    process = started("serve", "--port", str(free_port), "--log-format", "json")
    read_until(process, "loaded")
    get(f"http://127.0.0.1:{free_port}/health")
    line = json.loads(read_until(process, '"path": "/health"').splitlines()[-1])
    assert line["msg"] == "response"
    assert line["status"] == 200
    assert line["request_id"]


def test_print_config_does_not_show_passwords() -> None:
    url = "postgresql://me:se:cret@host/name"
    table = config_table(load({"database_url": url})[1])
    assert "postgresql://me:(set)@host/name" in table


def test_print_config_names_value_and_origin(qwell: Any, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("threads = 3\n", encoding="utf-8")
    done = qwell(
        "serve", "--print-config", "--port", "9000", QWELL_CONFIG=str(config), QWELL_API_KEY="k3y"
    )
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["port"] == ["9000", "--port"]
    assert rows["engine"] == ["scripted", "QWELL_ENGINE"]
    assert rows["threads"] == ["3", str(config)]
    assert rows["quant"] == ["auto", "default"]
    assert rows["api_key"] == ["(set)", "QWELL_API_KEY"]
    assert "k3y" not in done.stdout


def test_repeated_origins_are_collected(tmp_path: Path) -> None:
    flags = {"cors_origin": ["http://a", "http://b"]}
    _, origins = load(flags, environ={}, file=tmp_path / "none")
    assert "http://a,http://b" in config_table(origins)


def test_a_bad_value_is_refused_before_anything_starts(qwell: Any) -> None:
    done = qwell("serve", "--quant", "q3")
    assert done.returncode == 2
    assert "quant: one of auto, q8, q5, q4" in done.stderr
