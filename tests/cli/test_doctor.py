"""`qwell doctor` and `qwell bundle` as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwell.weights.tiny import write_tiny_pack

Run = Callable[..., subprocess.CompletedProcess[str]]
QUICK = ("--layer", "host", "--layer", "container", "--layer", "model", "--layer", "api")


def test_a_healthy_machine_with_its_model(qwell: Run, tmp_path: Path, free_port: int) -> None:
    """Which needs no network."""
    model = write_tiny_pack(tmp_path / "tiny.qpack")
    done = qwell("doctor", "--port", str(free_port), "--model", str(model), "--lang", "en")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("qwell: healthy (")


def test_the_same_in_chinese(qwell: Run, free_port: int) -> None:
    done = qwell("doctor", *QUICK, "--port", str(free_port), LANG="zh_CN.UTF-8")
    assert done.stdout.startswith("qwell: 健康")


def test_a_wrong_path_is_named_with_its_cause_and_cure(qwell: Run, free_port: int) -> None:
    done = qwell("doctor", *QUICK, "--port", str(free_port), "--model", "/no/such", "--lang", "en")
    assert done.returncode == 2
    assert "model.path" in done.stdout
    assert "[model-path-missing, " in done.stdout
    assert "what to do:" in done.stdout


def test_json_as_the_contract_has_it(qwell: Run, free_port: int) -> None:
    done = qwell("doctor", *QUICK, "--json", "--port", str(free_port), "--model", "/no/such")
    body = json.loads(done.stdout)
    assert body["status"] == "broken"
    assert {"check", "layer", "status", "evidence", "ms"} <= set(body["findings"][0])
    (first, *_) = body["diagnoses"]
    assert first["id"] == "model-path-missing"
    assert {"p", "layer", "title", "evidence", "ruled_out", "remedies", "verify"} <= set(first)


def test_settings_that_cannot_be_used_are_a_finding(qwell: Run) -> None:
    done = qwell("doctor", *QUICK, "--port", "many", "--lang", "en")
    assert done.returncode == 2
    assert "[config-invalid, " in done.stdout


def test_a_server_that_should_be_there(qwell: Run, free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    done = qwell("doctor", "--layer", "api", "--url", url, "--lang", "en")
    assert done.returncode == 2
    assert "[backend-not-listening, " in done.stdout


def test_every_check_with_verbose(qwell: Run, free_port: int) -> None:
    done = qwell("doctor", *QUICK, "--verbose", "--port", str(free_port))
    assert "host.memory" in done.stdout


# ---- where the installation is what broke


BROKEN = """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ImportError("broken installation of " + name)
sys.meta_path.insert(0, Broken())
"""


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (
            ("fastapi", "uvicorn", "rich", "numpy", "tokenizers", "jinja2"),
            "package-version-mismatch",
        ),
        (("websockets",), "ws-library-missing"),
    ],
)
def test_it_works_with_broken_packages(
    qwell: Run, tmp_path: Path, free_port: int, names: tuple[str, ...], named: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN.format(names=names), encoding="utf-8")
    layers = ("--layer", "dependency", "--port", str(free_port), "--lang", "en")
    done = qwell("doctor", *layers, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2, done.stdout + done.stderr
    assert named in done.stdout


def test_a_command_that_needs_what_is_broken_says_so(qwell: Run, tmp_path: Path) -> None:
    """No traceback, but what to install."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN.format(names=("rich",)), encoding="utf-8")
    done = qwell("pull", "--lang", "en", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "error: package-version-mismatch" in done.stderr
    assert "--force-reinstall qwell" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_starts_quickly(environ: dict[str, str], tmp_path: Path) -> None:
    """Until the first check runs; the best of some tries on a machine that may be busy."""
    code = "import qwell.cli, qwell.cli.doctor, qwell.doctor.checks, qwell.doctor.observe"
    kept = {k: v for k, v in environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    kept["PYTHONPYCACHEPREFIX"] = str(tmp_path / "compiled")  # as an installed program has it
    times = []
    for _ in range(5):
        started = os.times()
        subprocess.run([sys.executable, "-c", code], env=kept, check=True)
        ended = os.times()
        times.append(ended.children_user + ended.children_system
                     - started.children_user - started.children_system)  # fmt: skip
    assert min(times) < 0.3


# ---- bundles


def test_a_bundle_is_redacted_and_can_be_diagnosed_elsewhere(
    qwell: Run, tmp_path: Path, free_port: int
) -> None:
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True)
    text = "first\nsent Authorization: Bearer sk-abcdefghijklmnopqrstuvwx by me@example.com\n"
    (logs / "qwell.log").write_text(text, encoding="utf-8")
    flags = ("--port", str(free_port), "--data-dir", str(tmp_path / "data"))
    done = qwell(
        "bundle", *flags, "--model", "/no/such", "--output", str(tmp_path),
        QWELL_API_KEY="very-secret-key",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[0])
    content = path.read_text(encoding="utf-8")
    for secret in ("very-secret-key", "sk-abcdef", "me@example.com"):
        assert secret not in content
    assert json.loads(content)["redacted"]
    assert "redacted" in done.stdout
    again = qwell("doctor", "--bundle", str(path), "--lang", "en")
    assert again.returncode == 2
    assert "[model-path-missing, " in again.stdout
    said = qwell("diagnose", str(path), "--lang", "en")
    assert "Model path does not exist" in said.stdout
    assert qwell("doctor", "--bundle", str(path), "--fix").returncode == 2


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"findings": [{"check": "host.disk", "layer": "moon", "status": "fail"}]}'],
)
def test_what_is_no_bundle_is_refused(qwell: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    done = qwell("doctor", "--bundle", str(tmp_path / "x.json"))
    assert done.returncode == 2
    assert "bundle-unreadable" in done.stderr


# ---- treatment, and the preflight


def test_a_remedy_for_people_is_printed_and_not_run(qwell: Run, free_port: int) -> None:
    flags = ("--port", str(free_port), "--model", "/no/such", "--lang", "en")
    done = qwell("doctor", *QUICK, "--fix", *flags)
    assert done.returncode == 2
    assert "to be done by hand:" in done.stdout


def test_a_fix_is_verified_by_the_same_check(qwell: Run, tmp_path: Path, free_port: int) -> None:
    """Too many threads in the configuration file: lowered there, and the check passes again."""
    config = tmp_path / "config.toml"
    config.write_text("threads = 512\n", encoding="utf-8")
    flags = ("doctor", "--layer", "engine", "--port", str(free_port), "--lang", "en")
    where: dict[str, Any] = {"QWELL_CONFIG": str(config)}
    assert qwell(*flags, **where).returncode == 1
    done = qwell(*flags, "--fix", "--data-dir", str(tmp_path / "data"), **where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fixed: the same check passes again" in done.stdout
    assert "512" not in config.read_text(encoding="utf-8")
    assert qwell(*flags, **where).returncode == 0
    events = (tmp_path / "data" / "treatments.jsonl").read_text(encoding="utf-8")
    assert '"event": "fixed"' in events


def test_a_strict_start_is_refused(qwell: Run, tmp_path: Path, free_port: int) -> None:
    flags = ("--port", str(free_port), "--data-dir", str(tmp_path), "--model", "/no/such")
    done = qwell("serve", "--preflight", "strict", *flags)
    assert done.returncode == 2
    assert "model.path" in done.stderr


def test_the_preflight_is_quick(tmp_path: Path) -> None:
    from qwell.config import Settings
    from qwell.doctor.preflight import preflight
    from qwell.doctor.system import System

    times = []
    for _ in range(3):
        started = time.monotonic()
        preflight(System(Settings(data_dir=str(tmp_path), cache_dir=str(tmp_path))))
        times.append(time.monotonic() - started)
    assert min(times) < 0.3


def test_it_says_that_no_server_was_examined(qwell: Run, free_port: int) -> None:
    done = qwell("doctor", *QUICK, "--port", str(free_port), "--lang", "en")
    assert "No server was examined" in done.stdout


def test_the_running_server_of_the_folder_is_the_one_that_is_examined(
    qwell: Run, tmp_path: Path, free_port: int
) -> None:
    """Whatever its port is."""
    url = f"http://127.0.0.1:{free_port}"
    program = "print(flush=True); input()"
    command = [sys.executable, "-c", program, "qwell"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        record = {"pid": process.pid, "url": url, "started": time.time()}
        (tmp_path / "server.json").write_text(json.dumps(record), encoding="utf-8")
        done = qwell("doctor", "--layer", "api", "--data-dir", str(tmp_path), "--json")
        process.stdin.close()  # type: ignore[union-attr]  # asked for above
    (server,) = (f for f in json.loads(done.stdout)["findings"] if f["check"] == "api.server")
    assert url in json.dumps(server)
