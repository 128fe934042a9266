"""Addresses as people give them."""

from __future__ import annotations

import pytest

from qwell.cli.address import url_given
from qwell.errors import QwellError


@pytest.mark.parametrize(
    ("given", "called"),
    [
        (None, ""),
        ("", ""),
        ("http://box:8000", "http://box:8000"),
        ("https://chat.example.org/qwell", "https://chat.example.org/qwell"),
        ("box:8000", "http://box:8000"),
        ("10.0.0.7", "http://10.0.0.7"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_without_a_scheme_http_is_meant(given: str | None, called: str) -> None:
    assert url_given(given) == called


@pytest.mark.parametrize(
    "given", ["ftp://box", "http://", "http://box:99999", "http://box:x", "http://[::1", "://box"]
)
def test_what_cannot_be_called_is_refused(given: str) -> None:
    with pytest.raises(QwellError) as refused:
        url_given(given)
    assert refused.value.fault == "config-invalid"
