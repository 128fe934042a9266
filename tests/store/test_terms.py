"""What texts are found by, in Chinese and English."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.store.terms import MAX_TERMS, Term, excerpt, index_terms, query_terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("缓存命中", ["缓存", "存命", "命中", "中"]),
        ("用Python写", ["用", "python", "写"]),
        ("\uff21\uff22\uff23", ["abc"]),
        ("snake_case", ["snake", "case"]),
        ("", []),
        ("?!", []),
        ("again again", ["again"]),
    ],
)
def test_words_and_pairs(text: str, terms: list[str]) -> None:
    assert index_terms(text) == terms


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("cach", [Term("cach", is_prefix=True)]),
        ("缓", [Term("缓", is_prefix=True)]),
        ("缓存", [Term("缓存", is_prefix=False)]),
        ("...", []),
    ],
)
def test_queries(query: str, terms: list[Term]) -> None:
    assert query_terms(query) == terms


def is_found(text: str, query: str) -> bool:
    stored = index_terms(text)
    return all(
        any(it.startswith(term.text) if term.is_prefix else it == term.text for it in stored)
        for term in query_terms(query)
    )


@given(st.text(), st.data())
def test_every_part_of_a_chinese_text_finds_it(other: str, data: st.DataObject) -> None:
    text = data.draw(st.text(alphabet="缓存命中率的一二三", min_size=1, max_size=30))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert is_found(f"{other} {text} {other}", text[start:end])


@given(st.text(max_size=200))
def test_terms_are_letters_and_digits_without_spaces(text: str) -> None:
    """The databases' query languages are given nothing that could mean something in them."""
    for term in index_terms(text):
        assert not set(term) & set("'\"*&|!:() \t\n\\")


def test_the_index_of_a_huge_message_is_bounded() -> None:
    words = " ".join(f"w{n}" for n in range(MAX_TERMS * 2))
    assert len(index_terms(words)) == MAX_TERMS


def test_an_excerpt_shows_the_place() -> None:
    text = "x " * 100 + "the needle lies\nhere" + " y" * 100
    shown = excerpt(text, "NEEDLE")
    assert "needle lies here" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert excerpt("short", "nothing") == "short"
