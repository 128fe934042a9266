"""Every knob once: name, default, meaning. Flag > QWELL_* environment > config file > default.

Standard library only. A bad value is refused with its name, value, origin and what is allowed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_type_hints

from qwell.errors import QwellError

_ALMOST = 0.87  # of the letters: two of them exchanged in a short name


def _xdg(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / fallback) / "qwell"


def default_cache_dir() -> Path:
    return _xdg("XDG_CACHE_HOME", ".cache")


def default_data_dir() -> Path:
    return _xdg("XDG_DATA_HOME", ".local/share")


def default_config_file() -> Path:
    return _xdg("XDG_CONFIG_HOME", ".config") / "config.toml"


def _knob(
    default: Any,
    help: str,  # noqa: A002  argparse's word
    *,
    choices: tuple[str, ...] = (),
    least: int = 0,
    most: int | None = None,
) -> Any:
    bounds = {"least": least, "most": most}
    return field(default=default, metadata={"help": help, "choices": choices, **bounds})


@dataclass(frozen=True, slots=True)
class Settings:
    """What `qwell serve` runs with. What 0 means for a number is said in its help."""

    host: str = _knob("127.0.0.1", "address to listen on")
    port: int = _knob(8000, "port to listen on", most=65535)
    model: str = _knob("auto", "path, repo id or auto")
    engine: str = _knob(
        "native",
        "inference engine; scripted is for tests",
        choices=("native", "transformers", "scripted"),
    )
    quant: str = _knob("auto", "weight format", choices=("auto", "q8", "q5", "q4"))
    ctx_size: int = _knob(4096, "tokens of context per conversation", least=64)
    max_tokens: int = _knob(
        2048, "tokens of an answer when the request names no limit; 0: what the context holds"
    )
    parallel: int = _knob(0, "conversations computed at once; 0: from memory")
    prefix_cache_mib: int = _knob(
        0, "MiB of read conversations kept in the data folder for the next start; 0: none"
    )
    threads: int = _knob(0, "compute threads; 0: physical cores within the cgroup quota")
    torch_dtype: str = _knob(
        "auto",
        "number format of the transformers engine; auto: the faster one on this CPU",
        choices=("auto", "float32", "bfloat16"),
    )
    torch_compile: str = _knob(
        "off", "compile the transformers engine when it starts", choices=("off", "on")
    )
    use_cache: str = _knob(
        "on", "let the transformers engine keep what it has computed", choices=("on", "off")
    )
    max_queue: int = _knob(64, "waiting requests before new ones are refused")
    rate_limit: int = _knob(0, "answers a minute for each key and each address; 0: no limit")
    request_timeout_s: int = _knob(600, "seconds an answer may take, waiting included; 0: no limit")
    max_body_mib: int = _knob(8, "MiB of a request's body", least=1)
    drain_timeout_s: int = _knob(20, "seconds that running answers get when the server stops")
    idle_unload_min: int = _knob(0, "idle minutes until the model leaves memory; 0: never")
    data_dir: str = _knob("", "where conversations and logs are kept; empty: user's data folder")
    database_url: str = _knob("", "database for conversations; empty: a file in data_dir")
    cache_dir: str = _knob("", "where models are kept; empty: user's cache folder")
    api_key: str = _knob("", "key that clients must send, or several with commas; empty: none")
    api_key_file: str = _knob("", "file with one key a line, read again when it changes")
    cors_origin: tuple[str, ...] = _knob((), "allowed browser origin; repeat for more")
    trusted_proxy: tuple[str, ...] = _knob(
        (), "address or network of a proxy whose X-Forwarded-For counts; repeat for more"
    )
    preflight: str = _knob(
        "warn", "what a broken machine does to the start", choices=("strict", "warn", "off")
    )
    log_format: str = _knob("text", "log lines", choices=("text", "json"))
    log_level: str = _knob(
        "info", "least severe level logged", choices=("debug", "info", "warning", "error")
    )
    log_file_mib: int = _knob(
        10, "MiB of the log file in the data folder, of which 5 are kept; 0: no file"
    )
    log_prompts: str = _knob("off", "write prompts and answers to the log", choices=("off", "on"))
    offer_diagnosis: str = _knob(
        "on", "offer a diagnosis when a chat message is a complaint or a log", choices=("on", "off")
    )

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).expanduser() if self.data_dir else default_data_dir()

    @property
    def cache_path(self) -> Path:
        return Path(self.cache_dir).expanduser() if self.cache_dir else default_cache_dir()


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting's value and where it came from: flag, environment, file or default."""

    value: Any
    source: str


def load(
    flags: Mapping[str, Any],
    *,
    environ: Mapping[str, str] = os.environ,
    file: Path | None = None,
) -> tuple[Settings, dict[str, Origin]]:
    """Merge all sources. Flags that are None count as not given.

    Raises QwellError with fault ``config-invalid`` when a value cannot be used.
    """
    path = file or Path(environ.get("QWELL_CONFIG", default_config_file()))
    from_file = _read_file(path)
    types = get_type_hints(Settings)
    origins: dict[str, Origin] = {}
    for knob in fields(Settings):
        name = knob.name
        variable = f"QWELL_{name.upper()}"
        if flags.get(name) is not None:
            raw, source = flags[name], f"--{name.replace('_', '-')}"
        elif environ.get(variable):
            raw, source = environ[variable], variable
        elif name in from_file:
            raw, source = from_file[name], str(path)
        else:
            origins[name] = Origin(knob.default, "default")
            continue
        value = _convert(name, raw, types[name], source)
        _check_bounds(name, value, knob.metadata["least"], knob.metadata["most"], source)
        _check_choice(name, value, knob.metadata["choices"], source)
        origins[name] = Origin(value, source)
    return Settings(**{name: o.value for name, o in origins.items()}), origins


def missing_file(environ: Mapping[str, str] = os.environ) -> str:
    """The configuration file that QWELL_CONFIG names although it is not there; "" otherwise."""
    named = environ.get("QWELL_CONFIG", "")
    return named if named and not Path(named).is_file() else ""


def misspelt(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that are almost a setting's, and which: ``QWELL_PROT`` for ``QWELL_PORT``."""
    known = {f"QWELL_{knob.name.upper()}": knob.name for knob in fields(Settings)}
    unknown = [name for name in environ if name.startswith("QWELL_") and name not in known]
    likely = {name: get_close_matches(name, known, n=1, cutoff=_ALMOST) for name in unknown}
    return {name: found[0] for name, found in likely.items() if found}


def _read_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refuse(str(path), str(error), "a TOML file", str(path)) from error
    known = {f.name for f in fields(Settings)}
    for name in values:
        if name not in known:
            raise _refuse(name, "unknown setting", ", ".join(sorted(known)), str(path))
    return values


def _convert(name: str, raw: Any, kind: Any, source: str) -> Any:
    if kind is int:
        try:
            return int(raw)
        except (TypeError, ValueError):
            raise _refuse(name, repr(raw), "a whole number", source) from None
    if get_args(kind):  # tuple[str, ...]
        parts = raw.split(",") if isinstance(raw, str) else raw
        return tuple(str(part).strip() for part in parts if str(part).strip())
    return str(raw)


def _check_bounds(name: str, value: Any, least: int, most: int | None, source: str) -> None:
    if not isinstance(value, int):
        return
    if most is not None and not least <= value <= most:
        raise _refuse(name, repr(value), f"at least {least} and at most {most}", source)
    if value < least:
        raise _refuse(name, repr(value), f"{least} or more", source)


def _check_choice(name: str, value: Any, choices: tuple[str, ...], source: str) -> None:
    if choices and value not in choices:
        raise _refuse(name, repr(value), "one of " + ", ".join(choices), source)


def _refuse(name: str, found: str, expected: str, source: str) -> QwellError:
    return QwellError(
        "config-invalid",
        found=f"{name} = {found} (from {source})",
        expected=f"{name}: {expected}",
        fix=f"correct {name} in {source}; see `qwell serve --help`",
    )
