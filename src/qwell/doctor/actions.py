"""What can be done by itself: each action changes one thing and returns how to take it back.

Touches qwell's own data, cache, configuration and processes, nothing else. Whether it helped is
not its business.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from qwell.doctor.config_file import config_path, put_lines_back, write_settings
from qwell.doctor.model_files import PARTIAL, header_of, listing, model_place, packs, weight_files
from qwell.doctor.system import System
from qwell.doctor.way_back import NOTHING, WayBack
from qwell.doctor.weight_header import Header

Facts = Mapping[str, Any]
Moved = tuple[str, str]  # from, to
ASIDE = ".damaged"
_LOG_BYTES = 64 * 2**20


class Impossible(Exception):  # noqa: N818  an answer, no accident
    """The action does not apply here; the message says why."""


class Hands(Protocol):
    """What only a running server can do."""

    def restart_worker(self, changes: Mapping[str, Any]) -> None:
        """Start the worker anew, with these settings changed. Raises Impossible."""


class NoServer:
    """The hands of a command line without a server."""

    def restart_worker(self, changes: Mapping[str, Any]) -> None:
        """Without a server the next start reads the changes by itself."""
        if not changes:
            raise Impossible("no server runs: start it with `qwell serve`")


Action = Callable[[System, Hands, Facts], WayBack]
ACTIONS: dict[str, Action] = {}


def action(run: Action) -> Action:
    """Offer a function under its own name to the catalogue's remedies."""
    ACTIONS[run.__name__.replace("_", "-")] = run
    return run


# ---- the worker


@action
def restart_worker(_system: System, hands: Hands, _facts: Facts) -> WayBack:
    """End the worker and start another one."""
    hands.restart_worker({})
    return NOTHING


@action
def fit_to_machine(system: System, hands: Hands, facts: Facts) -> WayBack:
    """Threads, conversations and context as this machine allows; what was set is lowered."""
    changes: dict[str, Any] = {}
    if "threads" in facts:
        changes["threads"] = max(1, int(float(facts.get("cpus", facts.get("cores", 1)))))
    if "kv_mib" in facts:
        changes |= {"parallel": 1, "ctx_size": _fitting_context(facts)}
    if not changes:
        raise Impossible("the evidence names no size to lower")
    return _change_settings(system, hands, changes)


def _fitting_context(facts: Facts) -> int:
    """The longest power of two, at most 4096, whose cache takes a tenth of the memory."""
    per_token = float(facts["kv_mib"]) / (float(facts["ctx_size"]) * float(facts["parallel"]))
    size = 4096
    while size > 512 and size * per_token > 0.1 * float(facts["memory_mib"]):
        size //= 2
    return size


def _change_settings(system: System, hands: Hands, changes: dict[str, Any]) -> WayBack:
    """In the configuration file and, where a server runs, at once."""
    path = config_path(system.environ).absolute()
    old = {name: getattr(system.settings, name) for name in changes}
    lines = write_settings(path, changes)
    try:
        hands.restart_worker(changes)
    except Impossible:
        put_lines_back(path, lines)
        raise
    return WayBack(config=str(path), lines=lines, worker=old)


@action
def choose_free_port(system: System, _hands: Hands, facts: Facts) -> WayBack:
    """Note the next free port in the configuration file, for the next start."""
    port = int(facts.get("port", system.settings.port))
    free = next((n for n in range(port + 1, port + 100) if _is_free(system.settings.host, n)), 0)
    if not free:
        raise Impossible(f"no free port between {port} and {port + 100}")
    path = config_path(system.environ).absolute()
    return WayBack(config=str(path), lines=write_settings(path, {"port": free}))


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


# ---- files of ours


@action
def rebuild_pack(system: System, hands: Hands, facts: Facts) -> WayBack:
    """Put damaged packs aside; the worker makes new ones from the model."""
    moved = [_aside(path) for path in packs(system) if _is_suspect(system, path, facts)]
    if not moved:
        raise Impossible("no pack is there that could be made anew")
    return _made_anew(system, hands, moved)


def _made_anew(system: System, hands: Hands, moved: list[Moved]) -> WayBack:
    """Where nothing new can be had, what was put aside goes back: it may still be of use."""
    back = WayBack(moved=tuple(moved))
    try:
        hands.restart_worker({"model": system.settings.model})
    except Impossible:
        back.take(hands)
        raise
    return back


def _is_suspect(system: System, path: Path, facts: Facts) -> bool:
    """Visibly damaged, or named by the evidence."""
    is_exact = path.stat().st_size == getattr(header_of(system, path), "bytes_needed", -1)
    return not is_exact or str(path) == str(facts.get("path", ""))


@action
def refetch_model(system: System, hands: Hands, facts: Facts) -> WayBack:
    """Put damaged files of our own cache aside; the worker fetches them again."""
    moved = [_aside(path) for path in _damaged_downloads(system, facts)]
    if not moved:
        raise Impossible("no damaged file is in qwell's cache: others are not ours to replace")
    return _made_anew(system, hands, moved)


def _damaged_downloads(system: System, facts: Facts) -> list[Path]:
    """Unfinished files, files with a damaged head, and the one that the evidence names."""
    place = model_place(system)
    cache = system.settings.cache_path.absolute()
    found = [p for p in listing(cache / "models") if p.name.endswith(PARTIAL)]
    if place.is_ours and place.path is not None:
        found += [path for path in weight_files(place.path) if _is_damaged(system, path)]
    named = Path(str(facts.get("path", "")))
    if named.is_file() and named.suffix != ".qpack" and named not in found:
        found.append(named)
    return [path for path in found if path.is_relative_to(cache)]


def _is_damaged(system: System, path: Path) -> bool:
    header = header_of(system, path)
    return not isinstance(header, Header) or path.stat().st_size < header.bytes_needed


def _aside(path: Path) -> Moved:
    """Rename, so that it can be brought back. Old and new name."""
    path = path.absolute()
    other = path.with_name(path.name + ASIDE)
    path.replace(other)
    return str(path), str(other)


@action
def repair_permissions(system: System, _hands: Hands, _facts: Facts) -> WayBack:
    """Give the owner back the right to read and write what lies in data and cache folder."""
    folders = (system.settings.data_path, system.settings.cache_path)
    parts = [part for folder in folders if folder.is_dir() for part in _tree(folder)]
    changed = [(part, old) for part in parts if (old := _with_rights(part)) is not None]
    if not changed:
        raise Impossible("nothing of ours lacks rights: somebody else owns it")
    return WayBack(modes=tuple((str(path.absolute()), mode) for path, mode in changed))


def _tree(folder: Path) -> Iterator[Path]:
    """The folder and all below it, each before its contents: they may only then be readable."""
    yield folder
    for path in listing(folder):
        if path.is_dir() and not path.is_symlink():
            yield from _tree(path)
        else:
            yield path


def _with_rights(path: Path) -> int | None:
    """The mode before, when it was changed."""
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        return None
    old = path.stat().st_mode & 0o7777
    new = old | (0o700 if path.is_dir() else 0o600)
    if new == old:
        return None
    path.chmod(new)
    return old


@action
def rotate_logs(system: System, _hands: Hands, _facts: Facts) -> WayBack:
    """Empty old log files of ours, and remove what was put aside before."""
    freed = 0
    for path in listing(system.settings.data_path / "logs"):
        if re.search(r"\.log\.\d+$", path.name):
            freed += path.stat().st_size
            path.unlink()
        elif path.suffix == ".log" and path.stat().st_size > _LOG_BYTES:
            freed += path.stat().st_size
            os.truncate(path, 0)
    for path in listing(system.settings.cache_path / "packs"):
        if path.name.endswith((ASIDE, ".tmp")):
            freed += path.stat().st_size
            path.unlink()
    if not freed:
        raise Impossible("no log or leftover of ours takes any room")
    return NOTHING


_BACKUPS = ("qwell.db.before-*.bak", "qwell-*.db")  # before upgrades, and of `qwell backup`


@action
def restore_database(system: System, _hands: Hands, facts: Facts) -> WayBack:
    """Put the damaged database aside and the newest whole backup in its place.

    A whole database stays, unless another version of the program made it; then only a backup
    that this version can read helps, and the newest may be a copy of what is there.
    """
    path = system.settings.data_path / "qwell.db"
    if path.exists() and _is_whole(path) and "known" not in facts:
        raise Impossible("the database is whole")
    found = [p for form in _BACKUPS for p in path.parent.glob(form)]
    backups = sorted(found, key=lambda p: p.stat().st_mtime)
    known = str(facts.get("known", "")).split()
    whole = [b for b in backups if _is_whole(b) and (not known or _schema_of(b) in known)]
    if known and not whole:
        raise Impossible("no backup made by this version of the program is there")
    companions = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    parts = (path, *companions)
    moved = [_aside(part) for part in parts if part.exists()]
    if whole:
        shutil.copy2(whole[-1], path)
    return WayBack(made=tuple(str(part.absolute()) for part in parts), moved=tuple(moved))


def _is_whole(path: Path) -> bool:
    return _told_by(path, "PRAGMA quick_check(1)") == "ok"


def _schema_of(path: Path) -> str:
    return _told_by(path, "SELECT version_num FROM alembic_version")


def _told_by(path: Path, query: str) -> str:
    """The first value of the answer; empty where the file gives none."""
    import sqlite3

    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return str((connection.execute(query).fetchone() or ("",))[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return ""


@action
def clear_web_cache(_system: System, _hands: Hands, _facts: Facts) -> WayBack:
    """The answer to this request tells the browser to forget its copies: see server/doctor.py."""
    return NOTHING


# ---- with consent


@action
def remove_stale_lock(system: System, _hands: Hands, _facts: Facts) -> WayBack:
    """Put lock files aside that no process holds."""
    folders = [system.settings.cache_path / name for name in ("packs", "models")]
    locks = [p for f in folders for p in listing(f) if p.name.endswith(".lock")]
    free = [path for path in locks if not _is_held(system, path)]
    if not free:
        raise Impossible("no lock is there that nobody holds")
    return WayBack(moved=tuple(_aside(path) for path in free))


def _is_held(system: System, path: Path) -> bool:
    state = path.stat()
    suffix = f":{state.st_ino} "
    return any(suffix in line for line in (system.kernel("/proc/locks") or "").splitlines())


@action
def stop_old_process(system: System, _hands: Hands, facts: Facts) -> WayBack:
    """End a process of ours that was left behind. Never one of anybody else."""
    pid = int(facts.get("pid", 0))
    command = system.process_command(pid)
    if pid <= 1 or pid == os.getpid() or "qwell" not in command:
        raise Impossible(f"process {pid} is not one of ours")
    os.kill(pid, signal.SIGTERM)
    for _ in range(50):
        if not system.is_alive(pid):
            return NOTHING
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    return NOTHING
