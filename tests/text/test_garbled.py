"""Text in the wrong encoding is noticed in any split; honest text in any language is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.text.garbled import GarbledWatch

GARBLED = [
    "你好，世界！".encode().decode("latin-1"),
    "naïve café déjà vu à côté".encode().decode("cp1252", "replace"),
    "🙂🙂🙂".encode().decode("cp1252", "replace"),
    "text \ufffd\ufffd\ufffd",
    "锟斤拷锟斤拷锟斤拷",
]
HONEST = [
    "你好，世界！这是一个测试。",
    "«ÉTÉ», «CAFÉ», «É» et «À bientôt» — déjà vu…",
    "Größe, „Ärger“, São Paulo, ÇÃÕ, ÀÉÎÕÜ, Ægir",
    "日本語のテキスト、한국어 텍스트, Привет, мир",
    "a cut character at the end \ufffd",
    "🙂 emoji 👩‍👩‍👧 and flags 🇩🇪",
]


def notices(pieces: list[str]) -> int:
    watch = GarbledWatch()
    return sum(watch.push(piece) for piece in pieces)


@pytest.mark.parametrize("text", GARBLED)
@given(st.data())
def test_garbled_text_is_noticed_once_in_any_split(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert notices(pieces) == 1


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_is_not(text: str) -> None:
    assert notices([text * 5 if "\ufffd" not in text else text]) == 0
    assert notices(list(text)) == 0
