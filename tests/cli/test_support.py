"""`qwell support`: the dialogue in the terminal, with and without a server."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qwell.cli import main, support_desk
from qwell.cli.support_view import View
from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import Finding, Status
from qwell.doctor.treat import Practice

LOG = "INFO: start\nOSError: [Errno 28] No space left on device: '/data/model.part'\n"
TAKEN = "it will not start: the port is already in use"
CASE = re.compile(r"[0-9a-f]{16}")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.txt"
    path.write_text(LOG, encoding="utf-8")
    return path


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data and configuration of this test alone, and a port where nobody listens."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("QWELL_PORT", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def taken_port(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The configuration file, whose port somebody else listens on."""
    monkeypatch.delenv("QWELL_PORT")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        path = at_home / "home" / "qwell" / "config.toml"
        path.parent.mkdir(parents=True)
        path.write_text(f"# mine\nport = {holder.getsockname()[1]}  # of old\n", encoding="utf-8")
        path.chmod(0o600)
        yield path


@pytest.fixture
def dead_worker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of this machine: a worker that is dead until it is treated. What was treated."""
    from qwell.doctor import clinic
    from qwell.doctor.treat import Treatment

    treated: list[str] = []

    def finding(name: str) -> Finding:
        is_dead = name == "engine.worker" and not treated
        return Finding(name, CHECKS[name].layer, Status.FAIL if is_dead else Status.PASS)

    def examine(_self: Any, names: Any, watch: Any) -> list[Finding]:
        found = [finding(name) for name in names]
        for one in found:
            watch(one)
        return found

    def treat(_self: Any, fault: Any, remedy: Any) -> Treatment:
        treated.append(remedy.id)
        found = tuple(finding(name) for name in fault.verify)
        return Treatment(fault.id, remedy.id, "fixed", "", found)

    monkeypatch.setattr(clinic.LocalClinic, "examine", examine)
    monkeypatch.setattr(clinic.LocalClinic, "treat", treat)
    return treated


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.mark.usefixtures("at_home")
def test_consent_is_asked_for_and_the_fix_is_verified(
    dead_worker: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed(monkeypatch, "the worker is dead\n\ny\n")
    assert main(["support", "--lang", "en"]) == 0
    out = capsys.readouterr().out
    assert len(dead_worker) == 1
    assert "Do it? [y/N]" in out
    assert "Fixed: the checks pass." in out


@pytest.mark.parametrize(("then", "code"), [("1\n", 0), ("", 1)])
def test_a_fix_is_taken_back_by_a_later_process(
    then: str,
    code: int,
    taken_port: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where nobody has said yet that it works now."""
    before = taken_port.read_bytes()
    typed(monkeypatch, f"{TAKEN}\n\ny\n{then}")
    assert main(["support", "--lang", "en"]) == code
    told = re.search(r"To take it back: qwell support --case (\w+) --undo", capsys.readouterr().err)
    assert told
    assert taken_port.read_bytes() != before
    assert taken_port.stat().st_mode & 0o777 == 0o600
    assert main(["support", "--case", told[1], "--undo", "--lang", "en"]) == 0
    assert "it is as it was before" in capsys.readouterr().out
    assert taken_port.read_bytes() == before
    assert main(["support", "--case", told[1], "--undo", "--lang", "en"]) == 1


@pytest.mark.parametrize("how", ["undone", "tried again"])
def test_a_fix_that_was_cut_off_is_taken_back(
    how: str, taken_port: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program ends before it has looked whether the fix helped."""
    before = taken_port.read_bytes()

    def killed(*_: object) -> None:
        raise SystemExit(137)

    typed(monkeypatch, f"{TAKEN}\n\ny\n")
    with monkeypatch.context() as patch:
        patch.setattr(Practice, "_settle", killed)
        with pytest.raises(SystemExit):
            main(["support", "--lang", "en"])
    assert taken_port.read_bytes() != before
    (case,) = [path.stem for path in taken_port.parent.glob("support/*.jsonl")]
    if how == "undone":
        typed(monkeypatch, "")
        assert main(["support", "--case", case, "--lang", "en"]) == 1
        assert f"or take back what was changed: qwell support --case {case} --undo" in (
            capsys.readouterr().out
        )
        assert main(["support", "--case", case, "--undo", "--lang", "en"]) == 0
    else:
        typed(monkeypatch, "go on\n\nn\n")
        assert main(["support", "--case", case, "--lang", "en"]) == 1
        assert "what it changed was taken back" in capsys.readouterr().out
    assert taken_port.read_bytes() == before


@pytest.mark.usefixtures("at_home")
def test_no_answer_is_no_consent(
    dead_worker: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "the worker is dead\n\n")
    assert main(["support", "--lang", "en"]) == 1
    assert dead_worker == []
    assert "go on with: qwell support --case" in capsys.readouterr().err


@pytest.mark.usefixtures("at_home", "dead_worker")
def test_a_case_is_taken_up_again(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "")
    assert main(["support", str(log), "--lang", "zh"]) == 1
    first = capsys.readouterr()
    assert "磁盘" in first.out
    found = CASE.search(first.err)
    assert found
    assert main(["support", "--case", found[0], "--undo", "--lang", "zh"]) == 1
    assert "没有可恢复的" in capsys.readouterr().err
    typed(monkeypatch, "1\n")
    assert main(["support", "--case", found[0], "--lang", "zh"]) == 0
    assert "按您说的记为已解决" in capsys.readouterr().out


@pytest.mark.usefixtures("at_home", "dead_worker")
def test_events_as_json(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, '{"choice": "still_broken"}\n{"choice": "works"}\n')
    main(["support", str(log), "--json", "--lang", "en"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events].count("done") >= 2
    heard = [event["choice"] for event in events if event["type"] == "heard"]
    assert heard[:2] == ["", "still_broken"]


@pytest.mark.usefixtures("at_home", "dead_worker")
def test_the_end_without_a_cure_is_a_file_for_a_helper(
    at_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "xyzzy plugh\n\n" + "n\n" * 20)
    assert main(["support", "--lang", "en"]) == 1
    captured = capsys.readouterr()
    (bundle,) = at_home.glob("qwell-bundle-*.json")
    assert str(bundle.name) in captured.err
    assert json.loads(bundle.read_text(encoding="utf-8"))["said"][0] == "xyzzy plugh"


@pytest.mark.usefixtures("at_home")
def test_unknown_cases_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["support", "--case", "no-such"]) == 2
    assert main(["support", str(tmp_path / "none")]) == 2
    assert "fix:" in capsys.readouterr().err
    assert main(["support", str(tmp_path), "--url", "http://127.0.0.1:1"]) == 2


def test_a_server_leads_its_own_dialogue(
    started: Any, qwell: Run, log: Path, tmp_path: Path
) -> None:
    port = _free_port()
    started("serve", "--port", str(port), "--data-dir", str(tmp_path / "data"))
    url = f"http://127.0.0.1:{port}"
    _wait_until_it_answers(url)
    done = qwell("support", str(log), "--url", url, "--lang", "en", "--json", stdin="")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["type"] == "done", done.stderr
    assert "disk-full" in {e["fault"]["id"] for e in events if e["type"] == "diagnosis"}
    assert (tmp_path / "data" / "support" / f"{events[0]['case']}.jsonl").exists()
    again = qwell("support", "--case", events[0]["case"], "--url", url, "--lang", "en", stdin="1\n")
    assert again.returncode == 0, again.stdout + again.stderr
    refused = qwell("support", "--case", events[0]["case"], "--undo", "--url", url, "--lang", "en")
    assert "can no longer be taken back" in refused.stdout
    assert refused.returncode == 1


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(url: str) -> None:
    import time
    import urllib.request

    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=5).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_event_can_be_shown(language: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """In terminals without such characters, too."""
    both = {"zh": "中", "en": "en"}
    events = [
        {"type": "case"},
        {"type": "check", "check": "a", "title": both, "status": "pass", "because": ""},
        {"type": "check", "check": "b", "title": both, "status": "fail", "because": "x"},
        {"type": "handover", "summary": both},
        {"type": "error", "code": "c", "cause": "d", "fix": "e"},
        {"type": "treated", "result": "undone", "because": "f"},
    ]
    view = View(language, {"pass": "ok", "fail": "FAIL"})
    for event in events:
        view.show(event)
    out = capsys.readouterr().out
    assert "FAIL" in out
    assert "ok " in out
    assert both[language] in out


def test_the_last_turn_begins_with_its_case() -> None:
    events = [{"type": "case"}, {"type": "done"}, {"type": "case", "n": 2}, {"type": "done"}]
    assert support_desk.of_last_turn(events) == events[2:]
    assert support_desk.of_last_turn([]) == []
