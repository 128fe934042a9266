"""The scripts complete what the parser knows; each is run by its shell where that is there."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from qwell.cli.completion import bash, commands_of, fish, zsh
from qwell.cli.parser import build_parser

COMMANDS = commands_of(build_parser())


def completed(words: list[str]) -> list[str]:
    """What bash offers for the last of the words."""
    line = " ".join(f'"{word}"' for word in words)
    script = f"""{bash(COMMANDS)}
        COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}
        _qwell; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_commands_are_completed() -> None:
    assert completed(["qwell", "he"]) == ["health"]
    assert {"serve", "chat", "pull", "completion"} <= set(completed(["qwell", ""]))


def test_flags_are_completed_for_their_command() -> None:
    assert completed(["qwell", "serve", "--max-q"]) == ["--max-queue"]
    assert "--max-queue" not in completed(["qwell", "pull", "--m"])


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["serve", "--quant", "q"], {"q8", "q5", "q4"}),
        (["models", "re"], {"remove"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
    ],
)
def test_values_are_completed(words: list[str], offered: set[str]) -> None:
    assert offered <= set(completed(["qwell", *words]))


def test_paths_are_completed(tmp_path: Any) -> None:
    (tmp_path / "weights.gguf").touch()
    found = completed(["qwell", "serve", "--model", f"{tmp_path}/we"])
    assert found == [f"{tmp_path}/weights.gguf"]


@pytest.mark.parametrize(("shell", "script"), [("zsh", zsh), ("fish", fish), ("bash", bash)])
def test_each_shell_can_read_its_script(shell: str, script: Any, requires_program: Any) -> None:
    text = script(COMMANDS)
    assert text.startswith("#")
    assert all(command.name in text for command in COMMANDS)
    command = [requires_program(shell), "-n"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_prints_the_script(qwell: Any) -> None:
    assert qwell("completion", "fish").stdout == fish(COMMANDS)
