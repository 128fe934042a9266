"""Where models can be fetched from, and which of these places answers from here.

The order of docs/model.md: the hub of the environment, its mirror, ModelScope, and for the default
model the package index. Asks for nothing but a sign of life.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwell.doctor.system import System

_OTHERS = ("https://hf-mirror.com", "https://www.modelscope.cn")
_INDEX = "https://pypi.org/simple"
_PATIENCE_S = 4.0
_REFUSALS = (401, 403, 407, 451)


def hub_url(environ: Mapping[str, str]) -> str:
    return environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"


def answering(system: System) -> list[str]:
    """The sources that answer, best first."""
    return [url for url, error in probe_sources(system).items() if not error]


def probe_sources(system: System) -> dict[str, str]:
    """Each source with what is wrong with it, empty when it answers. All asked at a time."""
    return system.once("model sources", lambda: _probe_all(system))


def _probe_all(system: System) -> dict[str, str]:
    urls = [hub_url(system.environ), *_OTHERS]
    if system.settings.model == "auto":
        urls.append(_index_url(system))
    with ThreadPoolExecutor(len(urls)) as pool:
        return dict(zip(urls, pool.map(lambda url: _error_of(system, url), urls), strict=True))


def _error_of(system: System, url: str) -> str:
    try:
        answer = system.http(url, method="HEAD", timeout_s=_PATIENCE_S)
    except OSError as error:
        return str(error)
    refused = answer.status >= 500 or answer.status in _REFUSALS
    return f"status {answer.status}" if refused else ""


def _index_url(system: System) -> str:
    """The package index that pip is set up for."""
    if named := system.environ.get("PIP_INDEX_URL"):
        return named
    home = Path(system.environ.get("HOME", "/"))
    places = (system.root / "etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([*places, system.environ.get("PIP_CONFIG_FILE", "")], encoding="utf-8")
        return parser.get("global", "index-url", fallback=_INDEX)
    except (configparser.Error, UnicodeDecodeError):
        return _INDEX
