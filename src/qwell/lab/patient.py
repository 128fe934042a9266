"""One installation of qwell in a folder of its own: settings, environment, server, commands.

Everything a person could do with it, done by the real programs. Knows no fault.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qwell.doctor.config_file import write_settings
from qwell.lab.ask import Chat, ask, get
from qwell.lab.case import NotInjected
from qwell.lab.leftovers import Run

START_S = 90.0  # of a server on a machine that is busy with other things
COMMAND_S = 120.0
_KEPT = ("PATH", "LANG", "VIRTUAL_ENV", "TZ")


class Patient:
    """Settings are a configuration file, as a person has it, so that treatment may change them.

    environ and prefix hold for every command, the server's and the doctor's alike.

    prefix         a command that runs what follows it: `taskset -c 0`, `ip netns exec NAME`
    server_prefix  the one that reaches the server, where people and the doctor are elsewhere
    """

    def __init__(self, run: Run, name: str, **settings: Any) -> None:
        self.run = run
        self.name = name
        self.folder = run.folder / name
        for part in ("home", "data", "cache", "tmp"):
            (self.folder / part).mkdir(parents=True)
        self.prefix: list[str] = []
        self.server_prefix: list[str] | None = None
        self.config = self.folder / "config.toml"
        self.environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self.environ |= {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "QWELL_CONFIG": str(self.config),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPYCACHEPREFIX": str(run.folder / "bytecode"),  # compiled once, for all patients
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        self.environ.setdefault("LANG", "C.UTF-8")
        self.log_path = self.folder / "terminal.log"
        self.server: subprocess.Popen[bytes] | None = None
        own: dict[str, Any] = {"data_dir": str(self.data), "cache_dir": str(self.folder / "cache")}
        own |= {"port": free_port(), "drain_timeout_s": 1}  # nobody waits for unread answers
        write_settings(self.config, {**own, **settings})

    # -- what it is

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def settings(self) -> dict[str, Any]:
        """As the configuration file has them now: treatment may have changed it."""
        return tomllib.loads(self.config.read_text(encoding="utf-8"))

    @property
    def port(self) -> int:
        return int(self.settings["port"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """What the terminal of the server shows."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    @property
    def pid(self) -> int:
        assert self.server is not None, "not started"
        return self.server.pid

    def facts(self) -> dict[str, Any]:
        """What the server says of itself; empty when it does not answer."""
        status, text = self.get("/api/doctor/facts")
        found: dict[str, Any] = json.loads(text) if status == 200 else {}
        return found

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of an answer of the server, from where it is; 0 when it is silent."""
        place = self.prefix if self.server_prefix is None else self.server_prefix
        if not _is_elsewhere(place):
            return get(self.url + path)
        question = (sys.executable, "-m", "qwell.lab.ask", "--get", self.url + path)
        done = self.program(*place, *question, is_whole=True)
        status, text = json.loads(done.stdout)
        return int(status), str(text)

    def worker_pid(self) -> int:
        """0 when there is none."""
        return int(self.facts().get("worker", {}).get("pid") or 0)

    # -- changing it, for a while

    @contextlib.contextmanager
    def configured(self, **changes: Any) -> Iterator[None]:
        before = self.config.read_bytes()
        try:
            write_settings(self.config, changes)
            yield
        finally:
            self.config.write_bytes(before)

    @contextlib.contextmanager
    def with_environ(self, **changes: str) -> Iterator[None]:
        before = dict(self.environ)
        self.environ |= changes
        try:
            yield
        finally:
            self.environ.clear()
            self.environ.update(before)

    @contextlib.contextmanager
    def within(self, *prefix: str) -> Iterator[None]:
        before = self.prefix
        self.prefix = [*before, *prefix]
        try:
            yield
        finally:
            self.prefix = before

    @contextlib.contextmanager
    def restarted(self, **changes: Any) -> Iterator[str]:
        """With these settings, and as before afterwards. Gives what start() said."""
        with self.configured(**changes):
            try:
                yield self.restart()
            finally:
                self.stop()
        self.start()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Off while the block begins; on again, as it was, afterwards."""
        self.stop()
        try:
            yield
        finally:
            self.stop()
            self.start()

    # -- what a person does

    def command(self, *arguments: str) -> list[str]:
        return [*self.prefix, sys.executable, "-m", "qwell", *arguments]

    def start(self) -> str:
        """`qwell serve` until it is ready, has failed for good or has ended: which of them."""
        self.stop()
        with self.log_path.open("wb") as output:
            self.server = subprocess.Popen(
                self.command("serve"),
                env=self.environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.run.note_process(self.server.pid)
        return self.settle()

    def settle(self, patience_s: float = START_S) -> str:
        """ready, failed, ended, or silent when none of them was seen in time."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if self.server is not None and self.server.poll() is not None:
                return "ended"
            if (state := self.state()) in ("ready", "failed") and self._is_own():
                return state
            time.sleep(0.05)  # readiness can only be asked for
        return "silent"

    def _is_own(self) -> bool:
        """It is this server that answers, and not one that had the port before."""
        said = self.facts().get("pid")
        return _is_elsewhere(self.prefix) or said is None or self.server is None or said == self.pid

    def state(self) -> str:
        """ready, loading, failed or silent."""
        status, text = self.get("/ready")
        if status in (0, 200):
            return "ready" if status else "silent"
        return "loading" if "model-still-loading" in text else "failed"

    def stop(self) -> None:
        """Whatever state it is in."""
        if self.server is None:
            return
        self.server.send_signal(18)  # a stopped process hears nothing else: SIGCONT
        self.server.terminate()
        try:
            self.server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.server = None

    def restart(self) -> str:
        self.stop()
        return self.start()

    def qwell(
        self, *arguments: str, stdin: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of qwell to its end."""
        return self.program(*self.command(*arguments), stdin=stdin, is_whole=True, **environ)

    def program(
        self, *command: str, stdin: str = "", is_whole: bool = False, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Any program in the patient's environment; output and errors in one text."""
        whole = list(command) if is_whole else [*self.prefix, *command]
        return subprocess.run(
            whole,
            env=self.environ | environ,
            cwd=self.folder,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if not is_whole else subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=COMMAND_S,
            check=False,
        )

    def python(self, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """A program of the person's own."""
        return self.program(sys.executable, "-c", code, is_whole=False, **environ)

    def spawn(self, *command: str, **environ: str) -> subprocess.Popen[bytes]:
        """A program that goes on; the caller ends it, and the sweep where that fails."""
        process = subprocess.Popen(
            [*self.prefix, *command],
            env=self.environ | environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.run.note_process(process.pid)
        return process

    def chat(self, *turns: str, url: str = "", **options: Any) -> Chat:
        """One real streamed answer."""
        if not _is_elsewhere(self.prefix):
            return ask(url or self.url, *turns, **options)
        kept = ["--kept"] if options.get("is_kept") else []
        words = [*kept, url or self.url, *turns[:1]]
        done = self.program(sys.executable, "-m", "qwell.lab.ask", *words)
        try:
            found = json.loads(done.stdout.strip().rpartition("\n")[2])
        except ValueError:
            return Chat(error=done.stdout[-300:])
        return Chat(**(found | {"notices": tuple(found["notices"])}))

    def trouble(self) -> str:
        """What is wrong with a real chat, "" when nothing is."""
        chat = self.chat()
        return chat.error or ("" if chat.text else "an empty answer")

    def start_trouble(self) -> str:
        """What a person sees who starts it: the last line of the terminal, or a failing chat."""
        if self.start() == "ended":
            return self.last_line or "it ends without a word"
        return self.trouble()

    @property
    def last_line(self) -> str:
        """Of the terminal, without the empty ones."""
        return next((line for line in reversed(self.log.splitlines()) if line.strip()), "")

    def save_trouble(self) -> str:
        """What a person is told whose conversation should be saved, "" when it is."""
        chat = self.chat(is_kept=True)
        unsaved = [code for code in chat.notices if code]
        return chat.error or (f"the answer is not saved: {unsaved[0]}" if unsaved else "")

    def doctor(self, *flags: str) -> dict[str, Any]:
        """`qwell doctor --json`."""
        done = self.qwell("doctor", "--json", *flags)
        return _json(done, {"status": "unknown", "findings": [], "diagnoses": []})

    def diagnose(self, text: str) -> dict[str, Any]:
        """`qwell diagnose --json` of a pasted text, by the text alone."""
        done = self.qwell("diagnose", "--json", "-", stdin=text)
        return _json(done, {"verdict": "unknown", "faults": []})

    def fix(self, *flags: str) -> str:
        """`qwell doctor --fix` with consent: what it says."""
        done = self.qwell("doctor", "--fix", "--yes", "--lang", "en", *flags)
        return done.stdout + done.stderr

    def forget(self) -> None:
        """No treatment of earlier cases counts against the next one."""
        (self.data / "treatments.jsonl").unlink(missing_ok=True)


def _is_elsewhere(prefix: list[str]) -> bool:
    """In a network of its own, where only a child process can be."""
    return prefix[:1] in (["ip"], ["unshare"], ["nsenter"])


def _json(done: subprocess.CompletedProcess[str], otherwise: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return {**otherwise, "said": (done.stdout + done.stderr)[-2000:]}
    return found


_PORTS = iter(random.sample(range(20_000, 32_000), 12_000))  # below those that clients are given


def free_port() -> int:
    """A loopback port that nobody listens on, and that is given only once in a run."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise NotInjected("no port is free")
