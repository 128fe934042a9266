"""A PostgreSQL server of one's own, on a socket in its folder. Knows no fault.

Run by somebody who is not root, in the least helpful locale.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qwell.lab.case import NotInjected
from qwell.lab.leftovers import Run

_USER = "qwell"


@dataclass(frozen=True, slots=True)
class PostgreSql:
    """programs: the folder of initdb and pg_ctl; folder: data, log and socket."""

    run: Run
    programs: Path
    folder: Path

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}@/postgres?host={self.folder}"

    def start(self) -> None:
        options = f"-c listen_addresses= -c fsync=off -c unix_socket_directories={self.folder}"
        log = ("-l", str(self.folder / "log"))
        self._do("pg_ctl", "-D", str(self._data), "-w", *log, "-o", options, "start")
        pid = (self._data / "postmaster.pid").read_text(encoding="ascii").split()[0]
        self.run.note_process(int(pid))

    def stop(self) -> None:
        """As `systemctl stop postgresql` does; nothing when it does not run."""
        if (self._data / "postmaster.pid").exists():
            self._do("pg_ctl", "-D", str(self._data), "-w", "-m", "fast", "stop")

    def create(self) -> None:
        self.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        how = ("-U", _USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        self._do("initdb", "-D", str(self._data), *how)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _do(self, program: str, *arguments: str) -> None:
        is_root = os.geteuid() == 0
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            check=False, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=60,
            user="postgres" if is_root else None, group="postgres" if is_root else None,
            extra_groups=[] if is_root else None,
        )  # fmt: skip
        if done.returncode:
            raise NotInjected(f"{program} {arguments[-1]} fails: code {done.returncode}")


@contextlib.contextmanager
def postgresql(run: Run) -> Iterator[PostgreSql]:
    """A fresh one that runs; gone afterwards."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(known[-1]) if known else shutil.which("initdb")
    if found is None:
        raise NotInjected("not installed: postgresql")
    made = PostgreSql(run, Path(found).parent, run.folder / "pg")
    try:
        made.create()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.folder, ignore_errors=True)
