"""The nginx files, read by a real nginx before a real server: each transport, word by word."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

FILES = Path(__file__).parents[2] / "deploy/nginx"
WORDS = [f"{n} " for n in range(12)]
EVERY_S = 0.1
BODY = {"messages": [{"role": "user", "content": "count"}]}
# without the HTTP parser that only the tests' packages bring: it ignores what HTTP/1.0 lacks
BASE_INSTALL = """
import sys; sys.modules["httptools"] = None
from qwell.cli import main; sys.exit(main())
"""
# what somebody writes who never had a stream: nginx's own defaults, and compression for everything
BAD = """
gzip on; gzip_types *; gzip_proxied any; gzip_min_length 0;
location / { proxy_pass http://qwell; proxy_http_version 1.1; proxy_set_header Host $http_host; }
"""
COLLECTING = """
client_max_body_size 8m;
proxy_ignore_headers X-Accel-Buffering;
location / { proxy_pass http://qwell; proxy_set_header Host $http_host; }
"""


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, **how: Any) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(url, **how).status_code < 500:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.1)  # readiness can only be asked for
    pytest.fail(log.read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, port_of: Callable[[], int]) -> Iterator[str]:
    """A server whose answers have a known pace, and which believes a proxy on this machine."""
    folder, port = tmp_path_factory.mktemp("server"), port_of()
    command = [sys.executable, "-c", BASE_INSTALL, "serve", "--engine=scripted"]
    command += [
        f"--port={port}",
        f"--data-dir={folder}",
        "--trusted-proxy=127.0.0.1",
        "--preflight=off",
    ]
    command += ["--cors-origin=https://chat.example.com"]
    script = json.dumps({"answer": "".join(WORDS), "token_delay_s": EVERY_S})
    log = folder / "serve.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=os.environ | {"QWELL_SCRIPT": script}, stderr=output
        ) as process,
    ):
        try:
            wait_for(f"http://127.0.0.1:{port}/ready", process, log)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def nginx(
    program: str, folder: Path, server: str, port: int, *, file: str = "qwell.conf", rules: str = ""
) -> Iterator[str]:
    """nginx with a file of ours; only addresses and paths are this test's."""
    text = (FILES / file).read_text()
    for ours, here in (
        ("server qwell:8000", f"server {server}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port + 1} ssl"),
        ("/etc/nginx/tls/", f"{folder}/"),
    ):
        assert ours in text or "443" in ours or "tls" in ours
        text = text.replace(ours, here)
    (folder / "qwell.conf").write_text(text)
    (folder / "qwell.locations").write_text(rules or (FILES / "qwell.locations").read_text())
    temp = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    owner = "user root;" if os.geteuid() == 0 else ""  # the folder is its owner's alone
    (folder / "nginx.conf").write_text(
        f"{owner} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {temp} include qwell.conf; }}"
    )
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", f"{folder}/error.log"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/health", process, folder / "error.log", verify=False)
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def front(
    tmp_path_factory: pytest.TempPathFactory,
    server: str,
    port_of: Callable[[], int],
    requires_program: Callable[[str], str],
) -> Iterator[str]:
    with nginx(
        requires_program("nginx"), tmp_path_factory.mktemp("nginx"), server, port_of()
    ) as url:
        yield url


def assert_paced(times: list[float], every_s: float) -> None:
    """They came over the time they were sent in; what is collected comes within moments."""
    assert len(times) > 3
    sent_in = every_s * (len(times) - 1)
    assert times[-1] - times[0] > 0.6 * sent_in
    assert times[len(times) // 2] - times[0] > 0.2 * sent_in


def arrivals(lines: Iterator[str], kind: str) -> list[float]:
    return [time.monotonic() for line in lines if kind in line]


def test_events_come_one_by_one(front: str) -> None:
    path = "/api/selftest/stream?n=10&every_ms=100"
    with httpx.stream("GET", front + path, timeout=30) as answer:
        assert "content-encoding" not in answer.headers
        assert_paced(arrivals(answer.iter_lines(), '"seq"'), 0.1)


def test_words_of_an_answer_come_one_by_one(front: str) -> None:
    with httpx.stream("POST", f"{front}/api/chat", json=BODY, timeout=30) as answer:
        assert_paced(arrivals(answer.iter_lines(), '"delta"'), EVERY_S)


def test_words_come_over_a_websocket(front: str) -> None:
    times, text = [], ""
    with connect(front.replace("http", "ws") + "/ws/chat", proxy=None) as socket:
        socket.send(json.dumps({"op": "chat", **BODY}))
        for frame in socket:
            event = json.loads(frame)
            if event["type"] == "delta":
                times.append(time.monotonic())
                text += event["text"]
            if event["type"] in ("done", "error"):
                assert event["type"] == "done", event
                break
    assert text.strip() == "".join(WORDS).strip()
    assert_paced(times, EVERY_S)


def test_words_come_by_long_polling(front: str) -> None:
    times, text, start, ended = [], "", 0, False
    with httpx.Client(base_url=front, timeout=60) as client:
        stream = client.post("/api/streams", json=BODY).json()["stream"]
        while not ended:
            page = client.get(f"/api/streams/{stream}", params={"from": start}).json()
            deltas = [event["text"] for event in page["events"] if event["type"] == "delta"]
            text += "".join(deltas)
            times += [time.monotonic()] * bool(deltas)
            start, ended = page["next"], page["ended"]
    assert text.strip() == "".join(WORDS).strip()
    assert times[-1] - times[0] > 0.6 * EVERY_S * len(WORDS)


def test_large_bodies_come_through_and_larger_ones_are_refused(front: str) -> None:
    answer = httpx.post(f"{front}/api/selftest/body", content=b"x" * 7_000_000, timeout=30)
    assert answer.json() == {"bytes": 7_000_000}
    assert httpx.post(f"{front}/api/selftest/body", content=b"x" * 9_000_000).status_code == 413


def test_the_page_comes_compressed_and_streams_do_not(front: str) -> None:
    page = httpx.get(front)
    script = page.text.partition('src="')[2].partition('"')[0]
    assert httpx.get(f"{front}{script}").headers["content-encoding"] == "gzip"


def test_a_client_cannot_say_whose_address_it_has(front: str, server: str) -> None:
    """nginx replaces the header; what the server was told last is what counts."""
    httpx.get(f"{front}/version", headers={"X-Forwarded-For": "203.0.113.9"})
    told = httpx.get(f"http://{server}/metrics").text
    assert "203.0.113.9" not in told


def doctor(url: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "qwell", "doctor", "--json", "--layer=network", "--url", url]
    done = subprocess.run(
        [*command, f"--data-dir={folder}", f"--cache-dir={folder}"],
        capture_output=True, check=False, text=True, timeout=120,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def failed_checks(report: dict[str, Any]) -> set[str]:
    return {f["check"] for f in report["findings"] if f["status"] in ("fail", "warn")}


def test_the_doctor_has_nothing_to_say_of_our_files(front: str, tmp_path: Path) -> None:
    assert not failed_checks(doctor(front, tmp_path))


def test_the_doctor_names_what_a_bad_file_does(
    server: str, tmp_path: Path, requires_program: Callable[[str], str], port_of: Callable[[], int]
) -> None:
    """Collected or compressed streams, no WebSocket, small bodies."""
    program = requires_program("nginx")
    bad = {
        "network.stream_plain": "gzip-buffers-stream",
        "network.websocket": "ws-upgrade-missing",
        "network.body_size": "proxy-body-too-large",
    }
    collecting = {
        "network.stream_pacing": "proxy-buffering",
        "network.websocket": "ws-upgrade-missing",
    }
    for rules, expected in ((BAD, bad), (COLLECTING, collecting)):
        with nginx(program, tmp_path, server, port_of(), rules=rules) as url:
            report = doctor(url, tmp_path)
        assert failed_checks(report) == set(expected)
        assert {diagnosis["id"] for diagnosis in report["diagnoses"]} == set(expected.values())


def test_with_tls(
    server: str, tmp_path: Path, requires_program: Callable[[str], str], port_of: Callable[[], int]
) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
         "/CN=chat.example.com", "-addext", "subjectAltName=DNS:chat.example.com,IP:127.0.0.1",
         "-days", "2", "-keyout", "privkey.pem", "-out", "fullchain.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    port = port_of()
    trusted = ssl.create_default_context(cafile=str(tmp_path / "fullchain.pem"))
    program = requires_program("nginx")
    with nginx(program, tmp_path, server, port, file="qwell-tls.conf") as plain:
        moved = httpx.get(f"{plain}/version", headers={"Host": "chat.example.com"})
        assert moved.status_code == 308
        assert moved.headers["location"] == "https://chat.example.com/version"
        assert httpx.get(f"{plain}/health").json()["status"] == "ok"  # as compose.yaml asks
        named = {"Host": "chat.example.com"}
        url = f"https://127.0.0.1:{port + 1}"
        answer = httpx.get(f"{url}/", headers=named, verify=trusted)
        assert answer.is_success
        assert "max-age" in answer.headers["strict-transport-security"]
        foreign = httpx.get(f"{url}/version", headers={"Host": "other.example"}, verify=trusted)
        assert foreign.status_code == 403
        with connect(
            url.replace("https", "wss") + "/ws/chat",
            ssl=trusted,
            proxy=None,
            additional_headers={"Origin": "https://chat.example.com"},
        ) as socket:
            socket.send('{"op": "ping"}')
            assert json.loads(socket.recv(timeout=10))
