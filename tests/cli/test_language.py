"""The environment chooses the language."""

from __future__ import annotations

import pytest

from qwell.cli.chat_words import COMMANDS, words_for
from qwell.cli.language import preferred


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
