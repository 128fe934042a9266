"""The environment chooses the language."""

from __future__ import annotations

import os

import pytest

from qwell.cli import banner_words, main
from qwell.cli.banner import bound_lines, model_lines, url_lines
from qwell.cli.chat_words import COMMANDS, words_for
from qwell.cli.language import preferred, speaking
from qwell.config import Settings


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANGUAGE": "zh_TW:en", "LANG": "en_US.UTF-8"}, "zh"),
    ],
)
def test_the_first_variable_that_is_set_decides(environ: dict[str, str], language: str) -> None:
    assert preferred(environ) == language


def test_both_languages_say_the_same_things() -> None:
    zh, en = words_for("zh"), words_for("en")
    assert zh.keys() == en.keys()
    assert set(COMMANDS) <= zh.keys()
    assert all(zh[key].count("{}") == en[key].count("{}") for key in zh)


def test_a_chosen_language_holds_for_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    with speaking("zh"):
        assert preferred() == "zh"
    with speaking(None):
        assert preferred() == "en"
    monkeypatch.delenv("LANGUAGE")
    with speaking("zh"):
        assert preferred() == "zh"
    assert "LANGUAGE" not in os.environ


def test_errors_are_told_in_either_language(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    assert main(["explain", "no-such-fault"]) == 2
    chinese = capsys.readouterr().err
    assert main(["explain", "no-such-fault", "--lang", "en"]) == 2
    english = capsys.readouterr().err
    assert chinese.splitlines()[0] == english.splitlines()[0] == "error: fault-unknown"
    assert "现状：目录中没有故障 'no-such-fault'" in chinese
    assert "found:    no fault 'no-such-fault' in the catalogue" in english


def test_the_start_is_told_in_either_language() -> None:
    zh, en = banner_words.words_for("zh"), banner_words.words_for("en")
    assert zh.keys() == en.keys()
    assert all(zh[key].count("{") == en[key].count("{") for key in zh)
    model = {"name": "Qwen", "n_threads": 2, "threads_why": "2 physical of 4 logical CPUs"}
    assert model_lines(model, "zh") == ["模型    Qwen", "线程    2（4 个逻辑 CPU 中有 2 个物理核）"]
    assert url_lines(Settings(), 80, "zh")[0].startswith("qwell   http://127.0.0.1:80")
    assert "每个请求" in bound_lines(Settings(), "zh")[0]
