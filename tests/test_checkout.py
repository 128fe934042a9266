"""A source tree says which version it is before anything is built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import setuptools_scm

from qwell.checkout import ROOT, UNKNOWN, version

IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull}
IDENTITY |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | IDENTITY)


def commit(folder: Path, *, times: int = 1) -> None:
    for _ in range(times):
        git(folder, "commit", "--quiet", "--allow-empty", "--message", "x")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, times=2)
    return tmp_path


def test_at_a_tag_it_is_the_tag(tree: Path) -> None:
    git(tree, "tag", "v1.2.3")
    assert version(tree) == "1.2.3"


@pytest.mark.parametrize("tag", ["", "v1.2.3", "v2.0"])
def test_it_is_what_a_build_would_be_called(tree: Path, tag: str) -> None:
    if tag:
        git(tree, "tag", tag)
    commit(tree, times=3)
    built = setuptools_scm.get_version(tree, version_scheme="guess-next-dev")
    assert version(tree).partition("+")[0] == built.partition("+")[0]
    assert version(tree).partition("+")[2].startswith("g")


def test_without_git_it_is_the_written_number(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    assert version(tmp_path).partition("+")[2] == "source"
    assert version(tmp_path / "elsewhere") == UNKNOWN


def test_a_checkout_that_was_never_built_knows_its_version() -> None:
    """As the interpreter alone sees it, with no package of anybody."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import qwell; "
    code += "print(qwell.__version__)"
    command = [sys.executable, "-S", "-I", "-c", code]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.strip() == version()
    assert said.strip() != UNKNOWN
