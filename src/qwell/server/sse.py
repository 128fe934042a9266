"""Server-sent events as bytes: frames out, frames in. Knows nothing of what they carry."""

from __future__ import annotations

from dataclasses import dataclass

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
PING = b": ping\n\n"
PING_EVERY_S = 5.0  # network.silence waits a little longer


@dataclass(frozen=True, slots=True)
class Frame:
    data: str
    id: str = ""


def encode(data: str, id: int | None = None, *, event: str = "") -> bytes:  # noqa: A002  the field's name in the standard
    """One frame. Line breaks in data become several data lines, as the standard asks."""
    head = (f"event: {event}\n" if event else "") + ("" if id is None else f"id: {id}\n")
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return (head + "".join(f"data: {line}\n" for line in lines) + "\n").encode()


class Decoder:
    """Incremental inverse of encode: any split of the bytes gives the same frames."""

    def __init__(self) -> None:
        self._tail = b""
        self._id = ""
        self._data: list[str] = []

    def push(self, chunk: bytes) -> list[Frame]:
        """Frames completed by this chunk. Comments are dropped."""
        *lines, self._tail = (self._tail + chunk).split(b"\n")
        frames = (self._take(line.rstrip(b"\r").decode()) for line in lines)
        return [frame for frame in frames if frame is not None]

    def _take(self, line: str) -> Frame | None:
        if not line:
            return self._flush()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        return None

    def _flush(self) -> Frame | None:
        data, self._data = self._data, []
        return Frame("\n".join(data), self._id) if data else None
