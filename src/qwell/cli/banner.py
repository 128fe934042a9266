"""What is told at the start: where the page is, and which model really answers, how, and why so.

Makes lines from settings and the worker's report; prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwell.cli.address import is_public, url_of
from qwell.config import Settings


def url_lines(settings: Settings, port: int) -> list[str]:
    """Where to go with a browser, and who else can. The port is the one that is bound."""
    url = url_of(settings.host, port)
    lines = [f"qwell   {url}   (API {url}/v1; stop with Ctrl-C)"]
    if settings.api_key or settings.api_key_file:
        lines.append(f"key     in a browser open {url}/?key=<the key> once")
    elif is_public(settings.host):
        lines.append(
            "warning everyone who reaches this machine may chat: set --api-key (QWELL_API_KEY)"
        )
    return lines


def bound_lines(settings: Settings) -> list[str]:
    """Every limit that a request can meet, and where the log is."""
    from qwell.server.connections import MAX_CONNECTIONS

    limits = [
        f"{settings.max_queue} may wait",
        f"{settings.request_timeout_s} s an answer" if settings.request_timeout_s else "",
        f"{settings.max_body_mib} MiB a request",
        f"{MAX_CONNECTIONS} connections",
        f"{settings.rate_limit} answers a minute for each caller" if settings.rate_limit else "",
        f"{settings.drain_timeout_s} s to end when stopped",
        f"unloaded after {settings.idle_unload_min} idle min" if settings.idle_unload_min else "",
    ]
    lines = [f"limits  {', '.join(filter(None, limits))}"]
    if settings.log_file_mib:
        lines.append(f"log     {log_path(settings)} (5 files of {settings.log_file_mib} MiB)")
    if settings.log_prompts == "on":
        lines.append("warning prompts and answers are written to the log (--log-prompts off)")
    return lines


def log_path(settings: Settings) -> Path:
    return settings.data_path / "logs" / "qwell.log"


def model_lines(model: Mapping[str, Any]) -> list[str]:
    """One fact a line; facts that the worker did not report are left out."""
    source = _source(model.get("source", {}))
    threads = f"{model.get('n_threads', '')} ({model.get('threads_why', '')})"
    facts = {
        "model": model.get("name", "") + (f" from {source}" if source else ""),
        "weights": model.get("quant", ""),
        "engine": " ".join(str(model[key]) for key in ("engine", "isa") if model.get(key)),
        "warning": str(model.get("slow_why", "")),
        "threads": threads if model.get("n_threads") else "",
        "context": _context(model),
        "loaded": f"in {model['load_s']:.1f} s" if "load_s" in model else "",
    }
    return [f"{name:<7} {fact}" for name, fact in facts.items() if fact]


def _source(source: Mapping[str, Any]) -> str:
    origin = str(source.get("origin", ""))
    return str(source.get("path", "")) if origin == "path" else origin


def _context(model: Mapping[str, Any]) -> str:
    if "n_ctx" not in model:
        return ""
    return f"{model['n_ctx']} tokens, {model.get('n_slots', 1)} conversations at once"
