"""An empty folder that `ls` shows, and the worked case of the empty mount."""

from __future__ import annotations

import pytest

from qwell.doctor.diagnose import diagnose_text
from qwell.doctor.read_lines import split
from qwell.doctor.read_listing import with_empty_folders

HERE = "drwxr-xr-x 2 root root 4096 Nov 22 10:00 .\ndrwxr-xr-x 1 root root 4096 Nov 22 10:00 .."
CONFIG = "OSError: Can't load config for './model'. If you were trying to load it from 'https://hf'"
EMPTY = (
    "$ docker exec web ls -la /app/model\ntotal 0",
    f"docker exec web ls -la /app/model\ntotal 8\n{HERE}",
    "docker exec web ls /app/model (empty)",
    "root@c:/# ls /app/model\n(empty)\nroot@c:/#",
    "容器里 ls /app/model 是空的",
)


@pytest.mark.parametrize("text", EMPTY)
def test_an_empty_folder_is_told_by_one_line(text: str) -> None:
    lines = with_empty_folders(split(text))
    assert any(line.text.endswith("(nothing in /app/model)") for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "$ ls -la /app/model\ntotal 4\n-rw-r--r-- 1 root root 659 Nov 22 10:00 config.json",
        f"$ ls -la /app/model\ntotal 8\n{HERE}\n-rw-r--r-- 1 root root 659 config.json",
        "$ ls /app/model\nconfig.json",
        "$ ls /app/model",
        "the lens of /app/model is empty",
    ],
)
def test_others_are_left_alone(text: str) -> None:
    assert list(with_empty_folders(split(text))) == split(text)


@pytest.mark.parametrize(
    "text",
    [
        *EMPTY[:3],
        CONFIG,
        f"blank page, ERR_CONNECTION_REFUSED\n{CONFIG}",
        "页面空白，ERR_CONNECTION_REFUSED\nOSError: Can't load the configuration of './model'.",
        f"    volumes:\n      - ./model:/app/model\n{CONFIG}",
    ],
)
def test_the_worked_case_is_a_mount(text: str) -> None:
    verdict = diagnose_text(text)
    assert verdict.verdict == "fault"
    first = verdict.diagnoses[0].fault
    assert first.id in {"model-dir-not-mounted", "relative-mount-path"}
    assert "absolute" in " ".join(remedy.do.en for remedy in first.remedies)


def test_a_mount_that_is_only_written_down_is_no_fault() -> None:
    text = "services:\n  web:\n    image: qwell\n    volumes:\n      - ./model:/app/model\n"
    assert diagnose_text(text).verdict != "fault"
