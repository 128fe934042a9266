"""The server: on its port, ours, awake, ready, answering to the end, saving what it should.

Talks HTTP through the System; knows the routes that it asks and no others.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from qwell.doctor.checks.host import LOCAL
from qwell.doctor.finding import Facts, Outcome, check, failed, passed, skipped, warned
from qwell.doctor.load_sample import load_sample
from qwell.doctor.report import KEY_WANTED
from qwell.doctor.run_record import read_record

if TYPE_CHECKING:
    from qwell.doctor.system import System

SERVED = ("api.server",)
OURS = ("api.identity",)
_LATE_MS, _LATE_ON_A_FULL_MACHINE_MS = 500, 3000
_AWAKE_S = 1.5  # three such attempts leave time for the other checks of a run
_NOTHING_BEHIND = (502, 503, 504)  # status codes of a proxy
_PROGRAMS = ("qwell",)  # in the command line of a holder of the port


@check("api.settings", layer="api", needs=LOCAL)
def settings(system: System) -> Outcome:
    """Every setting has a value that can be used."""
    if system.settings_error:
        return failed("a setting cannot be used", "settings", found=system.settings_error)
    return passed("settings")


@check("api.port", layer="api", needs=LOCAL, timeout_s=8.0)  # a holder may be deaf
def port(system: System) -> Outcome:
    """The port is free, or it is this program that holds it."""
    number = urlsplit(system.url).port or system.settings.port
    for item in system.listeners(number):
        if _is_ours(system, item.command):
            continue
        facts: Facts = {
            "port": number,
            "pid": item.pid,
            "program": item.command or "of another user",
            "next_port": _next_free(system, number),
        }
        return failed("another program holds the port", "/proc/net/tcp", **facts)
    return passed("/proc/net/tcp", port=number)


def _next_free(system: System, number: int) -> int:
    following = range(number + 1, number + 100)
    return next((n for n in following if not system.listeners(n)), number + 1)


def _is_ours(system: System, command: str) -> bool:
    """By its command line, or, where that is hidden or wrapped, by its answer."""
    if any(name in command for name in _PROGRAMS):
        return True
    answer = system.get("/version")
    return answer is not None and answer.json().get("name") == "qwell"


@check("api.server", layer="api", timeout_s=8.0)
def server(system: System) -> Outcome:
    """A server answers, where one is meant to run."""
    if (answer := system.get("/health", timeout_s=6.0)) is not None:
        if answer.is_html and answer.status in _NOTHING_BEHIND:
            told: Facts = {"url": system.url, "status": answer.status}
            return failed("a proxy answers, and nothing behind it", "GET /health", **told)
        return passed("GET /health", url=system.url)
    if _fails_at_tls(system):
        return skipped("TLS fails before anything is asked: see network.certificate")
    address = urlsplit(system.url)
    how = system.connect(address.hostname or "", address.port or 80)
    if not how and system.is_near:
        return skipped("something listens there and does not answer: see api.awake")
    if system.is_url_given and how in ("refused", ""):
        because = "nothing answers there" if how else "it is connected but does not answer"
        return failed(because, "connect", url=system.url, how=how or "no answer")
    record = read_record(system.settings.data_path)
    if not system.is_url_given and record and not system.is_alive(record.pid):
        facts: Facts = {"url": record.url, "pid": record.pid}
        return failed("the server ended without being stopped", "run record", **facts)
    if system.is_url_given:
        return skipped("it cannot be reached: the way there says why", how=how)
    return skipped(f"no server runs at {system.url}", how=how)  # as report.NO_SERVER has it


def _fails_at_tls(system: System) -> bool:
    """The certificate is why nothing answers."""
    if not system.url.startswith("https"):
        return False
    import ssl

    try:
        system.http("/health", timeout_s=3.0)
    except OSError as error:
        return isinstance(getattr(error, "reason", error), ssl.SSLError)
    return False


@check("api.awake", layer="api", timeout_s=15.0, needs=LOCAL)
def awake(system: System) -> Outcome:
    """The server's event loop answers at once, whatever it is doing."""
    if system.connect(system.host, urlsplit(system.url).port or 80):
        return skipped(f"nothing listens at {system.url}")
    if _fails_at_tls(system):
        return skipped("TLS fails before anything is asked: see network.certificate")
    times = [_health_ms(system) for _ in range(3)]
    if all(ms is None or ms > 1000 for ms in times):
        shown = max((ms for ms in times if ms is not None), default=1e3 * _AWAKE_S)
        return failed("it is connected but does not answer", "GET /health", ms=round(shown))
    return passed("GET /health", ms=round(min(ms for ms in times if ms is not None), 1))


def _health_ms(system: System) -> float | None:
    """Until the answer, or None when none came in time: api.loop_lag sees shorter pauses."""
    started = time.monotonic()
    try:
        system.http("/health", timeout_s=_AWAKE_S)
    except OSError:
        return None
    return 1e3 * (time.monotonic() - started)


@check("api.loop_lag", layer="api", needs=("api.server",), timeout_s=8.0)  # a late one tells late
def loop_lag(system: System) -> Outcome:
    """Nothing keeps the server's event loop busy for long, as it measures itself."""
    ms = system.facts.get("loop_lag_ms")
    if ms is None:
        return skipped("the server does not measure")
    if float(ms) > (_LATE_MS if _has_room(system) else _LATE_ON_A_FULL_MACHINE_MS):
        return failed("the event loop is late", "server", ms=float(ms))
    return passed("server", ms=float(ms))


def _has_room(system: System) -> bool:
    """Not so many programs want to run here that everybody has to wait for a turn."""
    load = float((system.kernel("/proc/loadavg") or "0").split()[0])
    return load <= 1.5 * system.usable_cpus()


@check("api.base", layer="api")
def base(system: System) -> Outcome:
    """The address has no path that belongs to requests."""
    path = urlsplit(system.url).path.rstrip("/")
    if path.endswith(("/v1", "/api", "/chat", "/completions")):
        return failed("the address names a route", "url", url=system.url, path=path)
    return passed("url", url=system.url)


@check("api.login", layer="api", needs=("api.server",))
def login(system: System) -> Outcome:
    """Nothing in front of the server asks for a login of its own."""
    answer = system.get("/version")
    if answer is not None and answer.status in (401, 403, 407) and not answer.json():
        return failed("something before the server refuses", "GET /version", status=answer.status)
    return passed("GET /version")


@check("api.no_html", layer="api", needs=("api.login", "api.base"))
def no_html(system: System) -> Outcome:
    """Routes of the API answer with JSON, not with a page."""
    answer = system.get("/version")
    if answer is not None and answer.is_html:
        facts: Facts = {"url": f"{system.url}/version", "status": answer.status}
        return failed("a web page instead of JSON", "GET /version", **facts)
    return passed("GET /version")


@check("api.identity", layer="api", needs=("api.server", "api.no_html"))
def identity(system: System) -> Outcome:
    """It is this program that answers."""
    answer = system.get("/version")
    if answer is None or answer.json().get("name") != "qwell":
        facts: Facts = {"url": system.url, "status": answer.status if answer else 0}
        if answer is not None and (elsewhere := answer.headers.get("location")):
            facts["location"] = elsewhere
            return failed("the address leads elsewhere", "GET /version", **facts)
        return failed("another program answers", "GET /version", **facts)
    return passed("GET /version", version=str(answer.json().get("version", "")))


@check("api.key", layer="api", needs=OURS)
def key(system: System) -> Outcome:
    """The key that is set here is the key of the server."""
    answer = system.get("/api/doctor/facts")
    if answer is not None and answer.status in (401, 403):
        if not system.api_key:
            return skipped(KEY_WANTED)
        return failed("the key is refused", "GET /api/doctor/facts", status=answer.status)
    return passed("GET /api/doctor/facts")


@check("api.not_limited", layer="api", needs=OURS)
def not_limited(system: System) -> Outcome:
    """Requests are not refused for being too many."""
    for path in ("/version", "/api/doctor/facts", "/v1/models"):
        answer = system.get(path)
        if answer is not None and answer.status == 429:
            after = answer.headers.get("retry-after", "")
            return failed("too many requests", f"GET {path}", status=429, retry_after=after)
    return passed("status codes")


@check("api.ready", layer="api", needs=OURS)
def ready(system: System) -> Outcome:
    """A token can come out."""
    answer = system.get("/ready")
    if answer is None:
        return skipped("no answer")
    if answer.status == 200:
        return passed("GET /ready")
    fault = str(answer.json().get("type", "")).rpartition("/")[2]
    facts: Facts = {
        "status": answer.status,
        "fault": fault,
        "found": str(answer.json().get("detail", "")),
    }
    if fault == "model-still-loading":
        return warned("not yet", "GET /ready", **facts)
    return failed("not ready", "GET /ready", **facts)


@check("api.models", layer="api", needs=("api.ready", "api.key"))
def models(system: System) -> Outcome:
    """The served model is listed, so that clients can name it."""
    answer = system.get("/v1/models")
    listed = answer.json().get("data", []) if answer is not None else []
    if not listed:
        status = answer.status if answer else 0
        return failed("no model is listed", "GET /v1/models", status=status)
    return passed("GET /v1/models", model=str(listed[0].get("id", "")))


@check("api.first_byte", layer="api", needs=("api.ready", "api.key"), timeout_s=30.0)
def first_byte(system: System) -> Outcome:
    """An answer begins at once, with an event that says what is going on."""
    sample = load_sample(system)
    if sample.head is None:
        return skipped(sample.error or "the server was busy")
    if sample.head.status == 429:
        return skipped("refused for being too many: not late")
    if "content-encoding" in sample.head.headers:
        return skipped("compressed: network.stream_plain says so")
    ms = round(sample.frames[0].at_s * 1e3) if sample.frames else 0
    if not sample.frames or ms > 3000:
        return failed("no event within three seconds", "POST /api/chat", ms=ms)
    return passed("POST /api/chat", ms=ms)


@check("api.terminal_event", layer="api", needs=("api.first_byte",), timeout_s=30.0)
def terminal_event(system: System) -> Outcome:
    """An answer ends with exactly one event that says how."""
    events = load_sample(system).events
    ends = [event for event in events if event.get("type") in ("done", "error")]
    if len(ends) != 1 or events[-1] is not ends[0]:
        return failed("the answer has no proper end", "POST /api/chat", ends=len(ends))
    if ends[0]["type"] == "error":
        facts: Facts = {
            "fault": str(ends[0].get("code", "")),
            "found": str(ends[0].get("cause", "")),
        }
        return failed("the answer failed", "POST /api/chat", **facts)
    return passed("POST /api/chat", reason=str(ends[0].get("reason", "")))


@check("api.validates", layer="api", needs=("api.ready", "api.key"))
def validates(system: System) -> Outcome:
    """A malformed request is refused as such, and does not crash anything."""
    body = json.dumps({"messages": "no list"}).encode()
    try:
        answer = system.http("/api/chat", method="POST", body=body)
    except OSError as error:
        return skipped(str(error))
    if answer.status >= 500:
        return failed("a malformed request crashes", "POST /api/chat", status=answer.status)
    return passed("POST /api/chat", status=answer.status)


# ---- what is saved

_DATABASE = "qwell.db"
_HELD_S = 4.0  # longer than a first start takes to make the tables, on a busy machine too


def database_file(system: System) -> Path | None:
    """The conversations' SQLite file, where one is there."""
    path = system.settings.data_path / _DATABASE
    return path if path.is_file() and path.stat().st_size else None


@check("api.database", layer="api", needs=LOCAL, timeout_s=6.0)
def database(system: System) -> Outcome:
    """The database of conversations is whole."""
    path = database_file(system)
    if path is None:
        return skipped("no database is here yet")
    import sqlite3

    try:
        word = str(_ask(path, "PRAGMA quick_check(1)"))
    except sqlite3.OperationalError as error:
        return skipped(str(error), path=str(path))  # api.database_free names a lock
    except sqlite3.DatabaseError as error:
        word = str(error)
    if word != "ok":
        return failed("the database is damaged", "quick_check", path=str(path), found=word)
    return passed("quick_check", path=str(path))


def _ask(path: Path, query: str, timeout_s: float = 2.0) -> object:
    """The first value of the answer. Raises sqlite3.Error."""
    import sqlite3

    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=timeout_s)
    try:
        row = connection.execute(query).fetchone()
    finally:
        connection.close()
    return row[0] if row else None


@check("api.database_free", layer="api", needs=LOCAL, timeout_s=6.0)
def database_free(system: System) -> Outcome:
    """Nobody holds the database for long."""
    path = database_file(system)
    if path is None:
        return skipped("no database is here yet")
    import sqlite3

    connection = sqlite3.connect(path, timeout=_HELD_S, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")  # waits for the writer, if there is one
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            return failed("another process holds it", "BEGIN IMMEDIATE", path=str(path))
        return skipped(str(error), path=str(path))
    except sqlite3.DatabaseError as error:
        return skipped(str(error), path=str(path))  # api.database names the damage
    finally:
        connection.close()
    return passed("BEGIN IMMEDIATE", path=str(path))


@check("api.database_schema", layer="api", needs=("api.database", "api.database_free"))
def database_schema(system: System) -> Outcome:
    """The tables are those of this version; an older database is brought up at the next start."""
    path = database_file(system)
    assert path is not None, "needs api.database"
    import sqlite3

    try:
        if not _ask(path, "SELECT count(*) FROM sqlite_master"):
            return skipped("no table is in it yet", path=str(path))  # its first start makes them
        have = str(_ask(path, "SELECT version_num FROM alembic_version"))
    except sqlite3.Error as error:
        return failed(
            "no schema version in it", "alembic_version", path=str(path), found=str(error)
        )
    known = _revisions()
    if known and have not in known:
        facts: Facts = {"path": str(path), "version": have, "known": " ".join(known)}
        return failed("made by another version of the program", "alembic_version", **facts)
    return passed("alembic_version", version=have)


def _revisions() -> list[str]:
    """Schema versions that this program has migrations for."""
    folder = Path(__file__).parents[2] / "store" / "migrations" / "versions"
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("v*.py"))]
    found = [re.search(r"^revision\b.*?=\s*[\"'](\w+)", text, re.MULTILINE) for text in texts]
    return [match[1] for match in found if match]


@check("api.storing", layer="api", needs=OURS)
def storing(system: System) -> Outcome:
    """The server can save conversations; if not, its reason is a fault by name."""
    error = (system.facts.get("store") or {}).get("error") or {}
    if error:
        facts: Facts = {"fault": str(error.get("fault", "")), "found": str(error.get("found", ""))}
        return failed("conversations are not saved", "server", **facts)
    return passed("server")
