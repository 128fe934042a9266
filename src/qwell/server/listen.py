"""Runs the application on a port until a signal comes.

Knows uvicorn and sockets; not what is served.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time

import uvicorn
from fastapi import FastAPI

from qwell.config import Settings
from qwell.server.connections import Patience
from qwell.server.streams import Streams
from qwell.server.unreadable import (
    MAX_HEAD_BYTES,
    ExplainingProtocol,
    ExplainingSocketProtocol,
)

log = logging.getLogger("qwell.server")


class DrainingServer(uvicorn.Server):
    """Ends every stream with its terminal event before connections are cut.

    Meanwhile it still listens: new requests are told that it is going, and for how long.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s
        connections = app.state.connections = self.server_state.connections
        self._patience = Patience(connections, time.monotonic)

    async def on_tick(self, counter: int) -> bool:
        self._patience.look()
        return await super().on_tick(counter)

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
        http=ExplainingProtocol,  # on h11, which comes with uvicorn and bounds headers
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws=ExplainingSocketProtocol,
        ws_max_size=settings.max_body_mib * 2**20,
        ws_per_message_deflate=False,  # events are small, and what is not unpacked is no bomb
        proxy_headers=False,  # trusted_proxy.py decides: the default trusts this machine
        log_config=None,  # the program's own log
        log_level="warning",  # what it says at info, our own lines say with a request id
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return DrainingServer(config, app, settings.drain_timeout_s if drain_s is None else drain_s)
