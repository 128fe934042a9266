"""Tokens to final text: any split, same text; whole characters; stop strings never leak."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.text import IncrementalDecoder, StopStrings, Text, Tokenizer
from qwell.text.decoder import held_back

BYTES = Tokenizer.byte_level()
IM_END = 258


def pushed(decoder: IncrementalDecoder, tokens: Iterable[int]) -> list[str]:
    return [decoder.push(token) for token in tokens]


def split(text: str, cuts: Iterable[int]) -> list[str]:
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


def cut_by_definition(text: str, stop: Sequence[str]) -> str:
    """The text before the stop string that is complete first; of those, the longest."""
    for end in range(len(text) + 1):
        hits = [end - len(s) for s in stop if s and text[:end].endswith(s)]
        if hits:
            return text[: min(hits)]
    return text


def test_characters_come_whole() -> None:
    decoder = IncrementalDecoder(BYTES)
    assert pushed(decoder, "é😀a".encode()) == ["", "é", "", "", "", "😀", "a"]
    assert decoder.finish() == ""


def test_a_character_cut_short_becomes_one_replacement() -> None:
    decoder = IncrementalDecoder(BYTES)
    assert pushed(decoder, [0xF0, 0x9F]) == ["", ""]
    assert decoder.finish() == "\ufffd"


def test_control_tokens_have_no_text_and_split_nothing() -> None:
    decoder = IncrementalDecoder(BYTES)
    assert pushed(decoder, [0xC3, IM_END, 0xA9]) == ["", "", "é"]


@given(st.binary())
def test_any_bytes_give_the_text_of_the_whole(data: bytes) -> None:
    decoder = IncrementalDecoder(BYTES)
    assert "".join(pushed(decoder, data)) + decoder.finish() == data.decode(errors="replace")


@given(st.text(), st.data())
def test_an_answer_goes_on_inside_a_character(text: str, data: st.DataObject) -> None:
    tokens = list(text.encode())
    at = data.draw(st.integers(0, len(tokens)))
    first = IncrementalDecoder(BYTES)
    before = "".join(pushed(first, tokens[:at]))
    second = IncrementalDecoder(BYTES, after=tokens[:at])
    assert before + "".join(pushed(second, tokens[at:])) + second.finish() == text


def test_a_stop_string_ends_the_text_before_it() -> None:
    decoder = IncrementalDecoder(BYTES, stop=["\nUser:"])
    assert "".join(pushed(decoder, b"Hi\nUsed\nUser: x")) == "Hi\nUsed"
    assert decoder.hit
    assert decoder.finish() == ""


def test_held_back_text_comes_out_at_the_end() -> None:
    decoder = IncrementalDecoder(BYTES, stop=["END"])
    assert "".join(pushed(decoder, b"the EN")) == "the "
    assert decoder.finish() == "EN"
    assert not decoder.hit


def test_a_replaced_character_can_complete_a_stop_string() -> None:
    decoder = IncrementalDecoder(BYTES, stop=["a\ufffd"])
    assert pushed(decoder, [0x61, 0xC3]) == ["", ""]
    assert decoder.finish() == ""
    assert decoder.hit


def test_empty_stop_strings_count_for_nothing() -> None:
    assert IncrementalDecoder(BYTES, stop=["", ""]).push(0x61) == "a"


letters = st.text("abé", max_size=12)
stops = st.lists(st.text("abé", max_size=4), max_size=3)


@given(letters, stops, st.lists(st.integers(0, 12), max_size=6))
def test_any_split_stops_at_the_same_place(text: str, stop: list[str], cuts: list[int]) -> None:
    filter_ = StopStrings(stop)
    out = "".join(filter_.push(part) for part in split(text, cuts)) + filter_.finish()
    assert out == cut_by_definition(text, stop)


@given(letters, stops)
def test_nothing_leaks_that_could_still_become_a_stop_string(text: str, stop: list[str]) -> None:
    decoder, out, data = IncrementalDecoder(BYTES, stop), "", text.encode()
    for n, byte in enumerate(data, start=1):
        out += decoder.push(byte)
        assert not any(s and s in out for s in stop)
        if not decoder.hit:  # what is out stays a beginning of the answer, come what may
            so_far = data[:n].decode(errors="ignore")
            assert all(cut_by_definition(so_far + s, stop).startswith(out) for s in stop)
    assert out + decoder.finish() == cut_by_definition(text, stop)


@pytest.mark.parametrize(
    ("text", "marks", "n"),
    [("abc", ("cd",), 1), ("abc", ("abc",), 0), ("ab", ("abc", "b!"), 2), ("x", (), 0)],
)
def test_held_back(text: str, marks: tuple[str, ...], n: int) -> None:
    assert held_back(text, marks) == n


@pytest.mark.weights
def test_real_tokens_stream_to_the_text(real_text: Text, corpus: list[str]) -> None:
    text = "".join(corpus[:13])  # text that normalisation leaves alone
    decoder = IncrementalDecoder(real_text.tokenizer, stop=["never in the corpus"])
    parts = pushed(decoder, real_text.tokenizer.encode(text))
    assert "".join(parts) + decoder.finish() == text
    assert "\ufffd" not in "".join(parts)
