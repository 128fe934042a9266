"""A TCP proxy with bad habits: it delays, slices, cuts, resets, loses, or rewrites.

Bytes only; what HTTP means is known to the one habit that rewrites the body of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

PIECE = 65536
_ASCII_ALONE = bytes(n if n < 128 else 255 for n in range(256))
Rewrite = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Toxics:
    """The habits, none by default.

    latency_s       before each piece of an answer
    slice_bytes     of an answer at a time; 0: as it comes
    limit_bytes     of an answer, then the connection is closed; 0: none
    reset           an answer is cut by a reset after limit_bytes
    deaf            connections are taken and never answered
    garble          what is not ASCII becomes bytes that no text has; lengths stay
    rewrite         changes the JSON body of requests to /api/chat
    """

    latency_s: float = 0.0
    slice_bytes: int = 0
    limit_bytes: int = 0
    reset: bool = False
    deaf: bool = False
    garble: bool = False
    rewrite: Rewrite | None = None


class _Cut(Exception):  # noqa: N818  an event, no accident
    """The habit says that it is enough."""


class _Proxy:
    def __init__(self, port: int, toxics: Toxics) -> None:
        self._port = port
        self._toxics = toxics
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself keeps no hold of them

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it or the proxy is closed."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._toxics.deaf:
            await reader.read()
            return
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        there = asyncio.create_task(self._there(reader, server_writer))
        try:
            await self._back(server_reader, writer)
        except (_Cut, OSError):
            if self._toxics.reset:
                writer.transport.abort()
        finally:
            there.cancel()
            await asyncio.gather(there, return_exceptions=True)
            for each in (server_writer, writer):
                each.close()
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                writer.write(await self._request(piece, reader))
                await writer.drain()

    async def _request(self, piece: bytes, reader: asyncio.StreamReader) -> bytes:
        rewrite = self._toxics.rewrite
        if rewrite is None or not piece.startswith(b"POST /api/chat"):
            return piece
        while b"\r\n\r\n" not in piece:
            piece += await reader.read(PIECE)
        head, _, body = piece.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next(
            int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")
        )
        while len(body) < length:
            body += await reader.read(PIECE)
        try:
            changed = json.dumps(rewrite(json.loads(body))).encode()
        except (ValueError, KeyError, TypeError):
            changed = body
        kept = [line for line in lines if not line.lower().startswith(b"content-length:")]
        kept.append(b"Content-Length: %d" % len(changed))
        return b"\r\n".join(kept) + b"\r\n\r\n" + changed

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        while piece := await reader.read(self._toxics.slice_bytes or PIECE):
            if self._toxics.latency_s:
                await asyncio.sleep(self._toxics.latency_s)
            if self._toxics.garble:
                piece = piece.translate(_ASCII_ALONE)
            limit = self._toxics.limit_bytes
            if limit and sent + len(piece) > limit:
                writer.write(piece[: limit - sent])
                raise _Cut
            writer.write(piece)
            sent += len(piece)
            await writer.drain()


@contextlib.contextmanager
def toxic(port: int, **habits: Any) -> Iterator[int]:
    """A proxy before this port of this machine; gives the proxy's own port."""
    loop = asyncio.new_event_loop()
    proxy = _Proxy(port, Toxics(**habits))
    server = loop.run_until_complete(asyncio.start_server(proxy.serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _close(server: asyncio.Server) -> None:
    """Connections that are about to end may do so; the others are cut."""
    server.close()
    others = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    if others:
        _, others = await asyncio.wait(others, timeout=1.0)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for _ in range(3):
        await asyncio.sleep(0)  # transports say goodbye in callbacks of their own
