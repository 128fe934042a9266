"""The invariants of ARCHITECTURE.md that hold for the whole tree rather than for one module."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "qwell"
MODULES = sorted(PACKAGE.rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def loaded_by(statement: str) -> set[str]:
    """Top-level names of all modules that a fresh interpreter holds after the statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def added_by(statement: str) -> set[str]:
    """What the statement loads beyond an empty start and the standard library."""
    return loaded_by(statement) - loaded_by("pass") - sys.stdlib_module_names


@pytest.mark.parametrize(
    "module",
    [f"qwell{m}" for m in ("", ".core", ".errors", ".config", ".log", ".cli", ".doctor.diagnose")],
)
def test_the_core_and_the_command_line_start_with_the_standard_library_alone(module: str) -> None:
    assert added_by(f"import {module}") <= {"qwell"}


def test_serving_loads_no_torch() -> None:
    loaded = added_by("import qwell.server, qwell.worker, qwell.engine, qwell.backends")
    assert not loaded & {"torch", "transformers"}


def test_layers_import_downwards_only() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_has_its_place_among_the_layers() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    placed = {name.strip() for layer in layers for name in layer.split("|")}
    top = {p.stem for p in PACKAGE.glob("*.py")} | {p.parent.name for p in PACKAGE.glob("*/*.py")}
    assert {f"qwell.{name}" for name in top - {"__init__", "__main__"}} <= placed


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_opens_with_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_module_is_named_for_nothing() -> None:
    assert not [p for p in MODULES if p.stem in {"utils", "util", "helpers", "misc", "common"}]


def test_lint_exemptions_carry_their_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rules = re.findall(r'^ +"[A-Z]+[0-9]*",.*$', text, flags=re.MULTILINE)
    assert rules
    assert not [rule for rule in rules if "# " not in rule]


def test_inline_exemptions_carry_their_reason() -> None:
    bare = re.compile(r"# (?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])\s*$", re.MULTILINE)
    assert not [str(p) for p in MODULES if bare.search(p.read_text(encoding="utf-8"))]


def test_built_files_are_not_committed() -> None:
    done = subprocess.run(
        ["git", "ls-files", "src/qwell/server/static", "*.so", "*.gguf", "*.qpack", "build"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    assert done.stdout == ""
