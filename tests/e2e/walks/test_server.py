"""The server's own troubles: gone, its worker dead or frozen, slow by too many threads."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from qwell.lab.rig.models import write_folder

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("language", ["zh", "en"])]

TURN_MS = 30_000


def worker_of(url: str) -> int:
    with urllib.request.urlopen(f"{url}/api/doctor/facts", timeout=30) as response:
        return int(json.load(response)["worker"]["pid"])


def test_a_server_that_is_gone(begin: Any, program: Any, language: Any) -> None:
    """The page alone says where to look and with which command, and notices when it is back."""
    server = program("--engine=scripted")
    server.start()
    title = ("连接被拒绝：服务没有运行", "Connection refused: nothing runs")
    walk = begin(server.url, "server-gone", language, title=title)
    walk.open_panel()
    server.kill()
    walk.panel.locator(".log-input textarea").fill(walk.words("没有回答", "No answer"))
    walk.page.keyboard.press("Enter")
    aid = walk.panel.locator(".aid")
    expect(aid).to_contain_text(f"127.0.0.1:{server.port}", timeout=TURN_MS)
    expect(aid.locator("pre")).to_contain_text(f"qwell serve --port {server.port}")
    walk.step("服务没了，页面自己检查", "The page looks by itself")
    server.start()
    back = walk.words("服务器恢复了", "The server is there again")
    expect(walk.panel.locator(".end.fixed")).to_contain_text(back, timeout=TURN_MS)
    expect(aid).to_have_count(0)
    walk.step("服务恢复，自动变绿", "It is back: green")
    walk.end()


def test_a_worker_that_is_killed_in_mid_answer(
    begin: Any, program: Any, language: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the error card to the evidence of what killed it, and to an answer."""
    monkeypatch.setenv("QWELL_SCRIPT", json.dumps({"token_delay_s": 0.2}))
    server = program("--engine=scripted")
    server.start()
    title = ("回答到一半断了：工作进程被杀", "An answer breaks off: its worker was killed")
    walk = begin(server.url, "worker-killed", language, title=title)
    walk.page.locator(".composer textarea").first.fill(
        walk.words("请从一慢慢数到一百", "Please count slowly from one to a hundred")
    )
    walk.page.keyboard.press("Enter")
    expect(walk.page.locator(".answer")).to_contain_text(walk.words("请从", "Please"))
    os.kill(worker_of(server.url), signal.SIGKILL)
    card = walk.page.locator(".failure")
    card.wait_for()
    walk.step("回答到一半断了", "The answer breaks off")
    card.get_by_role("button", name=walk.words("诊断", "Diagnose")).click()
    walk.expect_diagnosis("worker-crashed")
    walk.panel.locator(".card.open").last.wait_for(timeout=TURN_MS)
    walk.show(walk.panel.locator(".diagnosis-card").last)
    walk.step("在错误卡片上按一下", "One press on the error card")
    walk.expect_fixed(after_s=30)  # it came back by itself: without another death for so long
    walk.step("它自己恢复了，半分钟内没有再退出", "It came back, and stayed for half a minute")
    walk.end()


def test_a_worker_that_is_frozen(begin: Any, program: Any, language: Any) -> None:
    """Nothing comes any more: the dialogue restarts the worker with consent, and chats with it."""
    server = program("--engine=scripted")
    server.start()
    title = ("没有任何反应：工作进程卡住了", "Nothing comes: the worker is frozen")
    walk = begin(server.url, "worker-frozen", language, title=title)
    os.kill(worker_of(server.url), signal.SIGSTOP)
    walk.open_panel()
    walk.say(
        "发了消息一直没有回答，像是卡死了", "I sent a message and no answer comes, it seems to hang"
    )
    walk.expect_diagnosis("worker-unresponsive")
    walk.show(walk.panel.locator(".diagnosis-card").last)
    walk.step("说出症状", "Tell the symptom")
    walk.press(walk.words("执行", "Do it"))
    walk.expect_fixed()
    walk.step("同意后重启，检查变绿", "Restarted with consent: green")
    walk.expect_answer("你好", "Hello")
    walk.step("又能回答了", "It answers again")
    walk.end()


def test_a_first_word_that_takes_long(
    begin: Any, program: Any, tmp_path: Path, language: Any
) -> None:
    """More threads than cores: lowered with consent, verified by an answer, undone at will."""
    model = tmp_path / "model"
    write_folder(model)
    server = program(f"--model={model}", f"--cache-dir={tmp_path / 'cache'}", "--threads=16")
    server.start()
    title = ("第一个字要等很久：线程太多", "The first word takes long: too many threads")
    walk = begin(server.url, "slow-first-word", language, title=title)
    walk.open_panel()
    walk.say(
        "发出问题后第一个字要等很久，回答也很慢",
        "The first word takes very long, and answers are slow",
    )
    walk.expect_diagnosis("thread-oversubscription")
    walk.show(walk.panel.locator(".diagnosis-card").last)
    walk.step("说出症状", "Tell the symptom")
    walk.press(walk.words("执行", "Do it"))
    walk.expect_fixed()
    walk.step("同意后处理，检查变绿", "Done with consent: green")
    walk.panel.locator(".end.fixed").last.get_by_role("button").click()
    walk.panel.locator(".end.handed_over").wait_for(timeout=TURN_MS)
    walk.step("需要时可以恢复原样", "It can be taken back")
    walk.end()
