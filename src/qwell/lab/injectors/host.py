"""The machine: memory, disk, files, CPU, clock, ports, text encoding."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from qwell.lab.case import Effect, NotInjected, in_turn, injector
from qwell.lab.patient import Patient
from qwell.lab.rig.groups import memory_group
from qwell.lab.rig.mounts import small_disk
from qwell.lab.rig.packages import first_on_path

MIB = 2**20
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

# in the worker alone: takes 4 MiB every few milliseconds, up to what a real leak may reach
_LEAK = """
import sys, threading, time
if "qwell.worker.process" in " ".join(sys.orig_argv):
    kept = []
    def leak():
        time.sleep(0.3)
        while len(kept) < 110:
            kept.append(b"x" * (4 << 20))
            time.sleep(0.002)
    threading.Thread(target=leak, daemon=True).start()
"""

# in the worker alone: `tilezero tmm0`, which this processor does not know (or is not allowed)
_FOREIGN = """
import ctypes, mmap, sys
if "qwell.worker.process" in " ".join(sys.orig_argv):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes([0xC4, 0xE2, 0x7B, 0x49, 0xC0, 0xC3]))
    ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""


# ---- memory


@injector("insufficient-ram", "limit-below-the-model", who="real", root=True, alone=True)
def little_memory(patient: Patient) -> Iterator[Effect]:
    """A control group that lets the program start, but not hold the model."""
    with patient.stopped(), memory_group(patient.run, 420 * MIB) as group, ExitStack() as inside:
        inside.enter_context(patient.within(*group.prefix()))
        inside.enter_context(patient.configured(preflight="strict"))
        yield Effect(
            proof=f"a limit of 420 MiB: {group.folder}",
            trouble=patient.start_trouble,
            clue="420",
            by_hand=inside.close,
        )


@injector("oom-killed", "worker-grows-beyond-the-limit", root=True, alone=True)
def grows_too_large(patient: Patient) -> Iterator[Effect]:
    """A worker that takes more and more memory, until the kernel ends it."""
    with ExitStack() as outside, ExitStack() as inside:
        outside.enter_context(patient.stopped())
        outside.enter_context(first_on_path(patient, {"sitecustomize.py": _LEAK}))
        group = inside.enter_context(memory_group(patient.run, 330 * MIB))
        inside.enter_context(patient.within(*group.prefix()))
        outside.enter_context(patient.with_environ(QWELL_SCRIPT='{"token_delay_s": 0.1}'))
        patient.start()
        _wait_for_phase(patient, "failed", "restarting")

        def raise_limit() -> None:
            patient.stop()
            inside.close()

        yield Effect(
            proof=f"a limit of 330 MiB: {group.folder}",
            trouble=lambda: _long_trouble(patient),
            clue="oom",
            by_hand=raise_limit,
        )


def _wait_for_phase(patient: Patient, *phases: str) -> str:
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        phase = str(patient.facts().get("worker", {}).get("phase", ""))
        if phase in phases:
            return phase
        time.sleep(0.1)
    raise NotInjected(f"the worker is never {' or '.join(phases)}")


def _long_trouble(patient: Patient) -> str:
    """An answer that takes some seconds, which a worker that dies soon does not give."""
    if patient.server is None:
        patient.start()
    chat = patient.chat("a question that is answered slowly, letter by letter", max_tokens=48)
    return chat.error


# ---- files


def _fill(folder: Path) -> str:
    """Until not one more byte fits; what the system said."""
    with contextlib.suppress(OSError):
        (folder / "filling").unlink()
    try:
        with (folder / "filling").open("wb", buffering=0) as file:
            for size in (2**20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\1" * size)
        (folder / "one-more").write_bytes(b"\1" * 8192)
    except OSError as error:
        return str(error)
    raise NotInjected("there is still room")


@injector("disk-full", "data-folder", root=True, quick=True, uses="data")
def full_disk(patient: Patient) -> Iterator[Effect]:
    """Not one byte is free where conversations are kept."""
    with patient.stopped(), small_disk(patient.run, patient.data, size="640m"):
        said = _fill(patient.data)
        patient.start()
        yield Effect(
            proof=said,
            trouble=patient.save_trouble,
            clue=str(patient.data),
            by_hand=(patient.data / "filling").unlink,
        )


@injector("disk-full", "old-logs", root=True)
def full_of_logs(patient: Patient) -> Iterator[Effect]:
    """Old log files of our own take all the room."""
    with patient.stopped(), small_disk(patient.run, patient.data, size="600m"):
        logs = patient.data / "logs"
        logs.mkdir()
        (logs / "qwell.log.1").write_bytes(b"x" * 560 * MIB)
        said = _fill(patient.data)
        patient.start()
        yield Effect(proof=said, trouble=patient.save_trouble, clue=str(patient.data))


@injector("inodes-full", "data-folder", root=True, quick=True, uses="data")
def no_inodes(patient: Patient) -> Iterator[Effect]:
    """Bytes are free, but no file can be made any more."""
    with patient.stopped(), small_disk(patient.run, patient.data, size="64m", nr_inodes="48"):
        said = ""
        for number in range(64):
            try:
                (patient.data / f"small-{number}").touch()
            except OSError as error:
                said = str(error)
                break

        def remove_small_files() -> None:
            for path in patient.data.glob("small-*"):
                path.unlink()
            patient.restart()

        patient.start()
        yield Effect(
            proof=said,
            trouble=patient.save_trouble,
            clue=str(patient.data),
            by_hand=remove_small_files,
        )


@injector("fd-limit", "too-few-for-its-connections", programs=("prlimit",))
def few_files(patient: Patient) -> Iterator[Effect]:
    """A limit of open files that some connections use up."""
    connections: list[socket.socket] = []
    with patient.stopped(), ExitStack() as inside:
        inside.enter_context(patient.within("prlimit", "--nofile=64:64"))
        patient.start()
        inside.callback(_close, connections)

        def trouble() -> str:
            _close(connections)
            connections.extend(_idle_connections(patient.port, 80))
            if patient.server is None:
                patient.start()
            found = patient.chat(timeout_s=3.0).error
            _close(connections)
            patient.settle()
            return found

        yield Effect(
            proof=f"Max open files 64 of process {patient.pid}",
            trouble=trouble,
            clue="64",
            by_hand=in_turn(patient.stop, inside.close),
        )


def _close(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()
    connections.clear()


def _idle_connections(port: int, n: int) -> Iterator[socket.socket]:
    """Sockets that say nothing."""
    for _ in range(n):
        with contextlib.suppress(OSError):
            yield socket.create_connection(("127.0.0.1", port), timeout=2)


# ---- CPU, clock


@injector("cpu-illegal-instruction", "worker-dies-of-it", quick=True, uses="worker")
def foreign_instruction(patient: Patient) -> Iterator[Effect]:
    """Code in the worker that was compiled for another processor."""
    with patient.stopped(), ExitStack() as inside:
        inside.enter_context(first_on_path(patient, {"sitecustomize.py": _FOREIGN}))
        patient.start()
        yield Effect(
            proof=str(patient.facts().get("worker", {}).get("error") or ""),
            trouble=patient.trouble if patient.server else patient.start_trouble,
            clue="SIGILL",
            by_hand=in_turn(inside.close, patient.restart),
        )


@injector("clock-skew", "years-behind", who="none", modules=("trustme",))
def wrong_clock(patient: Patient) -> Iterator[Effect]:
    """A clock that shows a year in which certificates are not valid yet."""
    from qwell.lab.rig.certificates import authority, tls_answer

    if not FAKETIME.exists():
        raise NotInjected("not installed: libfaketime")
    with (
        authority(patient.folder / "tls") as files,
        tls_answer(files) as url,
        ExitStack() as inside,
    ):
        inside.enter_context(
            patient.with_environ(
                LD_PRELOAD=str(FAKETIME),
                FAKETIME="@2020-03-01 00:00:00",
                FAKETIME_DONT_FAKE_MONOTONIC="1",
            )
        )
        yield Effect(
            proof=patient.python("import time; print(time.ctime())").stdout.strip(),
            trouble=lambda: _tls_trouble(patient, url, files.ca),
            clue="2020-03",
            by_hand=inside.close,
        )


def _tls_trouble(patient: Patient, url: str, ca: Path) -> str:
    code = f"import urllib.request as u; u.urlopen({url!r}, timeout=5).read()"
    done = patient.python(code, SSL_CERT_FILE=str(ca))
    return done.stdout.strip().rpartition("\n")[2] if done.returncode else ""


# ---- port


@injector("port-in-use", "by-another-program", quick=True)
def taken_port(patient: Patient) -> Iterator[Effect]:
    """Somebody else's server has the port."""
    with patient.stopped(), patient.configured():
        port = patient.port
        web = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
        holder = patient.spawn(*web)
        try:
            _wait_until_open(port)
            yield Effect(
                proof=f"process {holder.pid} listens on {port}",
                trouble=patient.start_trouble,
                clue=str(port),
            )
            patient.stop()
        finally:
            _end(holder)


@injector("port-in-use", "by-a-program-that-never-answers")
def deaf_port(patient: Patient) -> Iterator[Effect]:
    """Somebody has the port and says nothing on it."""
    listen = "import socket, time; s = socket.create_server(('127.0.0.1', {})); time.sleep(600)"
    with patient.stopped(), patient.configured():
        port = patient.port
        holder = patient.spawn(sys.executable, "-c", listen.format(port))
        try:
            _wait_until_open(port)
            yield Effect(
                proof=f"process {holder.pid} listens on {port}, and never answers",
                trouble=patient.start_trouble,
                clue=str(port),
            )
            patient.stop()
        finally:
            _end(holder)


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise NotInjected(f"nothing opens port {port}")


@injector("port-in-use", "by-an-older-qwell")
def older_server(patient: Patient) -> Iterator[Effect]:
    """A server that was started earlier, from other folders, still runs."""
    with patient.stopped():
        other = patient.folder / "older"
        other.mkdir()
        flags = ("--port", str(patient.port), "--data-dir", str(other), "--engine", "scripted")
        older = patient.spawn(sys.executable, "-m", "qwell", "serve", *flags)
        with ExitStack() as inside:
            inside.callback(_end, older)
            patient.settle()
            yield Effect(
                proof=f"process {older.pid} listens on {patient.port}",
                trouble=patient.start_trouble,
                clue=str(patient.port),
                log=lambda: patient.log,
                by_hand=inside.close,
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


# ---- text


@injector("locale-not-utf8", "plain-C-locale", who="none", quick=True)
def plain_locale(patient: Patient) -> Iterator[Effect]:
    """An environment in which Python writes ASCII."""
    with ExitStack() as inside:
        plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
        inside.enter_context(patient.with_environ(**plain))
        yield Effect(
            proof=patient.python("import sys; print(sys.stdout.encoding)").stdout.strip(),
            trouble=lambda: _chinese_trouble(patient),
            clue="ascii",
            by_hand=inside.close,
        )


@injector("locale-not-utf8", "GBK", uses="environ")
def chinese_locale(patient: Patient) -> Iterator[Effect]:
    """A terminal of an older Chinese system."""
    with ExitStack() as inside:
        inside.enter_context(patient.with_environ(PYTHONIOENCODING="gbk", LC_ALL="zh_CN.GBK"))
        yield Effect(
            proof=patient.python("import sys; print(sys.stdout.encoding)").stdout.strip(),
            trouble=lambda: _emoji_trouble(patient),
            clue="gbk",
            by_hand=inside.close,
        )


def _chinese_trouble(patient: Patient) -> str:
    """A person has a page of the handbook printed in Chinese."""
    done = patient.qwell("explain", "disk-full", "--lang", "zh")
    if done.returncode:
        return (done.stdout + done.stderr).strip().rpartition("\n")[2]
    return "" if "\u78c1\u76d8" in done.stdout else done.stdout[:60]


def _emoji_trouble(patient: Patient) -> str:
    """A person's own program prints an answer with a face in it."""
    done = patient.python("print(chr(0x1F642))")
    return done.stdout.strip().rpartition("\n")[2] if done.returncode else ""
