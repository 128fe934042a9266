"""Keys from setting and file, read again when the file changes, never compared in a hurry."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path

import pytest

from qwell.errors import QwellError
from qwell.server.api_key import matching
from qwell.server.key_ring import Key, KeyRing


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text("# for the shop\nalpha\n\n  beta  \n", encoding="utf-8")
    path.chmod(0o600)
    return path


def opens(ring: KeyRing, secret: str) -> bool:
    return matching(secret, ring.keys()) is not None


def test_without_keys_the_ring_is_open() -> None:
    assert KeyRing().is_open
    assert not KeyRing("a").is_open


def test_keys_come_from_setting_and_file(file: Path) -> None:
    ring = KeyRing("one, two", str(file))
    assert [opens(ring, key) for key in ("one", "two", "alpha", "beta")] == [True] * 4
    assert not any(opens(ring, key) for key in ("", "one, two", "# for the shop", "alph"))


def test_a_changed_file_counts_at_once(file: Path) -> None:
    ring = KeyRing("", str(file))
    file.write_text("gamma-is-new\n", encoding="utf-8")
    assert opens(ring, "gamma-is-new")
    assert not opens(ring, "alpha")


def test_an_emptied_file_lets_nobody_in(file: Path) -> None:
    ring = KeyRing("", str(file))
    file.write_text("", encoding="utf-8")
    assert ring.keys() == ()
    assert not ring.is_open


def test_a_file_that_disappears_changes_nothing_and_is_said_once(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing("", str(file))
    file.unlink()
    assert opens(ring, "alpha")
    assert opens(ring, "beta")
    assert caplog.text.count("the keys stay as they were") == 1
    file.write_text("delta\n", encoding="utf-8")
    assert opens(ring, "delta")


@pytest.mark.parametrize("text", ["", "# nothing\n", None])
def test_a_file_without_a_key_stops_the_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(QwellError) as refused:
        KeyRing("", str(path))
    assert refused.value.fault == "config-invalid"
    assert str(path) in refused.value.found


def test_a_file_that_others_may_read_is_warned_about(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.chmod(0o644)
    KeyRing("", str(file))
    assert "chmod 600" in caplog.text


def test_every_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = tuple(Key.of(secret) for secret in ("a", "b", "c"))
    lengths: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def noting(ours: bytes, theirs: bytes) -> bool:
        lengths.append((len(ours), len(theirs)))
        return compare(ours, theirs)

    monkeypatch.setattr(hmac, "compare_digest", noting)
    assert matching("a", keys) is keys[0]
    assert matching("x" * 100_000, keys) is None
    assert lengths == [(32, 32)] * 6  # all of them, each by digests of the same length


def test_a_key_does_not_show_itself(caplog: pytest.LogCaptureFixture, file: Path) -> None:
    caplog.set_level(logging.DEBUG)
    ring = KeyRing("s3cret", str(file))
    file.write_text("another\n", encoding="utf-8")
    assert "s3cret" not in repr(ring.keys()) + caplog.text
    assert "another" not in caplog.text
