"""The documents say what the code does: commands, settings, links, decisions, guards."""

from __future__ import annotations

import re
import tomllib
from dataclasses import Field, fields
from pathlib import Path

import pytest

from qwell.config import Settings

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
README_ZH = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each fenced block that names a language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_both_readmes_lead_with_the_two_commands() -> None:
    for text in (README, README_ZH):
        language, block = code_blocks(text)[0]
        assert language == "sh"
        assert [line.split("#")[0].strip() for line in block.splitlines()] == [
            "make run",
            "make test",
        ]


def test_both_readmes_show_the_same_commands() -> None:
    assert code_blocks(README) == code_blocks(README_ZH)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_make_targets_in_documents_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if not (path.parent / link).exists()]


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda f: f.name)
def test_every_setting_is_documented_with_its_default(setting: Field[object]) -> None:
    reference = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    flag = f"--{setting.name.replace('_', '-')}"
    default = "empty" if setting.default in ("", ()) else f"`{setting.default}`"
    row = f"| `{setting.name}` | `{flag}` | `QWELL_{setting.name.upper()}` | {default} |"
    assert row in reference
    line = next(line for line in reference.splitlines() if line.startswith(row))
    for choice in setting.metadata["choices"]:
        assert f"`{choice}`" in line


def test_flags_in_the_readmes_are_settings() -> None:
    known = {f"--{f.name.replace('_', '-')}" for f in fields(Settings)}
    assert set(re.findall(r"`(--[a-z-]+)", README + README_ZH)) <= known


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    for number, page in enumerate(pages, start=1):
        text = page.read_text(encoding="utf-8")
        title = text.splitlines()[0]
        assert title.startswith(f"# {number}. ")
        assert f"| [{number}]({page.name}) | {title.partition('. ')[2]} |" in index
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
            "Context",
            "Options",
            "Outcome",
            "Consequences",
        ]


def test_every_invariant_names_a_test_that_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text.partition("## Invariants")[2].partition("\n## ")[0]
    for line in re.split(r"^(?=\d+\. )", section, flags=re.MULTILINE)[1:]:
        guards = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", line)
        assert guards, f"no guard: {line}"
        for file, test in guards:
            defined = rf"^ *(async )?(def {test}\(|{test} = )"
            assert re.search(defined, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test


def test_the_changelog_knows_the_version() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    version = tools["setuptools_scm"]["fallback_version"]
    first = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert first in ("Unreleased", version)
