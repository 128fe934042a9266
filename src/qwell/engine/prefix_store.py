"""What conversations hold in the cache, kept on disk so that a restart finds them warm.

A conversation is cut into pieces of PIECE tokens. A piece is named by a digest of all tokens up to
its end, so conversations with the same beginning share files. Knows folders and bytes, not what a
piece means; a file that is missing, damaged or in the way costs time and is never an error.
"""

from __future__ import annotations

import hashlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

PIECE = 64  # tokens
_DIGEST = 32  # bytes, before the content of a file
_QUEUED = 64  # pieces that wait to be written; more are dropped
_log = logging.getLogger(__name__)


class PrefixStore:
    """Pieces of one model in a folder of at most max_bytes. What was used longest ago goes first.

    model: tells apart what must not be mixed: weights, and the form of the backend's pieces.
    Call from one thread; a second one, the store's own, writes.
    """

    def __init__(self, folder: Path, model: str, max_bytes: int) -> None:
        self._folder = folder
        self._model = hashlib.sha256(model.encode()).digest()
        self._max_bytes = max_bytes
        self._queue: queue.Queue[tuple[str, bytes] | None] = queue.Queue(_QUEUED)
        self._lock = threading.Lock()
        self._sizes: dict[str, int] = {}  # by name, what was used longest ago first
        self._read_folder()
        self._writer = threading.Thread(target=self._write_all, name="prefix-store", daemon=True)
        self._writer.start()

    def names(self, ids: Sequence[int]) -> list[str]:
        """Of the whole pieces of a conversation."""
        names, digest = [], self._model
        for end in range(PIECE, len(ids) + 1, PIECE):
            tokens = np.array(ids[end - PIECE : end], np.int32).tobytes()
            digest = hashlib.sha256(digest + tokens).digest()
            names.append(digest.hex())
        return names

    def n_kept(self, names: Sequence[str]) -> int:
        """How many pieces of the beginning are there."""
        with self._lock:
            return next((i for i, name in enumerate(names) if name not in self._sizes), len(names))

    def read(self, name: str) -> bytes | None:
        """The content of a piece; None, and the file is gone, where it is not what was written."""
        path = self._path(name)
        try:
            raw = path.read_bytes()
        except OSError:
            self._forget(name)
            return None
        content = raw[_DIGEST:]
        if raw[:_DIGEST] != hashlib.sha256(content).digest():
            _log.warning("%s is damaged and was removed", path)
            self._forget(name)
            return None
        return content

    def write(self, name: str, content: Callable[[], bytes]) -> None:
        """Keep a piece, soon, unless it is there or too many wait. content: asked for if needed."""
        with self._lock:
            is_known = name in self._sizes
        if not is_known and not self._queue.full():
            self._queue.put_nowait((name, content()))

    def use(self, names: Sequence[str]) -> None:
        """These pieces of a beginning serve. The last of them goes first: nothing follows it."""
        for name in reversed(names):
            with self._lock:
                if (size := self._sizes.pop(name, None)) is None:
                    continue
                self._sizes[name] = size
            try:
                os.utime(self._path(name))
            except OSError:
                self._forget(name)

    def close(self) -> None:
        """Write what waits."""
        self._queue.put(None)
        self._writer.join()

    # -- files

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.piece"

    def _read_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for leftover in self._folder.glob("*.part"):
                leftover.unlink()
            files = [(path, path.stat()) for path in self._folder.glob("*.piece")]
        except OSError as error:
            _log.warning("conversations do not stay warm: %s", error)
            return
        for path, state in sorted(files, key=lambda file: file[1].st_mtime_ns):
            self._sizes[path.stem] = state.st_size

    def _write_all(self) -> None:
        while (item := self._queue.get()) is not None:
            name, content = item
            try:
                self._write(name, hashlib.sha256(content).digest() + content)
            except OSError as error:
                _log.warning("a conversation does not stay warm: %s", error)

    def _write(self, name: str, raw: bytes) -> None:
        """All or nothing: a process that dies here leaves a file that the next start removes."""
        if len(raw) > self._max_bytes:
            return
        self._make_room(len(raw))
        part = self._path(name).with_suffix(".part")
        try:
            part.touch(mode=0o600)
            part.write_bytes(raw)
            part.replace(self._path(name))
        finally:
            part.unlink(missing_ok=True)
        with self._lock:
            self._sizes[name] = len(raw)

    def _make_room(self, n_bytes: int) -> None:
        with self._lock:
            while self._sizes and sum(self._sizes.values()) + n_bytes > self._max_bytes:
                name = next(iter(self._sizes))
                del self._sizes[name]
                self._path(name).unlink(missing_ok=True)

    def _forget(self, name: str) -> None:
        with self._lock:
            self._sizes.pop(name, None)
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s", error)
