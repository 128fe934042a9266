"""`qwell serve`: take the port, start everything, say what is really served."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from qwell.cli.language import preferred
from qwell.config import Origin, Settings, load

if TYPE_CHECKING:
    from qwell.log_file import LogFile
    from qwell.worker.supervisor import Supervisor

_PASSWORD = re.compile(r"(?<=\w):[^/@]*@")  # of an address: user:password@host


def run(options: argparse.Namespace) -> int:
    settings, origins = load(vars(options))
    if options.print_config:
        print(config_table(origins))
        return 0
    return _serve(settings)


def config_table(origins: dict[str, Origin]) -> str:
    """One setting a line: name, value, origin. Keys and passwords are not shown."""
    rows = [(name, _shown(name, origin.value), origin.source) for name, origin in origins.items()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{n:<{widths[0]}}  {v:<{widths[1]}}  {source}" for n, v, source in rows)


def _shown(name: str, value: Any) -> str:
    if name == "api_key" and value:
        return "(set)"
    if name == "database_url":
        return _PASSWORD.sub(":(set)@", value)
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _serve(settings: Settings) -> int:
    from qwell import log
    from qwell.server.port import bind

    log.configure(settings.log_format, settings.log_level, _log_file(settings))
    signal.signal(signal.SIGTERM, _leave)
    if _is_refused(settings):
        return 2
    listener = bind(settings.host, settings.port)
    try:
        asyncio.run(_run(settings, listener))
    except KeyboardInterrupt:
        return 0  # Ctrl-C is how a person stops it
    return 0


def _is_refused(settings: Settings) -> bool:
    """Say what the quick checks find; whether it is reason enough not to start."""
    if settings.preflight == "off":
        return False
    from qwell.cli.doctor_view import preflight_lines
    from qwell.doctor.preflight import preflight, stops
    from qwell.doctor.system import System

    wrong = preflight(System(settings))
    if wrong:
        _say(list(preflight_lines(wrong)))
    return stops(settings.preflight, wrong)


def _log_file(settings: Settings) -> LogFile | None:
    from qwell.cli.banner import log_path
    from qwell.log_file import LogFile

    size = settings.log_file_mib * 2**20
    return LogFile(log_path(settings), size) if size else None


def _leave(_signal: int, _frame: object) -> None:
    """Asked to stop by the system, and stopped: that is success."""
    sys.exit(0)


async def _run(settings: Settings, listener: socket.socket) -> None:
    from qwell.worker.supervisor import Supervisor

    supervisor = Supervisor(settings)
    await supervisor.start()
    await supervisor.spawned()
    try:
        await _run_server(settings, listener, supervisor)
    finally:
        await supervisor.stop(grace_s=0)


async def _run_server(settings: Settings, listener: socket.socket, supervisor: Supervisor) -> None:
    """Importing the server takes as long as mapping the model: the worker loads meanwhile."""
    gc.disable()
    from qwell.server.app import create_app
    from qwell.server.listen import make_server

    server = make_server(create_app(settings, supervisor, watched=True))
    gc.freeze()  # modules stay: a collection that looks at them all stops every answer for 0.1 s
    gc.enable()
    port = listener.getsockname()[1]
    announcing = asyncio.create_task(_announce(supervisor, settings, port))
    with _on_record(settings, port):
        try:
            await server.serve(sockets=[listener])
        finally:
            announcing.cancel()


@contextmanager
def _on_record(settings: Settings, port: int) -> Iterator[None]:
    """A note of who serves where, for the doctor: left behind only by a death."""
    from qwell.cli.address import url_of
    from qwell.cli.banner_words import words_for
    from qwell.doctor.run_record import RunRecord, other_server, remove_record, write_record

    record = RunRecord(os.getpid(), url_of(settings.host, port), time.time())
    words = words_for(preferred())
    try:
        if other := other_server(settings.data_path):
            _say([words["shared"].format(settings.data_path, other.url, other.pid)])
        else:
            write_record(settings.data_path, record)
    except OSError as error:
        _say([words["no_note"].format(settings.data_path, error.strerror)])
    try:
        yield
    finally:
        with suppress(OSError):
            remove_record(settings.data_path)


async def _announce(supervisor: Supervisor, settings: Settings, port: int) -> None:
    """Say where the page is, how loading goes, and then what is served or why nothing is."""
    from qwell.cli.banner import bound_lines, doubt_lines, model_lines, url_lines
    from qwell.cli.banner_words import words_for
    from qwell.cli.failure import describe
    from qwell.cli.progress import watch_loading

    language = preferred()
    _say([*url_lines(settings, port, language), *bound_lines(settings, language)])
    _say(doubt_lines(os.environ, language))
    await watch_loading(supervisor)
    gc.freeze()  # what the store has loaded meanwhile
    status = supervisor.status
    if status.error is not None:
        _say([describe(status.error), words_for(language)["stays_up"]])
    elif status.model:
        _say(model_lines(status.model, language, settings.ctx_size))


def _say(lines: list[str]) -> None:
    if lines:
        print("\n".join(lines), file=sys.stderr, flush=True)
