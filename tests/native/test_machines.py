"""The native engine on machines that are not here: other instruction sets, emulated by QEMU.

Each runs the tests of native/tests: what it computes equals the portable definition.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
AARCH64 = (
    "-DCMAKE_SYSTEM_NAME=Linux",
    "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
    "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++",
)
Program = Callable[[str], str]


def build(name: str, *options: str) -> Path:
    """The folder with the native tests, built for the machine that the options describe."""
    folder = ROOT / "build" / name
    environ = {**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    release = "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG"
    configure = ["cmake", "-S", ROOT, "-B", folder, "-G", "Ninja", release, *options]
    for command in (configure, ["cmake", "--build", folder]):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def aarch64(requires_program: Program) -> Path:
    requires_program("aarch64-linux-gnu-g++")
    requires_program("qemu-aarch64")
    return build("aarch64", *AARCH64)


@pytest.fixture(scope="module")
def x86_64(requires_program: Program) -> Path:
    requires_program("qemu-x86_64")
    if platform.machine() != "x86_64":
        pytest.skip("the compiler here is for another machine")
    return build("x86_64")


def emulated(program: Path, machine: str, cpu: str, *args: str) -> list[str]:
    """What the program printed; it succeeded."""
    emulator = [f"qemu-{machine}", "-cpu", cpu]
    if machine != platform.machine():
        emulator += ["-L", f"/usr/{machine}-linux-gnu"]
    done = subprocess.run([*emulator, program, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("test", ["kernels", "sampler", "model"])
def test_arm_with_dot_products_equals_portable(aarch64: Path, test: str) -> None:
    args = ["2"] if test == "model" else []  # threads
    said = emulated(aarch64 / f"{test}_test", "aarch64", "max", *args)
    assert not [line for line in said if "cannot run neon" in line]
    assert test != "kernels" or "neon" in said


def test_arm_without_dot_products_runs_the_portable_path(aarch64: Path) -> None:
    said = emulated(aarch64 / "kernels_test", "aarch64", "cortex-a53")
    assert "portable" in said
    assert "not run: this CPU cannot run neon" in said


def test_x86_without_avx2_runs_the_portable_path(x86_64: Path) -> None:
    for test in ("kernels", "sampler"):
        said = emulated(x86_64 / f"{test}_test", "x86_64", "Nehalem")
        assert "not run: this CPU cannot run avx2" in said


def test_x86_with_avx2_alone_equals_portable(x86_64: Path) -> None:
    said = emulated(x86_64 / "kernels_test", "x86_64", "Haswell")
    assert "avx2" in said
    assert "not run: this CPU cannot run avx512vnni" in said
