"""Each action on real files, and how it is taken back."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from qwell.config import Settings, load
from qwell.doctor.actions import ACTIONS, Impossible, NoServer
from qwell.doctor.config_file import write_settings
from qwell.doctor.system import System
from qwell.doctor.way_back import WayBack
from qwell.weights.tiny import write_tiny_pack


class Hands:
    """Notes what it was asked for."""

    def __init__(self) -> None:
        self.changes: list[Mapping[str, Any]] = []

    def restart_worker(self, changes: Mapping[str, Any]) -> None:
        self.changes.append(dict(changes))


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def system(tmp_path: Path) -> System:
    settings = Settings(
        data_dir=str(tmp_path / "data"), cache_dir=str(tmp_path / "cache"), threads=8, parallel=4
    )
    for folder in (
        settings.data_path,
        settings.cache_path / "packs",
        settings.cache_path / "models",
    ):
        folder.mkdir(parents=True)
    environ = {"HOME": str(tmp_path), "QWELL_CONFIG": str(tmp_path / "config.toml")}
    return System(settings, environ=environ)


def act(name: str, system: System, hands: Any, **facts: Any) -> WayBack:
    return ACTIONS[name](system, hands, facts)


def test_the_worker_is_restarted(system: System, hands: Hands) -> None:
    act("restart-worker", system, hands)
    assert hands.changes == [{}]


def test_without_a_server_there_is_no_worker(system: System) -> None:
    with pytest.raises(Impossible):
        act("restart-worker", system, NoServer())


def test_threads_are_lowered_to_the_cpus(system: System, hands: Hands, tmp_path: Path) -> None:
    undo = act("fit-to-machine", system, hands, threads=8, cpus=2.5)
    assert hands.changes == [{"threads": 2}]
    assert load({}, environ={}, file=tmp_path / "config.toml")[0].threads == 2
    undo.take(hands)
    assert not (tmp_path / "config.toml").exists()
    assert hands.changes[-1] == {"threads": 8}


def test_conversations_and_context_are_lowered_to_the_memory(system: System, hands: Hands) -> None:
    facts = {"ctx_size": 32768, "parallel": 8, "kv_mib": 3072, "memory_mib": 400}
    act("fit-to-machine", system, hands, **facts)
    assert hands.changes == [{"parallel": 1, "ctx_size": 2048}]


def test_nothing_to_lower(system: System, hands: Hands) -> None:
    with pytest.raises(Impossible):
        act("fit-to-machine", system, hands)


def test_a_free_port_is_noted_for_the_next_start(
    system: System, hands: Hands, tmp_path: Path
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        undo = act("choose-free-port", system, hands, port=port)
    chosen = load({}, environ={}, file=tmp_path / "config.toml")[0].port
    assert chosen > port
    undo.take(hands)
    assert not (tmp_path / "config.toml").exists()


def test_other_lines_of_the_configuration_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("# mine\nport = 9000\nthreads = 4\n", encoding="utf-8")
    write_settings(path, {"port": 9001, "parallel": 1})
    assert path.read_text(encoding="utf-8") == "# mine\nport = 9001\nthreads = 4\nparallel = 1\n"


# ---- files


@pytest.fixture
def pack(system: System) -> Path:
    return write_tiny_pack(system.settings.cache_path / "packs" / "m.qpack")


def test_a_damaged_pack_is_put_aside(system: System, hands: Hands, pack: Path) -> None:
    pack.write_bytes(pack.read_bytes()[:-10])
    undo = act("rebuild-pack", system, hands)
    assert not pack.exists()
    assert hands.changes
    undo.take(hands)
    assert pack.exists()


def test_the_pack_of_the_evidence_is_put_aside(system: System, hands: Hands, pack: Path) -> None:
    act("rebuild-pack", system, hands, path=str(pack))
    assert not pack.exists()


def test_a_sound_pack_stays(system: System, hands: Hands, pack: Path) -> None:
    with pytest.raises(Impossible):
        act("rebuild-pack", system, hands)
    assert pack.exists()


def test_an_unfinished_download_is_put_aside(system: System, hands: Hands) -> None:
    part = system.settings.cache_path / "models" / "m.gguf.part"
    part.write_bytes(b"half")
    undo = act("refetch-model", system, hands)
    assert not part.exists()
    undo.take(hands)
    assert part.read_bytes() == b"half"


class NoHub:
    """Nothing new can be fetched."""

    def restart_worker(self, _changes: Mapping[str, Any]) -> None:
        raise Impossible("the model could not be fetched or packed again")


def test_what_cannot_be_fetched_anew_stays_where_it_was(system: System, pack: Path) -> None:
    part = system.settings.cache_path / "models" / "m.gguf.part"
    part.write_bytes(b"half")
    pack.write_bytes(pack.read_bytes()[:-10])
    for name in ("refetch-model", "rebuild-pack"):
        with pytest.raises(Impossible):
            act(name, system, NoHub())
    assert part.read_bytes() == b"half"
    assert pack.exists()
    assert not [*system.settings.cache_path.rglob("*.damaged")]


def test_a_persons_own_model_is_not_ours_to_replace(
    system: System, hands: Hands, tmp_path: Path
) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF broken")
    with pytest.raises(Impossible):
        act("refetch-model", system, hands, path=str(own))
    assert own.exists()


def test_rights_come_back_and_go_again(system: System, hands: Hands) -> None:
    hidden = system.settings.data_path / "conversations"
    hidden.write_text("x", encoding="utf-8")
    hidden.chmod(0o000)
    undo = act("repair-permissions", system, hands)
    assert hidden.stat().st_mode & 0o700 == 0o600
    undo.take(hands)
    assert hidden.stat().st_mode & 0o777 == 0


def test_old_logs_make_room(system: System, hands: Hands) -> None:
    logs = system.settings.data_path / "logs"
    logs.mkdir()
    (logs / "qwell.log").write_text("now", encoding="utf-8")
    (logs / "qwell.log.1").write_text("then", encoding="utf-8")
    act("rotate-logs", system, hands)
    assert [path.name for path in logs.iterdir()] == ["qwell.log"]
    with pytest.raises(Impossible):
        act("rotate-logs", system, hands)


def database(path: Path, word: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (word TEXT)")
        connection.execute("INSERT INTO t VALUES (?)", (word,))
    connection.close()


def word_in(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("SELECT word FROM t").fetchone()[0])
    finally:
        connection.close()


def test_the_newest_whole_backup_takes_the_place(system: System, hands: Hands) -> None:
    path = system.settings.data_path / "qwell.db"
    path.write_bytes(b"no database" * 99)
    database(path.with_name("qwell.db.before-0001.bak"), "saved")
    undo = act("restore-database", system, hands)
    assert word_in(path) == "saved"
    undo.take(hands)
    assert path.read_bytes() == b"no database" * 99


def test_a_backup_that_a_person_made_there_counts_too(system: System, hands: Hands) -> None:
    path = system.settings.data_path / "qwell.db"
    path.write_bytes(b"no database" * 99)
    database(path.with_name("qwell.db.before-0001.bak"), "older")
    os.utime(path.with_name("qwell.db.before-0001.bak"), (0, 0))
    database(path.with_name("qwell-20260101-000000.db"), "newer")
    act("restore-database", system, hands)
    assert word_in(path) == "newer"


def of_version(path: Path, version: str) -> None:
    database(path, version)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num)")
    connection.execute("INSERT INTO alembic_version VALUES (?)", (version,))
    connection.commit()
    connection.close()


def test_only_a_backup_that_this_version_reads_replaces_that_of_another(
    system: System, hands: Hands
) -> None:
    path = system.settings.data_path / "qwell.db"
    of_version(path, "9999")
    facts = {"known": "0001 0002"}
    of_version(path.with_name("qwell.db.before-9999.bak"), "9999")
    with pytest.raises(Impossible):
        ACTIONS["restore-database"](system, hands, facts)
    older = path.with_name("qwell.db.before-0002.bak")
    of_version(older, "0002")
    os.utime(older, (0, 0))
    ACTIONS["restore-database"](system, hands, facts)
    assert word_in(path) == "0002"


def test_a_whole_database_is_never_replaced(system: System, hands: Hands) -> None:
    path = system.settings.data_path / "qwell.db"
    database(path, "present")
    with pytest.raises(Impossible):
        act("restore-database", system, hands)
    assert word_in(path) == "present"


def test_only_a_lock_that_nobody_holds_goes(system: System, hands: Hands) -> None:
    import fcntl

    lock = system.settings.cache_path / "packs" / ".lock"
    with lock.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(Impossible):
            act("remove-stale-lock", system, hands)
    undo = act("remove-stale-lock", system, hands)
    assert not lock.exists()
    undo.take(hands)
    assert lock.exists()


# ---- processes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "qwell"])
    yield process
    process.kill()
    process.wait()


def test_an_old_process_of_ours_is_ended(
    system: System, hands: Hands, sleeper: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + 10
    while "qwell" not in system.process_command(sleeper.pid) and time.monotonic() < deadline:
        os.sched_yield()
    act("stop-old-process", system, hands, pid=sleeper.pid)
    assert sleeper.wait(10) != 0


@pytest.mark.parametrize("pid", [0, 1, os.getpid(), os.getppid()])
def test_no_other_process_is_touched(system: System, hands: Hands, pid: int) -> None:
    if "qwell" in system.process_command(pid) and pid not in (0, 1, os.getpid()):
        pytest.skip("the runner's own command line names the project")
    with pytest.raises(Impossible):
        act("stop-old-process", system, hands, pid=pid)


def test_every_action_of_the_catalogue_exists() -> None:
    from qwell.doctor.catalogue import load as catalogue
    from qwell.doctor.own_faults import own_faults

    faults = [*catalogue().faults.values(), *own_faults().values()]
    named = {r.action for fault in faults for r in fault.remedies if r.action}
    assert named <= set(ACTIONS)
    assert {r.action for f in faults for r in f.remedies if r.safety == "manual"} == {""}
