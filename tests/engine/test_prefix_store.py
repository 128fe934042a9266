"""Pieces of conversations on disk: found again, bounded, and never wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwell.engine.prefix_store import PIECE, PrefixStore

TALK = list(range(3 * PIECE + 5))


@contextmanager
def store(folder: Path, model: str = "m", max_bytes: int = 10**6) -> Iterator[PrefixStore]:
    opened = PrefixStore(folder, model, max_bytes)
    yield opened
    opened.close()


def fill(folder: Path, ids: list[int], *, size: int = 100, max_bytes: int = 10**6) -> list[str]:
    with store(folder, max_bytes=max_bytes) as opened:
        names = opened.names(ids)
        for i, name in enumerate(names):
            opened.write(name, lambda i=i: bytes([i]) * size)  # type: ignore[misc]
    return names


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    names = fill(tmp_path / "new" / "folder", TALK)
    assert len(names) == 3
    with store(tmp_path / "new" / "folder") as again:
        assert again.n_kept(names) == 3
        assert [again.read(name) for name in names] == [bytes([i]) * 100 for i in range(3)]


def test_only_whole_pieces_have_names_and_beginnings_are_shared(tmp_path: Path) -> None:
    with store(tmp_path) as one:
        assert one.names(TALK[: PIECE - 1]) == []
        other = [*TALK[: 2 * PIECE], *reversed(TALK[: 2 * PIECE])]
        assert one.names(other)[:2] == one.names(TALK)[:2]
        assert one.names(other)[2] != one.names(TALK)[2]


def test_models_are_not_mixed(tmp_path: Path) -> None:
    names = fill(tmp_path, TALK)
    with store(tmp_path, model="another") as other:
        assert not set(other.names(TALK)) & set(names)


def test_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    [name, *_] = fill(tmp_path, TALK)
    with store(tmp_path) as again:
        again.write(name, lambda: pytest.fail("asked for"))


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, 131), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_is_removed_and_never_served(
    tmp_path: Path, at: int, bit: int, *, cut: bool
) -> None:
    names = fill(tmp_path, TALK)
    path = tmp_path / f"{names[1]}.piece"
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1 << bit
    path.write_bytes(raw[:at] if cut else raw)
    with store(tmp_path) as again:
        assert again.read(names[1]) is None
        assert not path.exists()
        assert again.n_kept(names) == 1


def test_a_file_that_vanished_is_forgotten(tmp_path: Path) -> None:
    names = fill(tmp_path, TALK)
    with store(tmp_path) as again:
        (tmp_path / f"{names[0]}.piece").unlink()
        assert again.read(names[0]) is None
        assert again.n_kept(names) == 0


def test_the_folder_never_outgrows_its_bound_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    old = fill(tmp_path, TALK, max_bytes=4 * 132)
    new = fill(tmp_path, [7, *TALK], max_bytes=4 * 132)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4 * 132
    with store(tmp_path) as again:
        assert again.n_kept(new) == 3
        assert again.n_kept(old) <= 1


def test_of_a_beginning_the_end_goes_first(tmp_path: Path) -> None:
    names = fill(tmp_path, TALK)
    with store(tmp_path, max_bytes=4 * 132) as again:
        again.use(names)
        for i in range(2):
            again.write(str(i), lambda: bytes(100))
    with store(tmp_path) as after:
        assert after.n_kept(names) == 2


def test_what_a_killed_process_left_half_is_removed(tmp_path: Path) -> None:
    (tmp_path / "x.part").write_bytes(b"half")
    with store(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_others_cannot_read_it(tmp_path: Path) -> None:
    [name, *_] = fill(tmp_path / "own", TALK)
    assert (tmp_path / "own").stat().st_mode & 0o77 == 0
    assert (tmp_path / "own" / f"{name}.piece").stat().st_mode & 0o77 == 0


def test_a_folder_that_cannot_be_used_costs_nothing_but_warmth(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    names = fill(tmp_path / "file", TALK)
    assert "do not stay warm" in caplog.text
    with store(tmp_path / "file") as again:
        assert again.n_kept(names) == 0
        assert (tmp_path / "file").is_file()
