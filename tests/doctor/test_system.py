"""The door to the world: this machine's kernel, real sockets, real HTTP."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from qwell.config import Settings
from qwell.doctor import baseline
from qwell.doctor.address import is_everywhere, is_near, url_of
from qwell.doctor.cgroup import Cgroup, Throttling
from qwell.doctor.posted import KEEP_S, Posted
from qwell.doctor.run_record import RunRecord, read_record, remove_record, write_record
from qwell.doctor.system import System


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        events = b'data: {"seq": 0}\n\n: ping\n\ndata: {"seq":\ndata: 1}\n\n'
        body = events if self.path == "/events" else b'{"key": "%s"}' % self._key()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _key(self) -> bytes:
        return self.headers.get("Authorization", "none").encode()

    def log_message(self, *_args: Any) -> None:
        """Quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_http_and_its_key(url: str) -> None:
    system = System(Settings(api_key="first, second"), url=url)
    assert system.http("/x").json() == {"key": "Bearer first"}
    assert system.http(f"{url}/x").json() == {"key": "none"}  # whole URLs may be anybody's


def test_the_first_key_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# ours\nalpha\nbeta\n", encoding="utf-8")
    assert System(Settings(api_key_file=str(path))).api_key == "alpha"
    assert System(Settings(api_key_file=str(tmp_path / "none"))).api_key == ""


def test_a_redirect_is_evidence(url: str) -> None:
    assert System(Settings(), url=url).http("/redirect").status == 302


def test_frames_have_a_time_each(url: str) -> None:
    head, frames = System(Settings(), url=url).frames("/events")
    assert head.status == 200
    assert [frame.json() for frame in frames] == [{"seq": 0}, {"seq": 1}]
    assert frames[0].at_s <= frames[1].at_s


def test_nothing_there_is_an_os_error(free_port: int) -> None:
    system = System(Settings(port=free_port))
    for ask in (
        lambda: system.http("/"),
        lambda: system.frames("/"),
        lambda: system.handshake("/"),
    ):
        with pytest.raises(OSError):  # noqa: PT011  whatever it is
            ask()
    assert system.get("/") is None
    assert system.facts == {}
    assert system.connect("127.0.0.1", free_port) == "refused"


def test_a_proxy_does_not_get_calls_to_this_machine(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert System(Settings(), url=url).http("/x").status == 200


def test_listeners_with_their_process() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        (found,) = System(Settings()).listeners(listener.getsockname()[1])
    assert (found.address, found.pid) == ("127.0.0.1", os.getpid())


def test_programs_that_do_not_exist_or_do_not_end() -> None:
    system = System(Settings())
    assert system.program("no-such-program")[0] == 127
    assert system.program(sys.executable, "-c", "while True: pass", timeout_s=0.2)[0] == 127


def test_a_program_that_does_not_end_leaves_what_it_said() -> None:
    program = "print('begun', flush=True)\nwhile True: pass"
    code, said = System(Settings()).program(sys.executable, "-c", program, timeout_s=2.0)
    assert code == 127
    assert said.startswith("begun")
    assert "timed out" in said


def test_a_probe_that_dies_leaves_its_last_words(tmp_path: Path) -> None:
    found = System(Settings()).probe("no.such.module")
    assert found["died"] == 1
    assert "No module named" in found["said"]


def test_what_is_read_once_is_kept() -> None:
    system, calls = System(Settings()), []
    for _ in range(3):
        system.once("x", lambda: calls.append(1))
    assert len(calls) == 1


def test_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert System(Settings()).nearest(tmp_path / "a" / "b") == tmp_path


def test_processes_that_live(tmp_path: Path) -> None:
    system = System(Settings())
    assert system.is_alive(os.getpid())
    assert not system.is_alive(2**22 + 1)
    assert "python" in system.process_command(os.getpid())


# ---- small parts


def test_addresses() -> None:
    assert url_of("0.0.0.0", 8000) == "http://127.0.0.1:8000"  # noqa: S104  made up
    assert url_of("::", 8000) == "http://[::1]:8000"
    assert is_near("http://localhost:1")
    assert not is_near("http://192.0.2.1:1")
    assert is_everywhere("::")


def cgroup(files: dict[str, str]) -> Cgroup:
    return Cgroup(files.get, "self")


def test_the_tightest_limit_of_all_ancestors_counts() -> None:
    group = cgroup(
        {
            "/proc/self/cgroup": "0::/a/b\n",
            "/sys/fs/cgroup/a/b/cpu.max": "max 100000",
            "/sys/fs/cgroup/a/cpu.max": "150000 100000",
            "/sys/fs/cgroup/a/b/memory.max": "1000",
            "/sys/fs/cgroup/a/memory.max": "max",
            "/sys/fs/cgroup/a/b/memory.current": "700",
            "/sys/fs/cgroup/a/b/memory.stat": "inactive_file 200\n",
            "/sys/fs/cgroup/a/b/memory.events": "oom 1\noom_kill 2\n",
            "/sys/fs/cgroup/a/b/cpu.stat": "usage_usec 9\nnr_periods 10\nnr_throttled 4\n",
        }
    )
    assert group.cpu_quota() == 1.5
    assert (group.memory_limit(), group.memory_used(), group.oom_kills()) == (1000, 500, 2)
    assert group.throttling() == Throttling(10, 4)


def test_groups_of_version_one() -> None:
    group = cgroup(
        {
            "/proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/x\n0::/\n",
            "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "200000",
            "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000",
            "/sys/fs/cgroup/memory/x/memory.limit_in_bytes": "4096",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096),
        }
    )
    assert group.cpu_quota() == 2.0
    assert group.memory_limit() == 4096
    assert group.throttling() is None


def test_a_kernel_without_groups_limits_nothing() -> None:
    group = cgroup({})
    assert (group.cpu_quota(), group.memory_limit(), group.oom_kills()) == (None, None, None)
    assert group.processes() is None


def test_the_note_of_a_server(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    write_record(tmp_path, RunRecord(os.getpid(), "http://x", 1.0))
    assert read_record(tmp_path) == RunRecord(os.getpid(), "http://x", 1.0)
    remove_record(tmp_path)
    assert read_record(tmp_path) is None
    write_record(tmp_path, RunRecord(1, "http://other", 1.0))
    remove_record(tmp_path)  # another server's note stays
    assert read_record(tmp_path) is not None


def test_a_baseline_counts_after_some_measurements(tmp_path: Path) -> None:
    key = baseline.key_of({"name": "m", "quant": "q5"})
    known = baseline.load(tmp_path, key)
    for tok_s in (30.0, 40.0, 50.0, 40.0, 40.0, 1.0):
        known = baseline.extended(known, tok_s, 100.0, "1, 2, 3")
    assert known.is_known
    assert (known.tok_s, known.n, known.answers) == (
        40.0,
        5,
        ("1, 2, 3",),
    )  # the last came too late
    baseline.save(tmp_path, key, known)
    assert baseline.load(tmp_path, key) == known
    assert not baseline.load(tmp_path, baseline.key_of({"name": "other"})).is_known
    (tmp_path / baseline.FILE).write_text("[]", encoding="utf-8")
    assert baseline.load(tmp_path, key).n == 0


def test_what_pages_post_grows_old() -> None:
    now = 0.0
    posted = Posted(lambda: now)
    posted.take([{"check": "browser.cors", "status": "fail", "evidence": "no list"}])
    assert [finding.check for finding in posted.findings()] == ["browser.cors"]
    now = KEEP_S + 1
    assert posted.findings() == []
