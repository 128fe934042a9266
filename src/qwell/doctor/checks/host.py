"""The machine: memory, disk, limits, CPU, clock, text encoding.

Knows thresholds and the kernel's files, nothing of what runs here beyond how much it needs.
"""

from __future__ import annotations

import codecs
import os
import platform
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from qwell.doctor.finding import Facts, Outcome, check, failed, passed, skipped, warned
from qwell.doctor.load_sample import load_sample
from qwell.doctor.model_files import memory_need

if TYPE_CHECKING:
    from qwell.doctor.system import System

LOCAL = ("host.local",)
MIB = 2**20
_FLOOR_BYTES = 96 * MIB  # below this much free memory, anything may be killed
_ROOM_FAIL, _ROOM_WARN = 64 * MIB, 512 * MIB
_FEWEST_FILES = 256
_JUST_NOW_S = 30.0
_RELEASED = datetime(2026, 1, 1, tzinfo=UTC).timestamp()  # no correct clock is before this
_FLAGS = ("avx2", "fma", "f16c")
_GLIBC = (2, 28)  # what the published wheels are built for


@check("host.local", layer="host")
def local(system: System) -> Outcome:
    """The server is on this machine, so that what is seen here is what it sees."""
    if system.is_near or not system.is_url_given:
        return passed(url=system.url)
    return skipped(f"{system.url} is another machine", url=system.url)


@check("host.memory", layer="host", needs=LOCAL)
def memory(system: System) -> Outcome:
    """Free memory holds the weights, a conversation and the program, unless they are in already."""
    free, source = _available(system)
    if free is None:
        return skipped("the kernel does not tell")
    is_loaded = system.facts.get("worker", {}).get("phase") == "ready"
    need = _FLOOR_BYTES if is_loaded else memory_need(system)
    facts: Facts = {"available_mib": free // MIB, "needed_mib": need // MIB}
    if free < need:
        return failed("less memory is free than is needed", source, **facts)
    return passed(source, **facts)


def _available(system: System) -> tuple[int | None, str]:
    """Bytes that can still be taken, and which limit is the tightest."""
    rows = [line.split() for line in (system.kernel("/proc/meminfo") or "").splitlines()]
    table = {row[0]: int(row[1]) * 1024 for row in rows if len(row) > 1}
    free = table.get("MemAvailable:")
    limit = system.cgroup().memory_limit()
    if limit is not None:
        left = limit - system.cgroup().memory_used()
        if free is None or left < free:
            return left, "cgroup memory limit"
    return free, "/proc/meminfo"


@check("host.oom_kills", layer="host", needs=LOCAL)
def oom_kills(system: System) -> Outcome:
    """The worker was not ended by the kernel for lack of memory."""
    worker = system.facts.get("worker", {})
    count = system.cgroup().oom_kills()
    facts: Facts = {} if count is None else {"oom_kills": count}
    if (worker.get("error") or {}).get("fault") == "oom-killed":
        return failed("the kernel killed the worker", "worker status", **facts)
    # a worker that was replaced a moment ago may meet the same end: that it runs proves nothing
    ages = [
        float(death.get("ago_s", 0))
        for death in worker.get("deaths", [])
        if isinstance(death, dict) and death.get("fault") == "oom-killed"
    ]
    if ages and min(ages) < _JUST_NOW_S:
        return failed("the kernel killed the worker a moment ago", "server", **facts)
    return passed("memory.events", **facts)


@check("host.swap", layer="host", needs=LOCAL, timeout_s=30.0)
def swap(system: System) -> Outcome:
    """Nothing is read back from swap or, for the worker, from disk while an answer is made."""
    sample = load_sample(system)
    pages = sample.vm("pswpin")
    facts: Facts = {
        "pages_in_per_s": round(pages / sample.seconds),
        "major_faults": sample.major_faults,
    }
    if pages / sample.seconds > 500 or sample.major_faults / sample.seconds > 500:
        return failed("memory is read back from disk all the time", "/proc/vmstat", **facts)
    return passed("/proc/vmstat", **facts)


@check("host.memory_pressure", layer="host", needs=LOCAL)
def memory_pressure(system: System) -> Outcome:
    """Programs do not stand still waiting for memory."""
    for line in (system.kernel("/proc/pressure/memory") or "").splitlines():
        if line.startswith("full"):
            share = float(line.split()[1].partition("=")[2])
            if share > 20:
                return warned("all programs wait for memory", "/proc/pressure/memory", full=share)
            return passed("/proc/pressure/memory", full=share)
    return skipped("the kernel does not measure pressure")


@check("host.disk_space", layer="host", needs=LOCAL)
def disk_space(system: System) -> Outcome:
    """Data, cache and temporary folder have room."""
    rooms = {
        path: state.f_bavail * state.f_frsize
        for path in written_folders(system)
        if (state := system.statvfs(path)).f_blocks
    }
    if not rooms:
        return skipped("no folder has a size")
    path, room = min(rooms.items(), key=lambda item: item[1])
    facts: Facts = {"path": str(path), "free_mb": room // 1_000_000}
    if room < _ROOM_FAIL:
        return failed("the disk is full", "statvfs", **facts)
    if room < _ROOM_WARN:
        return warned("the disk is nearly full", "statvfs", **facts)
    return passed("statvfs", **facts)


@check("host.inodes", layer="host", needs=LOCAL)
def inodes(system: System) -> Outcome:
    """New files can be made where files are made."""
    for path in written_folders(system):
        state = system.statvfs(path)
        if state.f_files and state.f_favail < 16:
            facts: Facts = {"path": str(path), "free_inodes": state.f_favail}
            return failed("no inode is free", "statvfs", **facts)
    return passed("statvfs")


def written_folders(system: System) -> list[Path]:
    settings = system.settings
    return [settings.data_path, settings.cache_path, Path(system.environ.get("TMPDIR", "/tmp"))]  # noqa: S108  looked at, not written


@check("host.open_files", layer="host", needs=LOCAL)
def open_files(system: System) -> Outcome:
    """The limit of open files leaves room for connections."""
    pid = system.facts.get("pid")
    limit, source = _file_limit(system, pid), f"/proc/{pid or 'self'}/limits"
    n_open = len(system.kernel_glob(f"proc/{pid}/fd/*")) if pid else 0
    facts: Facts = {"limit": limit, "open": n_open}
    if limit < _FEWEST_FILES or n_open > 0.9 * limit:
        return failed("the limit of open files is too low", source, **facts)
    return passed(source, **facts)


def _file_limit(system: System, pid: int | None) -> int:
    for line in (system.kernel(f"/proc/{pid or 'self'}/limits") or "").splitlines():
        if line.startswith("Max open files"):
            word = line.split()[3]
            return int(word) if word.isdecimal() else 2**31
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@check("host.processes", layer="host", needs=LOCAL)
def processes(system: System) -> Outcome:
    """The limit of processes and threads leaves room for the worker's."""
    counted = system.cgroup().processes()
    if counted is None:
        return passed(limit="none")
    n, most = counted
    if n > 0.9 * most or most < 32:
        return warned("nearly no more threads may be started", "pids.max", threads=n, limit=most)
    return passed("pids.max", threads=n, limit=most)


@check("host.cpu_flags", layer="host", needs=LOCAL)
def cpu_flags(system: System) -> Outcome:
    """The CPU offers the instructions that make it fast."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return passed(machine=platform.machine())
    flags = _cpu_words(system, "flags")
    missing = [flag for flag in _FLAGS if flag not in flags]
    if not flags:
        return skipped("the kernel does not list the CPU's flags")
    if missing:
        words = " ".join(missing)
        return warned("the CPU lacks vector instructions", "/proc/cpuinfo", missing=words)
    return passed("/proc/cpuinfo", flags=" ".join(_FLAGS))


def _cpu_words(system: System, name: str) -> list[str]:
    for line in (system.kernel("/proc/cpuinfo") or "").splitlines():
        if line.startswith(name):
            return line.partition(":")[2].split()
    return []


@check("host.cpu_governor", layer="host", needs=LOCAL)
def cpu_governor(system: System) -> Outcome:
    """No power saving keeps the CPU slow."""
    base = "/sys/devices/system/cpu/cpu0/cpufreq"
    governor = (system.kernel(f"{base}/scaling_governor") or "").strip()
    if not governor:
        return skipped("the frequency is not this system's to choose")
    driver = (system.kernel(f"{base}/scaling_driver") or "").strip()
    highest, most = (
        int((system.kernel(f"{base}/{name}") or "0").strip() or 0)
        for name in ("scaling_max_freq", "cpuinfo_max_freq")
    )
    facts: Facts = {"governor": governor, "driver": driver, "max_khz": highest}
    is_slow = governor == "powersave" and not driver.startswith(("intel_pstate", "amd-pstate"))
    if is_slow or (most and highest < 0.6 * most):
        return failed("the CPU is kept below its speed", base, **facts)
    return passed(base, **facts)


@check("host.cpu_thermal", layer="host", needs=LOCAL, timeout_s=30.0)
def cpu_thermal(system: System) -> Outcome:
    """Heat does not slow the CPU down while it works."""
    before = _throttle_count(system)
    if before is None:
        return skipped("no thermal counters here")
    load_sample(system)
    grown = (_throttle_count(system) or 0) - before
    if grown > 0:
        return failed("the CPU is too hot", "thermal_throttle", events=grown)
    return passed("thermal_throttle", events=0)


def _throttle_count(system: System) -> int | None:
    name = "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"
    texts = [system.kernel(str(p.relative_to(system.root))) for p in system.kernel_glob(name)]
    counts = [int(text) for text in texts if text]
    return sum(counts) if counts else None


@check("host.cpu_steal", layer="host", needs=LOCAL, timeout_s=30.0)
def cpu_steal(system: System) -> Outcome:
    """The hypervisor lets this virtual machine run when it wants to."""
    share = load_sample(system).ticks("steal")
    if share > 0.4:
        # a short sample may be unlucky: only a second one that agrees counts
        before = (system.kernel("/proc/stat") or "").split()
        system.pause(0.3)
        after = (system.kernel("/proc/stat") or "").split()
        if _stolen(before, after) > 0.4:
            return warned("others take this machine's CPU", "/proc/stat", steal=round(share, 2))
    return passed("/proc/stat", steal=round(share, 3))


def _stolen(before: list[str], after: list[str]) -> float:
    spent = [int(b) - int(a) for a, b in zip(before[1:9], after[1:9], strict=True)]
    return spent[7] / sum(spent) if sum(spent) else 0.0


@check("host.clock", layer="host", needs=LOCAL)
def clock(system: System) -> Outcome:
    """The clock is not set to the past, where certificates are not valid yet."""
    now = system.now()
    shown = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    if now < _RELEASED:
        return failed("the clock shows a time before this program was made", "clock", now=shown)
    return passed("clock", now=shown)


@check("host.glibc", layer="host", needs=LOCAL)
def glibc(system: System) -> Outcome:
    """The C library is the one and the version that the compiled parts need."""
    del system
    library, version = platform.libc_ver()
    if library != "glibc":
        return skipped("another C library", library=library or "unknown")
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < _GLIBC:
        return failed("the C library is too old", "libc", glibc=version, needed="2.28")
    return passed("libc", glibc=version)


@check("host.locale", layer="host", needs=LOCAL)
def text_encoding(system: System) -> Outcome:
    """Text goes in and out as UTF-8."""
    names = {
        "stdout": getattr(sys.stdout, "encoding", None) or "utf-8",
        "files": sys.getfilesystemencoding(),
    }
    if wanted := _encoding_of_locale(system):
        names["locale"] = wanted
    wrong = {name: value for name, value in names.items() if not _is_utf8(value)}
    if wrong:
        return failed("text is not written as UTF-8", "locale", **wrong)
    return passed("locale", **names)


def _encoding_of_locale(system: System) -> str:
    """The charset that the environment asks for, e.g. GBK of zh_CN.GBK; "" when it names none."""
    value = next(
        (system.environ[n] for n in ("LC_ALL", "LC_CTYPE", "LANG") if system.environ.get(n)), ""
    )
    return value.partition(".")[2].partition("@")[0]


def _is_utf8(name: str) -> bool:
    try:
        return codecs.lookup(name).name == "utf-8"
    except LookupError:
        return False


@check("host.huge_pages", layer="host", needs=LOCAL)
def huge_pages(system: System) -> Outcome:
    """What the kernel says of large pages: a hint for speed, never a fault."""
    text = system.kernel("/sys/kernel/mm/transparent_hugepage/enabled")
    if text is None:
        return skipped("the kernel does not tell")
    return passed("transparent_hugepage", mode=text.partition("[")[2].partition("]")[0])


@check("host.load", layer="host", needs=LOCAL)
def load_average(system: System) -> Outcome:
    """How much else runs here: a fact for whoever asks why it is slow, never a fault."""
    text = system.kernel("/proc/loadavg")
    if text is None:
        return skipped("the kernel does not tell")
    return passed("/proc/loadavg", load=float(text.split()[0]), cpus=system.usable_cpus())


@check("host.temporary_folder", layer="host", needs=LOCAL)
def temporary_folder(system: System) -> Outcome:
    """Temporary files can be written."""
    folder = Path(system.environ.get("TMPDIR", "/tmp"))  # noqa: S108  looked at, not written
    if not folder.is_dir():
        return failed("the temporary folder is missing", "TMPDIR", path=str(folder))
    if not system.can(folder, os.W_OK | os.X_OK):
        return failed("the temporary folder is not writable", "TMPDIR", path=str(folder))
    return passed("TMPDIR", path=str(folder))
