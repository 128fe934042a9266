"""What a model may say: nothing that the facts do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.doctor.facts_filter import only_facts

_CAUSE = (
    "The cause: Model directory not mounted. The model directory exists on the host but is not "
    "mounted into the container, so the path is empty or unknown inside."
)
EN = (_CAUSE,)
ZH = ("原因：模型目录没有挂载。模型目录在宿主机上有，但没有挂载进容器，容器里看不到。",)


@pytest.mark.parametrize(
    "text",
    [
        "The model directory on the host is not mounted into the container.",
        "The path is empty because the directory is not mounted.",
    ],
)
def test_the_facts_in_other_words_stay(text: str) -> None:
    assert only_facts(text, EN, "en") == text


@pytest.mark.parametrize(
    "sentence",
    [
        "It takes 30 seconds.",
        "It takes thirty seconds.",
        "The directory is /srv/model.",
        "Run docker rm web.",
        "Mount the directory with --force.",
        "Ask Alice about the container.",
        "You should restart the router.",
        "Your model directory is mounted into the container.",  # it is not
        "The container named web-1 is empty.",
        "Good luck!",
    ],
)
def test_what_is_new_is_cut(sentence: str) -> None:
    kept = "The model directory on the host is not mounted into the container."
    assert only_facts(sentence, EN, "en") == ""
    assert only_facts(f"{sentence} {kept}", EN, "en") == kept


@pytest.mark.parametrize(
    "sentence",
    [
        "大约三十秒后恢复。",
        "请重启路由器。",
        "模型目录已经挂载。",
        "目录是 /srv/model。",
        "请用 --privileged 挂载模型目录。",
        "请联系张经理。",
    ],
)
def test_what_is_new_is_cut_in_chinese(sentence: str) -> None:
    kept = "这是因为模型目录没有挂载进容器，所以容器里看不到。"
    assert only_facts(sentence, ZH, "zh") == ""
    assert only_facts(kept + sentence, ZH, "zh") == kept


@given(st.text())
def test_any_text_is_taken(text: str) -> None:
    """And what is left holds no digit, for the facts hold none."""
    assert not any(c.isascii() and c.isdigit() for c in only_facts(text, EN, "en"))
