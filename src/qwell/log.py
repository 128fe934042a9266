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
    """Lines of the form ``time level logger message key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        extras = _extras(record)
        if rid := request_id.get():
            extras["request_id"] = rid
        tail = "".join(f" {k}={v}" for k, v in extras.items())
        line = f"{_stamp(record)} {record.levelname:<7} {record.name}: {record.getMessage()}{tail}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure(log_format: str = "text", level: str = "info") -> None:
    """Send all records to standard error in the chosen format. Replaces earlier handlers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
