"""The one door to the world: files, the kernel's tables, processes, sockets, HTTP, child probes.

Reads only, judges nothing. What several checks ask for is read once and kept. Tests hand in
another root for the kernel's files and override what goes over the network.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from qwell.config import Settings
from qwell.doctor.address import is_near, url_of
from qwell.doctor.answer import Answer, Frame
from qwell.doctor.cgroup import Cgroup
from qwell.doctor.sockets import Listener, listeners

if TYPE_CHECKING:
    from qwell.doctor.http_door import HttpDoor

T = TypeVar("T")
_FACTS_S = 5.0  # a server whose event loop is late tells so late


class System:
    """A machine, its settings and the server that is looked at.

    settings        those of `qwell serve` on this machine
    settings_error  why they could not be read, as text; settings are then the defaults
    url             the server's address; empty: where the settings say
    root            where the kernel's files hang: /proc, /sys and /etc
    """

    def __init__(
        self,
        settings: Settings,
        *,
        settings_error: str = "",
        url: str = "",
        environ: Mapping[str, str] = os.environ,
        root: Path = Path("/"),
    ) -> None:
        self.settings = settings
        self.settings_error = settings_error
        self.environ = environ
        self.root = root
        self.is_url_given = bool(url)
        self.url = (url or url_of(settings.host, settings.port)).rstrip("/")
        self._kept: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def once(self, name: str, read: Callable[[], T]) -> T:
        """What read returns, read at most once whatever number of checks ask at a time."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._kept:
                self._kept[name] = read()
            value: T = self._kept[name]
            return value

    def keep(self, name: str, value: object) -> None:
        """What `once` of this name gives from now on: for those who know it already."""
        with self._guard:
            self._kept[name] = value

    # -- this machine

    def kernel(self, path: str) -> str | None:
        """Text of a file below /proc, /sys or /etc; None when it is not there or not ours."""
        try:
            return (self.root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError):
            return None

    def kernel_glob(self, pattern: str) -> list[Path]:
        """Paths below the root, whatever they are."""
        return sorted(self.root.glob(pattern))

    def statvfs(self, path: Path) -> os.statvfs_result:
        """Of the file system on which path lies, or would lie when it is made."""
        return os.statvfs(self.nearest(path))

    def nearest(self, path: Path) -> Path:
        """The path, or the closest ancestor that exists."""
        absolute = path.absolute()
        return next(p for p in (absolute, *absolute.parents) if p.exists())

    def can(self, path: Path, mode: int) -> bool:
        return os.access(path, mode)

    def own_ids(self) -> tuple[int, int]:
        """User and group this process runs as."""
        return os.getuid(), os.getgid()

    def usable_cpus(self) -> int:
        """Logical CPUs that this process may run on."""
        return len(os.sched_getaffinity(0))

    def cgroup(self, pid: int | None = None) -> Cgroup:
        """Limits of a process, by default of this one."""
        return Cgroup(self.kernel, "self" if pid is None else str(pid))

    def now(self) -> float:
        """Seconds since 1970, by the machine's clock."""
        return time.time()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    # -- programs

    def program(self, *command: str, timeout_s: float = 5.0) -> tuple[int, str]:
        """Exit code and output of a program that only looks; (127, reason) when there is none."""
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as late:
            said = late.stdout or b""  # bytes, whatever was asked for
            text = said if isinstance(said, str) else said.decode(errors="replace")
            return 127, f"{text}\n{late}"
        except OSError as error:
            return 127, str(error)
        return done.returncode, done.stdout + done.stderr

    def probe(self, module: str, *arguments: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """The JSON that `python -m module` prints, from a child: what crashes there ends there.

        A child that dies gives {"died": exit code, "said": its last words}.
        """
        code, said = self.program(sys.executable, "-m", module, *arguments, timeout_s=timeout_s)
        for line in reversed(said.splitlines()):
            if line.startswith("{"):
                try:
                    found: dict[str, Any] = json.loads(line)
                except ValueError:
                    continue
                return found
        return {"died": code, "said": said[-2000:]}

    def process_command(self, pid: int) -> str:
        """Its command line, or "" when it is gone or hidden."""
        return (self.kernel(f"/proc/{pid}/cmdline") or "").replace("\0", " ").strip()

    def is_alive(self, pid: int) -> bool:
        return (self.root / f"proc/{pid}/stat").exists() and not self._is_zombie(pid)

    def _is_zombie(self, pid: int) -> bool:
        return ") Z " in (self.kernel(f"/proc/{pid}/stat") or "")

    # -- network

    @property
    def is_near(self) -> bool:
        """Whether the server's address is this machine, so that its files are the server's."""
        return is_near(self.url)

    def listeners(self, port: int) -> list[Listener]:
        """Who listens on a TCP port of this machine."""
        return self.once(f"listeners {port}", lambda: listeners(self.root, port))

    def resolve(self, host: str) -> list[str]:
        """Addresses of a name. Raises OSError."""
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return sorted({str(item[4][0]) for item in found})

    def connect(self, host: str, port: int, timeout_s: float = 3.0) -> str:
        """Empty when a TCP connection opens, else refused, timeout, dns or unreachable."""
        try:
            with socket.create_connection((host, port), timeout=timeout_s):
                return ""
        except TimeoutError:
            return "timeout"
        except socket.gaierror:
            return "dns"
        except OSError as error:
            return "refused" if error.errno == errno.ECONNREFUSED else "unreachable"

    @cached_property
    def _door(self) -> HttpDoor:
        from qwell.doctor.http_door import HttpDoor  # takes longer than most checks

        return HttpDoor(self.url, self.api_key)

    @cached_property
    def api_key(self) -> str:
        """The first of the keys that are set here, empty when there is none."""
        if self.settings.api_key:
            return self.settings.api_key.partition(",")[0].strip()
        if not self.settings.api_key_file:
            return ""
        try:
            text = Path(self.settings.api_key_file).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""
        keys = (line.strip() for line in text.splitlines())
        return next((key for key in keys if key and not key.startswith("#")), "")

    def http(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 3.0,
    ) -> Answer:
        """Ask the server, or any other address when path is a whole URL. Raises OSError."""
        return self._door.ask(
            path, method=method, body=body, headers=headers or {}, timeout_s=timeout_s
        )

    def frames(
        self, path: str, *, body: bytes | None = None, timeout_s: float = 10.0
    ) -> tuple[Answer, list[Frame]]:
        """A stream of server-sent events with the time at which each arrived. Raises OSError."""
        return self._door.frames(path, body=body, timeout_s=timeout_s)

    def handshake(self, path: str, timeout_s: float = 3.0) -> Answer:
        """What the server answers when asked to switch to WebSocket. Raises OSError."""
        return self._door.handshake(path, timeout_s)

    def get(self, path: str, timeout_s: float = 3.0) -> Answer | None:
        """GET, once for all checks; None when nothing answers."""
        return self.once(f"GET {path}", lambda: self._try(path, timeout_s))

    def _try(self, path: str, timeout_s: float) -> Answer | None:
        try:
            return self.http(path, timeout_s=timeout_s)
        except OSError:
            return None

    @property
    def facts(self) -> dict[str, Any]:
        """What the server says about itself; empty when none of ours answers."""
        answer = self.get("/api/doctor/facts", timeout_s=_FACTS_S)
        return answer.json() if answer is not None and answer.status == 200 else {}

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""
