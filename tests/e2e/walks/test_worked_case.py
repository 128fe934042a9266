"""The worked case: a blank page, a refused connection, a model's folder in which nothing is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from qwell.lab.rig.models import write_folder

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("language", ["zh", "en"])]

IS_RECORDED = os.environ.get("QWELL_RECORD_WALKS") == "1"
LOG = """\
GET http://127.0.0.1:8000/ net::ERR_CONNECTION_REFUSED
INFO:     Started server process [1]
Traceback (most recent call last):
  File "/app/main.py", line 21, in <module>
    model = AutoModelForCausalLM.from_pretrained("./model")
OSError: Can't load the configuration of './model'. Make sure './model' is the correct path to a \
directory containing a config.json file
"""
TITLE = ("页面空白：模型目录是空的", "A blank page: the model's folder is empty")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Its name is read in the pictures."""
    with tempfile.TemporaryDirectory(prefix="app-") as made:
        yield Path(made)


@pytest.fixture
def app(program: Any, folder: Path) -> Any:
    """Serves, with nothing in the model's folder."""
    model, cache = folder / "model", folder / "cache"
    model.mkdir()
    made = program(f"--model={model}", f"--cache-dir={cache}", folder=folder)
    made.start("/health")
    return made


def walk_to_the_remedy(walk: Any, port: int) -> None:
    walk.open_panel()
    walk.say(f"页面空白，日志：\n{LOG}", f"The page is blank. The log:\n{LOG}")
    expect(walk.panel.locator(".pasted .telling").last).to_contain_text("Can't load the config")
    walk.show(walk.panel.locator(".heard").first)
    walk.step("说出症状，贴日志", "Tell the symptom, paste the log")
    walk.expect_diagnosis("model-dir-not-mounted")
    expect(walk.panel.locator(".card.remedy").last).to_contain_text(f"-p {port}:8000")
    expect(walk.panel).not_to_contain_text("qwell pull")
    walk.show(walk.panel.locator(".diagnosis-card").last)
    walk.step("目录是空的：要挂载", "The folder is empty: mount it")


def test_a_new_container_with_the_mount(
    begin: Any, app: Any, folder: Path, request: pytest.FixtureRequest, language: Any
) -> None:
    """As told: the absolute path is mounted, and `docker run` makes a new container."""
    walk = begin(app.url, "worked-case", language, title=TITLE)
    walk_to_the_remedy(walk, app.port)
    app.stop()
    mount(folder / "model", request)
    app.start()
    walk.expect_fixed()
    walk.step("模型来了，检查变绿", "The model is there: green")
    walk.expect_answer("你好", "Hello")
    walk.step("真的在回答", "It really answers")
    walk.end()


def mount(model: Path, request: pytest.FixtureRequest) -> None:
    """What a mount brings: a tiny model of random weights; the real one where people look on."""
    if IS_RECORDED:
        real: Path = request.getfixturevalue("real_gguf")
        (model / real.name).symlink_to(real)
    else:
        write_folder(model)


def test_a_folder_that_is_filled_while_the_server_runs(
    begin: Any, app: Any, folder: Path, language: Any
) -> None:
    """Without a restart: the server sees the files, loads them, and the checks turn green."""
    walk = begin(app.url, "folder-filled", language, title=TITLE)
    walk.open_panel()
    walk.say(
        "页面说模型加载失败，模型目录是空的",
        "The page says that the model could not be loaded; its folder is empty",
    )
    walk.expect_diagnosis("model-dir-not-mounted")
    walk.show(walk.panel.locator(".diagnosis-card").last)
    walk.step("目录是空的", "The folder is empty")
    write_folder(folder / "model")
    walk.expect_fixed()
    walk.step("放入模型后，服务自己加载", "The files are there: the server loads by itself")
    walk.end()
