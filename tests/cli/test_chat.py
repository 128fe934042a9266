"""`qwell chat`: one question, a piped one, a talk in a terminal with Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


def test_one_question_is_answered(qwell: Any) -> None:
    done = qwell("chat", "hello there")
    assert done.returncode == 0
    assert done.stdout == "hello there\n"


def test_a_piped_question_is_answered(qwell: Any) -> None:
    assert qwell("chat", stdin="你好").stdout == "你好\n"


def test_a_model_that_cannot_load_is_an_error_with_its_fix(qwell: Any) -> None:
    done = qwell("chat", "hi", QWELL_SCRIPT=json.dumps({"load_fault": "weights-corrupt"}))
    assert done.returncode == 2
    assert "error: weights-corrupt" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("weights-corrupt") == 1  # not also as a line of the worker's log


def test_the_log_of_the_worker_is_heard_only_where_it_is_asked_for(qwell: Any) -> None:
    assert "model ready" not in qwell("chat", "hi").stderr
    assert "model ready" in qwell("chat", "hi", QWELL_LOG_LEVEL="info").stderr


def test_nothing_is_no_question(qwell: Any) -> None:
    for done in (qwell("chat", " "), qwell("chat", stdin="\n")):
        assert done.returncode == 2
        assert "an empty question" in done.stderr
        assert done.stdout == ""


def test_an_answer_that_breaks_off_says_why(qwell: Any) -> None:
    done = qwell("chat", "hi", QWELL_SCRIPT=json.dumps({"crash_after": 1}))
    assert done.returncode == 2
    assert "error: worker-crashed" in done.stderr


class Terminal:
    """A talk on a pseudo-terminal."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "qwell", "chat"],
            env=environ | {"TERM": "dumb"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._seen = ""

    def read_until(self, wanted: str) -> str:
        while wanted not in self._seen:
            self._seen += os.read(self._ours, 4096).decode(errors="replace")
        before, _, self._seen = self._seen.partition(wanted)
        return before

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def test_ctrl_c_stops_the_answer_and_the_talk_goes_on(environ: dict[str, str]) -> None:
    script = {"answers": {"long": "la " * 1000}, "token_delay_s": 0.005}
    terminal = Terminal(environ | {"QWELL_SCRIPT": json.dumps(script)})
    try:
        terminal.read_until("> ")
        terminal.type("long\n")
        terminal.read_until("la la")
        terminal.type("typed ahead")  # not shown while the answer is drawn, and not lost
        terminal.process.send_signal(signal.SIGINT)
        assert "typed ahead" not in terminal.read_until("[stopped")
        terminal.read_until("> ")
        terminal.type("\n")
        terminal.read_until("[done")
        terminal.type("/exit\n")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()


def test_the_talk_remembers_until_told_to_start_over(environ: dict[str, str]) -> None:
    terminal = Terminal(environ)
    try:
        terminal.read_until("> ")
        used = []
        for line in ("one", "two", "/new", "three"):
            terminal.type(f"{line}\n")
            if line != "/new":
                terminal.read_until("[done · ")
                used.append(int(terminal.read_until(" +")))
        assert used[1] > used[0]
        assert used[2] == used[0] + 2  # "three" is two bytes longer than "one"
        terminal.read_until("> ")  # before that, the end of input would be swallowed
        terminal.type("\x04")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()


def test_one_question_as_json(qwell: Any) -> None:
    done = qwell("chat", "--json", "hello there")
    answer = json.loads(done.stdout)
    assert answer["text"] == "hello there"
    assert answer["reason"] == "stop"
    assert answer["usage"]["completion_tokens"] > 0
    failed = qwell("chat", "--json", "hi", QWELL_SCRIPT=json.dumps({"crash_after": 1}))
    assert failed.returncode == 2
    assert json.loads(failed.stdout)["code"] == "worker-crashed"
    unloaded = qwell("chat", "--json", "hi", QWELL_SCRIPT='{"load_fault": "weights-corrupt"}')
    assert unloaded.returncode == 2
    assert json.loads(unloaded.stdout)["code"] == "weights-corrupt"


def test_an_answer_cannot_command_the_terminal(qwell: Any) -> None:
    script = {"answers": {"q": "a\x1b[2Jb"}}
    assert qwell("chat", "q", QWELL_SCRIPT=json.dumps(script)).stdout == "a[2Jb\n"


def test_commands_in_a_talk(environ: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal(environ | {"LANG": "zh_CN.UTF-8"})
    saved = tmp_path / "talk.md"
    try:
        terminal.read_until("停止回答")
        terminal.read_until("> ")
        terminal.type("/retry\n")
        terminal.read_until("还没有提过问题")
        terminal.type("/system be brief\n")
        terminal.read_until("系统提示已设置")
        terminal.type("one \\\ntwo\n")
        terminal.read_until("[完成")
        terminal.type("/retry\n")
        terminal.read_until("[完成")
        terminal.type("/nonsense\n")
        terminal.read_until("没有命令 /nonsense")
        terminal.type("/help\n")
        terminal.read_until("/exit")
        terminal.type(f"/save {saved}\n")
        terminal.read_until("已保存")
        terminal.type("/exit\n")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()
    text = saved.read_text(encoding="utf-8")
    assert text.count("**system**\n\nbe brief") == 1
    assert text.count("**user**\n\none \ntwo") == 1
    assert text.count("**assistant**") == 1


def test_what_was_typed_is_there_the_next_time(environ: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal(environ)
    try:
        terminal.read_until("> ")
        terminal.type("remember me\n")
        terminal.read_until("[done")
        terminal.type("/exit\n")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()
    history = tmp_path / ".local" / "share" / "qwell" / "chat_history"
    assert "remember me" in history.read_text(encoding="utf-8")
    assert history.stat().st_mode & 0o077 == 0
