"""The program as a child process, in a home of its own, answering from a script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """No settings, no caches and no terminal of the person who runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("QWELL_", "XDG_"))}
    return kept | {"HOME": str(tmp_path), "QWELL_ENGINE": "scripted", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def qwell(environ: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end."""

    def run(*arguments: str, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "qwell", *arguments],
            env=environ | extra,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def started(environ: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command; whatever still runs at the end of the test is ended."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **extra: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "qwell", *arguments],
            env=environ | extra,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
