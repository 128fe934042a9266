"""Everything a helper needs in one file: findings, incidents, versions, the log's end; no secrets.

Text is redacted, with a receipt of what was taken out. Its name holds its digest. It can be
diagnosed on any machine.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import qwell
from qwell.config import Settings
from qwell.doctor.finding import Finding
from qwell.doctor.incident import Incidents
from qwell.doctor.journal import Journal
from qwell.doctor.redact import Redactor
from qwell.doctor.system import System
from qwell.errors import QwellError

FORMAT = 1
_LOG_BYTES = 200_000
_SECRET = ("api_key", "api_key_file", "database_url")


@dataclass(frozen=True, slots=True)
class Bundle:
    """content is JSON-ready; findings are those that it holds."""

    content: dict[str, Any]
    findings: tuple[Finding, ...]


def collect(system: System, findings: Sequence[Finding]) -> Bundle:
    """Gather and redact. Reads only."""
    folder = system.settings.data_path
    raw = {
        "settings": _settings(system.settings),
        "server": system.facts,
        "findings": [finding.to_dict() for finding in findings],
        "incidents": [incident.to_dict() for incident in Incidents(folder).newest_first()[:50]],
        "treatments": list(Journal(folder).entries())[-50:],
        "log": _log_end(folder / "logs" / "qwell.log"),
    }
    redactor = Redactor()
    content: dict[str, Any] = {
        "format": FORMAT,
        "qwell": qwell.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        **{name: _redacted(value, redactor) for name, value in raw.items()},
    }
    content["redacted"] = dict(sorted(redactor.receipt.items()))
    return Bundle(content, tuple(findings))


def _settings(settings: Settings) -> dict[str, Any]:
    """Every setting; of secrets only whether they are set."""
    values = {field.name: getattr(settings, field.name) for field in fields(Settings)}
    return {name: bool(v) if name in _SECRET else v for name, v in values.items()}


def _log_end(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()[1:]
    except OSError:
        return []


def _redacted(value: Any, redactor: Redactor) -> Any:
    """The same shape, every text of it redacted."""
    if isinstance(value, str):
        return redactor.redact(value)
    if isinstance(value, dict):
        return {name: _redacted(item, redactor) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item, redactor) for item in value]
    return value


def write_bundle(bundle: Bundle, folder: Path) -> Path:
    """A file named after its content. Raises OSError."""
    text = json.dumps(bundle.content, ensure_ascii=False, indent=1)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = folder / f"qwell-bundle-{digest}.json"
    path.write_text(text, encoding="utf-8")
    return path


def read_bundle(path: Path) -> Bundle:
    """Raises QwellError ``bundle-unreadable`` for whatever is no bundle of ours."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        findings = tuple(Finding.from_dict(item) for item in content["findings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise QwellError(
            "bundle-unreadable",
            found=f"{path}: {type(error).__name__}: {error}",
            expected="a file that `qwell bundle` wrote",
            fix="make a new one with `qwell bundle`",
        ) from error
    return Bundle(content, findings)
