"""`qwell serve`: take the port, start everything, say what is really served."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from qwell.config import Origin, Settings, load

if TYPE_CHECKING:
    from qwell.log_file import LogFile
    from qwell.worker.supervisor import Supervisor


def run(options: argparse.Namespace) -> int:
    settings, origins = load(vars(options))
    if options.print_config:
        print(config_table(origins))
        return 0
    return _serve(settings)


def config_table(origins: dict[str, Origin]) -> str:
    """One setting a line: name, value, origin. The key itself is not shown."""
    rows = [(name, _shown(name, origin.value), origin.source) for name, origin in origins.items()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{n:<{widths[0]}}  {v:<{widths[1]}}  {source}" for n, v, source in rows)


def _shown(name: str, value: Any) -> str:
    if name == "api_key" and value:
        return "(set)"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _serve(settings: Settings) -> int:
    from qwell import log
    from qwell.server.listen import bind

    log.configure(settings.log_format, settings.log_level, _log_file(settings))
    signal.signal(signal.SIGTERM, _leave)
    listener = bind(settings.host, settings.port)
    try:
        asyncio.run(_run(settings, listener))
    except KeyboardInterrupt:
        return 0  # Ctrl-C is how a person stops it
    return 0


def _log_file(settings: Settings) -> LogFile | None:
    from qwell.cli.banner import log_path
    from qwell.log_file import LogFile

    size = settings.log_file_mib * 2**20
    return LogFile(log_path(settings), size) if size else None


def _leave(_signal: int, _frame: object) -> None:
    """Asked to stop by the system, and stopped: that is success."""
    sys.exit(0)


async def _run(settings: Settings, listener: socket.socket) -> None:
    from qwell.server.app import create_app
    from qwell.server.listen import make_server
    from qwell.worker.supervisor import Supervisor

    supervisor = Supervisor(settings)
    server = make_server(create_app(settings, supervisor))
    port = listener.getsockname()[1]
    announcing = asyncio.create_task(_announce(supervisor, settings, port))
    try:
        await server.serve(sockets=[listener])
    finally:
        announcing.cancel()


async def _announce(supervisor: Supervisor, settings: Settings, port: int) -> None:
    """Say where the page is, how loading goes, and then what is served or why nothing is."""
    from qwell.cli.banner import bound_lines, model_lines, url_lines
    from qwell.cli.failure import describe
    from qwell.cli.progress import watch_loading

    _say([*url_lines(settings, port), *bound_lines(settings)])
    await watch_loading(supervisor)
    status = supervisor.status
    if status.error is not None:
        _say([describe(status.error), "The server stays up: the page and /ready show this, too."])
    elif status.model:
        _say(model_lines(status.model))


def _say(lines: list[str]) -> None:
    print("\n".join(lines), file=sys.stderr, flush=True)
