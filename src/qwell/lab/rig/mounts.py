"""File systems made for a while: small ones, read-only ones. Needs root."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from qwell.lab.case import NotInjected
from qwell.lab.leftovers import Run, end_mount


@contextlib.contextmanager
def mounted(run: Run, point: Path, *arguments: str) -> Iterator[Path]:
    """`mount ARGUMENTS point`; what lay at the point is back afterwards."""
    point.mkdir(parents=True, exist_ok=True)
    run.note("mount", str(point))
    done = subprocess.run(
        ["mount", *arguments, str(point)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotInjected(f"no right to mount here: {done.stderr.strip()}")
    try:
        yield point
    finally:
        end_mount(str(point))


def small_disk(run: Run, point: Path, **options: str) -> contextlib.AbstractContextManager[Path]:
    """A file system in memory: size="8m", nr_inodes="64", ..."""
    words = ",".join(f"{name}={value}" for name, value in options.items())
    return mounted(run, point, "-t", "tmpfs", "-o", words, "qwell-lab")


@contextlib.contextmanager
def read_only(run: Run, point: Path) -> Iterator[Path]:
    """The folder as it is, mounted over itself so that nobody can write to it."""
    with mounted(run, point, "--bind", str(point)):
        done = subprocess.run(
            ["mount", "-o", "remount,bind,ro", str(point)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NotInjected(f"no right to remount here: {done.stderr.strip()}")
        yield point
