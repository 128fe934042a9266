"""The systemd unit: valid, little exposed, and everything works under what it forbids."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.conftest import Start

UNIT = Path(__file__).parents[2] / "deploy/qwell.service"
MOST_EXPOSED = 1.5  # systemd's own scale: 10 is a service without any restriction
WRITE, EXECUTE = 2, 4


def options(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def calls_in(group: str) -> set[str]:
    """Names of system calls in one of systemd's groups, those of groups within it included."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], check=True, capture_output=True, text=True
    ).stdout
    names = [line.strip() for line in listed.splitlines()[1:] if not line.strip().startswith("#")]
    found = {name for name in names if name and not name.startswith("@")}
    return found.union(*(calls_in(name) for name in names if name.startswith("@")))


def allowed_calls() -> set[str]:
    """What the lines of SystemCallFilter leave, read as systemd reads them."""
    allowed: set[str] = set()
    for line in options("SystemCallFilter"):
        named = set[str]().union(*(calls_in(group) for group in line.lstrip("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


def rule(names: list[str], *arguments: tuple[int, int, int]) -> dict[str, Any]:
    """Allow these calls, where each argument under its mask has the value."""
    masked = [
        {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
        for index, mask, value in arguments
    ]
    return {"names": names, "action": "SCMP_ACT_ALLOW", "args": masked}


def profile() -> dict[str, Any]:
    """The unit's filter, MemoryDenyWriteExecute and RestrictAddressFamilies for a container."""
    limited = {"mmap", "mprotect", "pkey_mprotect", "shmat", "socket"}
    families = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
    sockets = [families[name] for name in options("RestrictAddressFamilies")[0].split()]
    assert options("MemoryDenyWriteExecute") == ["yes"]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [
            rule(sorted(allowed_calls() - limited)),
            *(rule(["mmap"], (2, WRITE | EXECUTE, prot)) for prot in (0, WRITE, EXECUTE)),
            rule(["mprotect", "pkey_mprotect"], (2, EXECUTE, 0)),
            *(rule(["socket"], (0, 0xFFFFFFFF, family)) for family in sockets),
        ],
    }


def test_systemd_accepts_it(tmp_path: Path, requires_program: Callable[[str], str]) -> None:
    unit = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/qwell/bin/qwell", requires_program("true"))
    unit.write_text(text)
    done = subprocess.run(
        [requires_program("systemd-analyze"), "verify", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_little_exposed(requires_program: Callable[[str], str]) -> None:
    analyse = [requires_program("systemd-analyze"), "security", "--offline=true"]
    text = subprocess.run([*analyse, UNIT], check=True, capture_output=True, text=True).stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", text)
    assert level
    assert float(level[1]) <= MOST_EXPOSED


def test_stopping_waits_for_running_answers() -> None:
    assert int(options("TimeoutStopSec")[0]) >= 20 + 10  # drain_timeout_s; worker and database
    assert options("KillMode") == ["mixed"]  # the worker is stopped by its server


@pytest.mark.timeout(1200)
@pytest.mark.weights
@pytest.mark.skipif(platform.machine() != "x86_64", reason="mmap's filter is written for 64 bits")
def test_the_engine_works_under_its_filter(
    start: Start, real_gguf: Path, tmp_path: Path, requires_program: Callable[[str], str]
) -> None:
    """Packing, mapping, huge pages, threads, sockets and the database, with the real model."""
    requires_program("systemd-analyze")
    filtered = tmp_path / "seccomp.json"
    filtered.write_text(json.dumps(profile()))
    with start(real_gguf.parent, f"--security-opt=seccomp={filtered}", "--memory=2g") as container:
        container.wait_until("/ready", at_most_s=240)
        done = container.run("python", "-c", "import mmap; mmap.mmap(-1, 4096, prot=7)")
        assert "PermissionError" in done.stderr  # the filter is there
        body = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 8}
        answer = container.client.post("/v1/chat/completions", json={"model": "qwell", **body})
        assert answer.json()["choices"][0]["message"]["content"]
        assert container.client.get("/version").json()["model"]["engine"] == "native"
        assert "PermissionError" not in container.log()
        assert container.stop() == 0
