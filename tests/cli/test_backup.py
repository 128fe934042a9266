"""`qwell backup` beside a server that answers, and `qwell restore` when it is gone."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from tests.cli.test_serve import read_until

Run = Callable[..., subprocess.CompletedProcess[str]]
MESSAGES = [{"role": "user", "content": "keep this"}]
QUESTION = {"messages": MESSAGES, "conversation": "c", "parent": None}


def test_backup_while_serving_restore_afterwards(
    started: Any, qwell: Run, free_port: int, tmp_path: Path
) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy.db"
    serve = ["serve", "--port", str(free_port), "--data-dir", str(data)]
    url = f"http://127.0.0.1:{free_port}"
    slow = json.dumps({"answer": "word " * 200, "token_delay_s": 0.02})
    server = started(*serve, QWELL_SCRIPT=slow)
    read_until(server, "loaded")
    with httpx.stream("POST", f"{url}/api/chat", json=QUESTION, timeout=60) as answer:
        assert any('"delta"' in line for line in answer.iter_lines())
        made = qwell("backup", str(copy), "--data-dir", str(data))
        refused = qwell("restore", str(copy), "--data-dir", str(data))
    assert (made.returncode, made.stdout.split()[0]) == (0, str(copy))
    assert (refused.returncode, "database-locked" in refused.stderr) == (2, True)
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0

    shutil.rmtree(data)
    restored = qwell("restore", str(copy), "--data-dir", str(data))
    assert restored.returncode == 0, restored.stderr
    read_until(started(*serve), "loaded")
    question, answer_then = httpx.get(f"{url}/api/conversations/c/messages").json()["messages"]
    assert question["content"] == "keep this"
    assert answer_then["state"] == "interrupted"  # it was growing when the copy was made


def test_nothing_to_back_up(qwell: Run, tmp_path: Path) -> None:
    done = qwell("backup", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "--data-dir" in done.stderr
