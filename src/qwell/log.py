"""Log records as text for people or JSON for machines, with the request they belong to.

Knows nothing of HTTP. Prompt text is never passed to it.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from contextvars import ContextVar
from typing import Any

from qwell.log_file import LogFile

request_id: ContextVar[str] = ContextVar("request_id", default="")

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in _PLAIN and k != "color_message"}


def _stamp(record: logging.LogRecord) -> str:
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{day}.{int(record.msecs):03d}Z"


class JsonFormatter(logging.Formatter):
    """One JSON object a line; fields given as ``extra=`` are kept."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": _stamp(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        if rid := request_id.get():
            line["request_id"] = rid
        line.update(_extras(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """Lines of the form ``time level logger message key=value``.

    Control characters are escaped: what a client sent must neither forge a line nor move the
    cursor of the terminal that shows it.
    """

    def format(self, record: logging.LogRecord) -> str:
        extras = _extras(record)
        if rid := request_id.get():
            extras["request_id"] = rid
        tail = "".join(f" {k}={v}" for k, v in extras.items())
        said = inert(f"{record.getMessage()}{tail}")
        line = f"{_stamp(record)} {record.levelname:<7} {record.name}: {said}"
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            line += "".join(f"\n{inert(part)}" for part in trace)
        return line


def inert(text: str) -> str:
    """The text on one line, with every character that is not printable written as its escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def configure(log_format: str = "text", level: str = "info", file: LogFile | None = None) -> None:
    """Send all records to standard error in the chosen format, and to the file as JSON.

    Replaces earlier handlers.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handlers: list[logging.Handler] = [handler]
    if file is not None:
        file.setFormatter(JsonFormatter())
        handlers.append(file)
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a line for each of its plugins


def keep(line: str) -> None:
    """A line that the worker wrote goes into the log file, too, if there is one.

    One that is no JSON object, e.g. of a native crash, becomes one.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile):
            handler.append(line if _is_object(line) else _as_object(line))


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _as_object(line: str) -> str:
    now = logging.makeLogRecord({"name": "qwell.worker", "levelname": "INFO", "msg": line})
    return JsonFormatter().format(now)
