"""The version of a source tree that runs without having been built: what a build would be called.

Knows git's words and no package. `python src/qwell/checkout.py` prints it.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNKNOWN = "0+unknown"


def version(root: Path = ROOT) -> str:
    """`1.2.3` at the tag v1.2.3, `1.2.4.dev5+gabc1234` five commits after it.

    `0.1.dev5+gabc1234` before the first tag; without git, the number in pyproject.toml.
    """
    described = _git(root, "describe", "--tags", "--long", "--match", "v[0-9]*")
    if parts := re.fullmatch(r"v(\d+(?:\.\d+)*)-(\d+)-(g\w+)", described):
        return _after(parts[1], int(parts[2]), parts[3])
    if commit := _git(root, "rev-parse", "--short", "HEAD"):
        return f"0.1.dev{_git(root, 'rev-list', '--count', 'HEAD')}+g{commit}"
    return _written(root / "pyproject.toml")


def _after(tag: str, n_commits: int, commit: str) -> str:
    if not n_commits:
        return tag
    before, _, last = tag.rpartition(".")
    return f"{before}.{int(last) + 1}.dev{n_commits}+{commit}"


def _git(root: Path, *arguments: str) -> str:
    """What git says of this very folder; empty where it is no checkout, or git cannot say."""
    if not (root / ".git").exists():  # a folder inside somebody else's checkout is not theirs
        return ""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _written(pyproject: Path) -> str:
    try:
        text = pyproject.read_text(encoding="utf-8")
    except OSError:
        return UNKNOWN
    found = re.search(r'^fallback_version = "(.+)"$', text, re.MULTILINE)
    return f"{found[1]}+source" if found else UNKNOWN


if __name__ == "__main__":
    print(version())
