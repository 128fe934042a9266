"""One life of the child process: its three pipes and its death. Knows nothing of requests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

from qwell import log
from qwell.worker import protocol

LAST_WORDS_BYTES = 8192


class Child:
    """A running `python -m qwell.worker.process`. Create with `Child.spawn`."""

    def __init__(
        self, process: asyncio.subprocess.Process, reports: asyncio.StreamReader, pipe: Any
    ) -> None:
        self._process = process
        self._reports = reports
        self._report_pipe = pipe
        self._last_words = b""
        self._log_task = asyncio.create_task(self._pass_on_log())

    @classmethod
    async def spawn(cls, environ: Mapping[str, str]) -> Child:
        """Start the child in a session of its own, so that Ctrl-C reaches the parent alone."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "qwell.worker.process",
                f"--report-fd={writing}",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(environ),
                pass_fds=(writing,),
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        reports = asyncio.StreamReader(limit=protocol.MAX_LINE_BYTES)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reports), os.fdopen(reading, "rb", 0)
        )
        return cls(process, reports, pipe)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def last_words(self) -> str:
        """The end of its log, at most LAST_WORDS_BYTES."""
        return self._last_words.decode("utf-8", "replace")

    def send(self, message: dict[str, Any]) -> None:
        """Write one message. A child that has just died is noticed by its exit, not here."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(protocol.encode(message))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """What the child reports, until it ends."""
        while line := await self._reports.readline():
            yield protocol.decode(line)

    async def wait(self) -> int:
        """Exit code, or minus the signal's number. The log has been read to its end."""
        status = await self._process.wait()
        await self._log_task
        self._report_pipe.close()
        return status

    def kill(self) -> None:
        """Kill the child and whatever it started. Not by its own object, which would reap it."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _pass_on_log(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        begun = b""
        while piece := await stdout.read(65536):
            self._last_words = (self._last_words + piece)[-LAST_WORDS_BYTES:]
            sys.stderr.write(piece.decode("utf-8", "replace"))
            sys.stderr.flush()
            *whole, begun = (begun + piece).split(b"\n")
            for line in whole:
                log.keep(line.decode("utf-8", "replace"))
            begun = begun[-LAST_WORDS_BYTES:]  # who never ends a line loses its beginning
        if begun:
            log.keep(begun.decode("utf-8", "replace"))
