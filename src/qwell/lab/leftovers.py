"""Processes, mounts, groups and namespaces of the lab, noted before they are made.

So a later run can sweep what an earlier one could not take away itself.

Knows how to end each kind of thing, and nothing of why it was made.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOME = Path(tempfile.gettempdir()) / "qwell-lab"
NOTES = "leftovers.jsonl"
_numbers = itertools.count(1)  # one process may have several runs


@dataclass(frozen=True, slots=True)
class Run:
    """One run's own folder."""

    folder: Path

    def note(self, kind: str, name: str) -> None:
        """Write down what is about to be made: process, mount, cgroup or namespace."""
        with (self.folder / NOTES).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "name": name}) + "\n")

    def note_process(self, pid: int) -> None:
        """With its start time: the number alone may soon be somebody else's."""
        self.note("process", f"{pid} {_started(pid)}")


@contextlib.contextmanager
def new_run() -> Iterator[Run]:
    """A folder for this run; what dead runs left is swept first, what this one leaves last."""
    sweep()
    folder = HOME / f"run-{os.getpid()}-{next(_numbers)}"
    folder.mkdir(parents=True)
    folder.chmod(0o755)  # some patients are other users
    try:
        yield Run(folder)
    finally:
        _sweep_one(folder)


def sweep() -> list[str]:
    """Take away what runs left whose process is gone. What was found, in words."""
    found = []
    for folder in sorted(HOME.glob("run-*")):
        pid = int(folder.name.split("-")[1])
        if not Path(f"/proc/{pid}").exists():
            found += _sweep_one(folder)
    return found


def _sweep_one(folder: Path) -> list[str]:
    """Newest first. Returns what was still there."""
    notes = folder / NOTES
    lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
    entries = [json.loads(line) for line in reversed(lines)]
    found = [f"{e['kind']} {e['name']}" for e in entries if END[e["kind"]](e["name"])]
    _unlock(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _unlock(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.chmod(0o755)


def _started(pid: int) -> str:
    """Clock ticks since boot, "" when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return text.rpartition(") ")[2].split()[19]


def end_process(name: str) -> bool:
    """Whether it still ran."""
    pid, _, started = name.partition(" ")
    if not started or _started(int(pid)) != started:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid), signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(int(pid), 0)
    return True


def end_mount(point: str) -> bool:
    is_mounted = False
    while f" {point} " in Path("/proc/self/mountinfo").read_text(encoding="utf-8"):
        done = subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
        is_mounted = True
        if done.returncode:
            break
    return is_mounted


def end_cgroup(folder: str) -> bool:
    """Processes in it move to the root group first."""
    path = Path(folder)
    if not path.is_dir():
        return False
    root = Path(*path.parts[: path.parts.index("cgroup") + (1 if _is_unified(path) else 2)])
    for pid in (path / "cgroup.procs").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):
            (root / "cgroup.procs").write_text(pid, encoding="ascii")
    with contextlib.suppress(OSError):
        path.rmdir()
    return True


def _is_unified(path: Path) -> bool:
    return (Path(*path.parts[: path.parts.index("cgroup") + 1]) / "cgroup.controllers").exists()


def end_namespace(name: str) -> bool:
    """Also its end of a veth pair, which goes with it."""
    if not Path(f"/run/netns/{name}").exists():
        return False
    subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
    return True


END = {
    "process": end_process,
    "mount": end_mount,
    "cgroup": end_cgroup,
    "namespace": end_namespace,
}
