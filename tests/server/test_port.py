"""A port that is taken, forbidden or foreign is explained."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from qwell.errors import QwellError
from qwell.server.port import _command, bind


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", "AF_INET"), ("::1", "AF_INET6")])
def test_both_families_can_be_bound(host: str, family: str) -> None:
    with bind(host, 0) as listener:
        assert listener.family == getattr(socket, family)


def test_a_taken_port_names_the_process_that_holds_it() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(QwellError) as refused:
            bind("127.0.0.1", port)
    assert refused.value.fault == "port-in-use"
    assert f"by process {os.getpid()} (" in refused.value.found
    assert f"--port {port + 1}" in refused.value.fix


def test_a_holder_is_named_without_its_flags(tmp_path: Path) -> None:
    words = [b"python", b"-m", b"qwell", b"serve", b"--api-key", b"s3cret", b""]
    (tmp_path / "cmdline").write_bytes(b"\0".join(words))
    assert _command(tmp_path) == "python -m qwell serve"


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(QwellError) as refused:
        bind("203.0.113.1", 0)
    assert refused.value.fault == "config-invalid"
    assert "203.0.113.1" in refused.value.found
