"""compose.yaml: valid by its schema, with settings that exist and files that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from qwell.config import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
FILE = DEPLOY / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text())["services"])


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text[:-1])


def test_it_follows_the_schema_of_compose_files() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", FILE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_it_sets_are_settings(services: dict[str, Any]) -> None:
    known = {f"QWELL_{knob.name.upper()}" for knob in fields(Settings)}
    assert set(services["qwell"]["environment"]) <= known


def test_what_it_mounts_is_there(services: dict[str, Any]) -> None:
    files = [entry.partition(":")[0] for entry in services["nginx"]["volumes"]]
    assert files
    assert all((DEPLOY / name).is_file() for name in files)


def test_every_service_is_bounded_restarted_and_asked(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert {"mem_limit", "healthcheck"} <= service.keys(), name
    assert services["qwell"]["mem_limit"] == "2g"
    assert "ports" not in services["qwell"]  # the way in is nginx


def test_stopping_waits_for_running_answers(services: dict[str, Any]) -> None:
    server = services["qwell"]
    drain_s = int(server["environment"]["QWELL_DRAIN_TIMEOUT_S"])
    assert seconds(server["stop_grace_period"]) >= drain_s + 10  # worker, database


def test_its_health_check_is_the_image_s(services: dict[str, Any]) -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    check = re.search(r"^HEALTHCHECK (.*) CMD \[(.*)\]$", text, re.MULTILINE)
    assert check
    ours = services["qwell"]["healthcheck"]
    assert [word.strip(' "') for word in check[2].split(",")] == ours["test"][1:]
    options = dict(re.findall(r"--(\S+)=(\S+)", check[1]))
    for name in ("interval", "timeout", "start-period", "retries"):
        assert options[name] == str(ours[name.replace("-", "_")])


def test_the_proxy_s_bounds_are_the_server_s() -> None:
    rules = (DEPLOY / "nginx/qwell.locations").read_text()
    defaults = Settings()
    assert f"client_max_body_size {defaults.max_body_mib}m;" in rules
    read_s = re.search(r"proxy_read_timeout (\d+)s;", rules)
    assert read_s
    assert int(read_s[1]) > defaults.request_timeout_s
