"""What goes in comes out; what is no message is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwell.worker import protocol

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.text(), st.dictionaries(st.text().filter(lambda key: key != "op"), JSON, max_size=4))
def test_every_message_survives_as_one_line(op: str, values: dict[str, Any]) -> None:
    line = protocol.encode({"op": op, **values})
    assert line.count(b"\n") == 1
    assert protocol.decode(line) == {"op": op, **values}


def test_half_a_surrogate_pair_survives() -> None:
    assert protocol.decode(protocol.encode({"op": "x", "text": "\ud83d"}))["text"] == "\ud83d"


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"{", b"[]", b'"op"', b"{}", b'{"op": 1}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(protocol.ProtocolError):
        protocol.decode(line)


def test_neither_side_takes_more_than_the_bound() -> None:
    long = "x" * protocol.MAX_LINE_BYTES
    with pytest.raises(protocol.ProtocolError, match="at most"):
        protocol.encode({"op": long})
    with pytest.raises(protocol.ProtocolError, match="at most"):
        protocol.decode(long.encode() + b"x")
