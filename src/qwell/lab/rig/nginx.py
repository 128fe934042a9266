"""A real nginx before the server, configured as an example off the web would."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qwell.lab.case import NotInjected
from qwell.lab.patient import Patient, free_port

GOOD = """\
proxy_http_version 1.1;
proxy_set_header Host $http_host;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $qwell_connection;
proxy_buffering off;
proxy_read_timeout 300s;
client_max_body_size 16m;
"""
_CONF = """\
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $qwell_connection {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port} {tls};
        {extra}
        location / {{
            proxy_pass http://127.0.0.1:{target};
            {lines}
        }}
    }}
}}
"""


@dataclass(slots=True)
class Nginx:
    """lines: of the location; extra: of the server. reload() after a change."""

    folder: Path
    port: int
    target: int
    lines: str = GOOD
    extra: str = ""
    tls: str = ""
    name: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.name}:{self.port}"

    @property
    def log(self) -> str:
        path = self.folder / "error.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def change(self, lines: str, extra: str = "", tls: str = "") -> None:
        """Another configuration, from now on."""
        self.lines, self.extra, self.tls = lines, extra, tls
        self.stop()
        self.start()

    def start(self) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
        if program is None:
            raise NotInjected("not installed: nginx")
        text = _CONF.format(
            folder=self.folder, port=self.port, target=self.target, lines=self.lines,
            extra=self.extra, tls=self.tls,
        )  # fmt: skip
        conf = self.folder / "nginx.conf"
        conf.write_text(text, encoding="utf-8")
        command = [program, "-e", str(self.folder / "error.log"), "-p", str(self.folder)]
        self.process = subprocess.Popen(
            [*command, "-c", str(conf), "-g", "daemon off;"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.03)
        raise NotInjected(f"nginx does not start: {self.log[-300:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


@contextlib.contextmanager
def nginx(
    patient: Patient, lines: str = GOOD, extra: str = "", tls: str = "", *, target: int = 0
) -> Iterator[Nginx]:
    """Before the patient's server, which has to run, or before what else has the port target."""
    folder = patient.folder / f"nginx-{target or patient.port}"
    folder.mkdir()
    made = Nginx(folder, free_port(), target or patient.port, lines, extra, tls)
    try:
        made.start()
        assert made.process is not None
        patient.run.note_process(made.process.pid)
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
