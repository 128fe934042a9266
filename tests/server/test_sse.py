"""Server-sent events survive any split of their bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qwell.server import sse

LINES = st.text(st.characters(exclude_characters="\r", codec="utf-8"), min_size=1)


def test_a_frame_has_its_number_and_ends_with_an_empty_line() -> None:
    assert sse.encode('{"a": 1}', 3) == b'id: 3\ndata: {"a": 1}\n\n'


def test_comments_are_no_frames() -> None:
    assert sse.Decoder().push(sse.PING + sse.encode("x")) == [sse.Frame("x")]


@given(st.lists(LINES), st.data())
def test_any_split_gives_the_same_frames(texts: list[str], data: st.DataObject) -> None:
    wire = b"".join(sse.encode(text, number) for number, text in enumerate(texts))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)))))
    decoder = sse.Decoder()
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    frames = [frame for piece in pieces for frame in decoder.push(piece)]
    assert frames == [sse.Frame(text, str(number)) for number, text in enumerate(texts)]
