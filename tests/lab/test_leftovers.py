"""What a run that was killed left behind is swept by the next one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qwell.lab import leftovers
from qwell.lab.leftovers import Run, new_run, sweep


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(leftovers, "HOME", tmp_path / "lab")
    return tmp_path / "lab"


def dead_run(home: Path) -> Run:
    """A run whose process is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    folder = home / f"run-{ended.pid}"
    folder.mkdir(parents=True)
    return Run(folder)


def test_a_process_of_a_dead_run_is_ended(home: Path) -> None:
    run = dead_run(home)
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    run.note_process(left.pid)
    found = sweep()
    assert found == [f"process {left.pid} {found[0].split()[-1]}"]
    assert left.wait(10) is not None
    assert not run.folder.exists()


def test_a_number_that_belongs_to_somebody_else_now_is_spared(home: Path) -> None:
    run = dead_run(home)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    run.note("process", f"{other.pid} 1")
    assert sweep() == []
    assert other.poll() is None
    other.kill()
    other.wait()


def test_folders_without_rights_go_too(home: Path) -> None:
    run = dead_run(home)
    locked = run.folder / "data"
    locked.mkdir()
    (locked / "file").touch()
    locked.chmod(0o500)
    sweep()
    assert not run.folder.exists()


def test_a_run_that_goes_on_is_left_alone(home: Path) -> None:
    with new_run() as run:
        assert sweep() == []
        assert run.folder.exists()
    assert not run.folder.exists()


def test_two_runs_of_one_process_have_folders_of_their_own(home: Path) -> None:
    with new_run() as one, new_run() as other:
        assert one.folder.parent == other.folder.parent == home
        assert one.folder != other.folder
    assert not one.folder.exists()


def test_mounts_and_namespaces_that_are_gone_are_no_leftovers(home: Path) -> None:
    run = dead_run(home)
    run.note("mount", str(home / "nowhere"))
    run.note("cgroup", "/sys/fs/cgroup/qwell-lab-nowhere")
    run.note("namespace", "qwell-lab-nowhere")
    assert sweep() == []
