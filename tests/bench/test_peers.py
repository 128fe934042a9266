"""Peers answer or say why they do not; what plays the peer here is a script of a few lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qwell.bench import peer_weights
from qwell.bench.peer_process import PEERS, main
from qwell.bench.peers import Peer
from qwell.bench.run import _sample, _start
from qwell.errors import QwellError

READY = 'say({"version": "peer 1.0"})'

Start = Callable[..., Peer]


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], str]:
    """An interpreter that does what the test says instead of running a peer."""

    def write(body: str) -> str:
        path = tmp_path / "python"
        path.write_text(
            f"#!{sys.executable}\nimport json, os, sys\n"
            "answers = os.fdopen(int(sys.argv[-1]), 'w', buffering=1)\n"
            f"def say(answer): print(json.dumps(answer), file=answers)\n{body}\n"
        )
        path.chmod(0o755)
        return str(path)

    return write


@pytest.fixture
def start(tmp_path: Path, python: Callable[[str], str]) -> Start:
    return lambda body: Peer.start(
        "OpenVINO GenAI", tmp_path / "m.gguf", tmp_path / "peers", 2, python(body)
    )


def test_a_row_names_the_version_and_the_weights(start: Start) -> None:
    answering = 'for line in sys.stdin: say({line.split()[0]: 20.0 if "decode" in line else 300.0})'
    peer = start(f"{READY}\n{answering}")
    peer.sample()
    peer.stop()
    assert peer.result() == {
        "name": "OpenVINO GenAI",
        "version": "peer 1.0",
        "weights": "the file with Q8_0 for Q5_0",
        "model": "m.gguf",
        "decode_tok_s": 20.0,
        "prefill_tok_s": 300.0,
    }


def test_a_peer_that_does_not_start_is_reported_in_its_own_words(start: Start) -> None:
    with pytest.raises(QwellError) as raised:
        start('say({"error": "RuntimeError: unsupported tensor"})')
    assert raised.value.found == (
        "OpenVINO GenAI, the file with Q8_0 for Q5_0: RuntimeError: unsupported tensor"
    )


def test_a_peer_that_crashes_is_reported_with_its_status(start: Start) -> None:
    with pytest.raises(QwellError, match="it ended with status 3"):
        start("sys.exit(3)")


def test_a_peer_that_ends_between_rounds_is_reported_with_its_status(start: Start) -> None:
    peer = start(f"{READY}\nsys.exit(4)")
    peer.process.wait()
    with pytest.raises(QwellError, match="it ended with status 4"):
        peer.sample()


def test_a_peer_that_fails_in_a_round_is_taken_out_and_the_others_stay(start: Start) -> None:
    failing = start(f'{READY}\nsys.stdin.readline()\nsay({{"error": "MemoryError: "}})')
    answering = start(f"{READY}\nfor line in sys.stdin: say({{line.split()[0]: 1.0}})")
    peers = [failing, answering]
    assert _sample(peers) == ["OpenVINO GenAI, the file with Q8_0 for Q5_0: MemoryError: "]
    assert peers == [answering]
    answering.stop()


def test_each_peer_that_is_missing_has_its_line(
    tmp_path: Path, python: Callable[[str], str]
) -> None:
    said: list[str] = []
    crashing = python("sys.exit(1)")
    started, missing = _start(tmp_path / "m.gguf", tmp_path, 2, crashing, said.append)
    assert not started
    assert said == [f"starting {name}" for name in PEERS]
    assert [line.split(",")[0] for line in missing] == list(PEERS)


def test_the_process_of_a_peer_says_which_package_it_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PEERS["llama.cpp"], "package", "qwell-has-no-such-peer")
    read_end, write_end = os.pipe()
    main("llama.cpp", tmp_path / "m.gguf", tmp_path, 2, write_end)
    with os.fdopen(read_end) as answers:
        error = json.loads(answers.read())["error"]
    assert error.startswith("PackageNotFoundError:")
    assert "qwell-has-no-such-peer" in error


@pytest.mark.parametrize("form", sorted({kind.form for kind in PEERS.values()} - {""}))
def test_every_form_that_a_peer_names_can_be_made(form: str) -> None:
    assert isinstance(getattr(peer_weights, form), peer_weights.Form)
