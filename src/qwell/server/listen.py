"""Takes the port and runs the application on it until a signal comes.

Knows uvicorn and sockets; not what is served.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from itertools import takewhile
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from qwell.config import Settings
from qwell.errors import QwellError
from qwell.server.streams import Streams

MAX_CONNECTIONS = 512  # more get 503 at once: files must be left for the worker and the store
log = logging.getLogger("qwell.server")


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises QwellError naming the process that holds the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    return listener


class DrainingServer(uvicorn.Server):
    """Ends every stream with its terminal event before connections are cut.

    Meanwhile it still listens: new requests are told that it is going, and for how long.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._drain(self._app.state.streams)
        for server in self.servers:
            server.close()
        await super().shutdown(sockets)

    async def _drain(self, streams: Streams) -> None:
        """Let running answers end; a second Ctrl-C ends them at once."""
        streams.admission.closing_in_s = self._drain_s
        if streams.n_live:
            log.info("waiting for running answers", extra={"answers": streams.n_live})
        draining = asyncio.create_task(streams.close(self._drain_s))
        while not draining.done() and not self.force_exit:
            await asyncio.wait([draining], timeout=0.1)  # as often as the base class looks
        draining.cancel()
        await streams.close(0)


def make_server(app: FastAPI, *, drain_s: float | None = None) -> DrainingServer:
    """drain_s: how long running answers may go on after the signal; None: as set."""
    settings: Settings = app.state.settings
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",  # the other implementation of the same library is deprecated
        ws_max_size=settings.max_body_mib * 2**20,
        ws_per_message_deflate=False,  # events are small, and what is not unpacked is no bomb
        proxy_headers=False,  # trusted_proxy.py decides: the default trusts this machine
        log_config=None,  # the program's own log
        log_level="warning",  # what it says at info, our own lines say with a request id
        access_log=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    return DrainingServer(config, app, settings.drain_timeout_s if drain_s is None else drain_s)


def _explained(error: OSError, host: str, port: int) -> QwellError:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return QwellError(
            "port-in-use",
            found=f"{where} is already taken{_holder(port)}",
            expected="a free port",
            fix=f"stop that program, or choose another port: qwell serve --port {port + 1}",
        )
    if error.errno == errno.EACCES:
        return QwellError(
            "permission-denied",
            found=f"no right to listen on {where}",
            expected="a port above 1023, or the right to use a lower one",
            fix="qwell serve --port 8000",
        )
    return QwellError(
        "config-invalid",
        found=f"cannot listen on {where}: {error.strerror or error}",
        expected="an address of this machine",
        fix="qwell serve --host 127.0.0.1 (this machine only) or --host 0.0.0.0 (all networks)",
    )


def _holder(port: int) -> str:
    """Which process listens there, as far as /proc shows it to this user."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for links in Path("/proc").glob("[0-9]*/fd"):
        if inodes and _holds(links, inodes):
            return f" by process {links.parent.name} ({_command(links.parent)})"
    return ""


def _command(process: Path) -> str:
    """Its words up to the first flag: what follows may be a key."""
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return " ".join(takewhile(lambda word: not word.startswith("--"), words)).strip()[:120]


def _listening_inodes(port: int) -> list[str]:
    """Inodes of TCP sockets in state LISTEN (0A) on this port."""
    tables = [table for table in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")) if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    here = f":{port:04X}"
    return [row[9] for row in rows if row[3] == "0A" and row[1].endswith(here)]


def _holds(links: Path, inodes: set[str]) -> bool:
    """False also for processes of others, and for those that end meanwhile."""
    try:
        return any(str(link.readlink()) in inodes for link in links.iterdir())
    except OSError:
        return False
