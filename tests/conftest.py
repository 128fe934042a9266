"""What many tests share: the real weights, programs that may be missing, a free port.

Nothing here is used by only one folder; such fixtures live in that folder's conftest.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable

import pytest


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def requires_program() -> Callable[[str], str]:
    """The path of a program; without it the test is skipped by name, in CI it fails."""

    def require(name: str) -> str:
        path = shutil.which(name)
        if path is not None:
            return path
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed; see scripts/debian_packages.sh")
        pytest.skip(f"{name} is not installed")

    return require
