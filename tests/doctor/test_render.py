"""Commands are filled from evidence, and never with what a log could smuggle in."""

from __future__ import annotations

import pytest

from qwell.doctor.catalogue import load
from qwell.doctor.diagnose import diagnose_text
from qwell.doctor.render import filled, verdict_to_text


def test_the_engine_is_installed_under_its_package() -> None:
    command = "python -m pip install {module}"
    assert filled(command, {"module": "qwell._native"}).endswith(" --force-reinstall qwell")
    assert filled(command, {"module": "numpy"}).endswith(" numpy")


def test_placeholders_are_filled_from_evidence() -> None:
    assert filled("docker logs {container}", {"container": "chat-1"}) == "docker logs chat-1"


def test_what_is_not_known_is_left_to_fill_in() -> None:
    assert filled("docker logs {container}", {}) == "docker logs <container>"


@pytest.mark.parametrize("value", ["x; rm -rf /", "$(id)", "a b", "`id`", "-rf", "x'y", "\n"])
def test_a_log_cannot_put_commands_into_commands(value: str) -> None:
    assert filled("rm {path}", {"path": value}) == "rm <path>"


def test_braces_of_others_stay() -> None:
    command = "docker ps --format '{{.Names}}'"
    assert filled(command, {"container": "x"}) == command


def test_the_container_of_the_log_is_in_the_command() -> None:
    body = diagnose_text("mybox-1 | exited\nmybox-1 exited with code 137").to_dict()
    commands = [c for r in body["faults"][0]["remedies"] for c in r["commands"]]
    assert any("mybox" in command for command in commands)


def test_text_for_the_terminal_in_both_languages() -> None:
    verdict = diagnose_text("OSError: [Errno 28] No space left on device")
    assert "磁盘已满" in verdict_to_text(verdict, "zh", load().harmless)
    assert "Disk is full" in verdict_to_text(verdict, "en", load().harmless)


def test_harmless_messages_are_explained() -> None:
    verdict = diagnose_text("FutureWarning: `x` is deprecated")
    assert "still works" in verdict_to_text(verdict, "en", load().harmless)
