"""What is told at the start: where the page is, and which model really answers, how, and why so.

Makes lines from settings and the worker's report; prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwell.cli.address import is_public, url_of
from qwell.cli.banner_words import words_for
from qwell.cli.language import Language
from qwell.config import Settings, missing_file, misspelt
from qwell.translate import translated


def url_lines(settings: Settings, port: int, language: Language = "en") -> list[str]:
    """Where to go with a browser, and who else can. The port is the one that is bound."""
    words = words_for(language)
    url = url_of(settings.host, port)
    lines = [words["url"].format(url, url)]
    if settings.api_key or settings.api_key_file:
        lines.append(words["key"].format(url))
    elif is_public(settings.host):
        lines.append(words["open"])
    return lines


def doubt_lines(environ: Mapping[str, str], language: Language = "en") -> list[str]:
    """What was meant to set something, and sets nothing."""
    words = words_for(language)
    missing = missing_file(environ)
    lines = [words["no_config"].format(missing)] if missing else []
    return lines + [words["misspelt"].format(*pair) for pair in misspelt(environ).items()]


def bound_lines(settings: Settings, language: Language = "en") -> list[str]:
    """Every limit that a request can meet, and where the log is."""
    from qwell.server.connections import MAX_CONNECTIONS

    words = words_for(language)
    limits = {
        "waiting": settings.max_queue,
        "seconds": settings.request_timeout_s or None,
        "body": settings.max_body_mib,
        "connections": MAX_CONNECTIONS,
        "rate": settings.rate_limit or None,
        "drain": settings.drain_timeout_s,
        "idle": settings.idle_unload_min or None,
    }
    told = [words[name].format(limit) for name, limit in limits.items() if limit is not None]
    lines = [words["limits"].format(words["comma"].join(told))]
    if settings.log_file_mib:
        lines.append(words["log"].format(log_path(settings), settings.log_file_mib))
    if settings.log_prompts == "on":
        lines.append(words["prompts"])
    return lines


def log_path(settings: Settings) -> Path:
    return settings.data_path / "logs" / "qwell.log"


def model_lines(
    model: Mapping[str, Any], language: Language = "en", asked_ctx: int = 0
) -> list[str]:
    """One fact a line; facts that the worker did not report are left out.

    asked_ctx: tokens of context that were asked for, which may be more than the model can hold.
    """
    words = words_for(language)
    name, source = str(model.get("name", "")), _source(model.get("source", {}))
    weights, weights_why, threads_why, slow_why = (
        translated(str(model.get(key, "")), language)
        for key in ("quant", "quant_why", "threads_why", "slow_why")
    )
    facts: dict[str, tuple[Any, ...]] = {
        "model": (words["from"].format(name, source) if source else name,),
        "weights": (f"{weights} ({weights_why})" if weights_why else weights,),
        "engine": (" ".join(str(model[key]) for key in ("engine", "isa") if model.get(key)),),
        "warning": (slow_why,),
        "threads": (model.get("n_threads"), threads_why),
        "context": (model.get("n_ctx"), model.get("n_slots", 1)),
        "shorter": (asked_ctx if asked_ctx > model.get("n_ctx", asked_ctx) else 0,),
        "loaded": (model.get("load_s"),),
    }
    return [words[fact].format(*values) for fact, values in facts.items() if values[0]]


def _source(source: Mapping[str, Any]) -> str:
    origin = str(source.get("origin", ""))
    return str(source.get("path", "")) if origin == "path" else origin
