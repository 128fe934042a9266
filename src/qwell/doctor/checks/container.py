"""Container and mounts: what is mounted where, who we are in it, what reaches us.

Outside of a container most of these hold by themselves. Knows no file formats.
"""

from __future__ import annotations

import json
import os
import platform
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from qwell.doctor.address import is_loopback
from qwell.doctor.checks.dependency import extension_path
from qwell.doctor.checks.host import LOCAL, written_folders
from qwell.doctor.finding import Facts, Outcome, check, failed, passed, skipped, warned
from qwell.doctor.load_sample import load_sample
from qwell.doctor.model_files import MOUNT, kind_of, listing, memory_need, model_place

if TYPE_CHECKING:
    from qwell.doctor.system import System

INSIDE = ("container.runtime",)
_FILE_SUFFIXES = (".gguf", ".qpack", ".json", ".safetensors", ".toml", ".sh", ".conf", ".jinja")
_ELF_MACHINES = {62: "x86_64", 183: "aarch64", 3: "i686", 40: "armv7l", 243: "riscv64"}
_SERVICE_VARIABLES = ("QWELL_DATABASE_URL", "DATABASE_URL", "HF_ENDPOINT")


@dataclass(frozen=True, slots=True)
class Mount:
    """root: what of the source is mounted; options: of this mount and of its file system."""

    point: str
    root: str
    source: str
    kind: str
    options: frozenset[str]


def mounts(system: System) -> list[Mount]:
    return system.once("mounts", lambda: _mounts(system.kernel("/proc/self/mountinfo") or ""))


def _mounts(table: str) -> list[Mount]:
    found = []
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(), right.split()
        if len(fields) > 5 and len(rest) > 1:
            options = frozenset(fields[5].split(","))
            found.append(Mount(_plain(fields[4]), _plain(fields[3]), rest[1], rest[0], options))
    return found


def _plain(text: str) -> str:
    """The kernel writes blanks as octal numbers."""
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), text)


def mount_of(system: System, path: Path) -> Mount | None:
    """The mount that a path lies on."""
    name = str(system.nearest(path))
    over = [
        m for m in mounts(system) if name == m.point or name.startswith(m.point.rstrip("/") + "/")
    ]
    return max(over, key=lambda mount: len(mount.point), default=None)


@check("container.runtime", layer="container", needs=LOCAL)
def runtime(system: System) -> Outcome:
    """The server runs in a container, so that its mounts and ports can be looked at."""
    if (system.root / ".dockerenv").exists():
        return passed("/.dockerenv", runtime="docker")
    if (system.root / "run/.containerenv").exists():
        return passed("/run/.containerenv", runtime="podman")
    if system.environ.get("KUBERNETES_SERVICE_HOST"):
        return passed("KUBERNETES_SERVICE_HOST", runtime="kubernetes")
    return skipped("not in a container")


@check("container.model_mounted", layer="container", needs=LOCAL)
def model_mounted(system: System) -> Outcome:
    """The place where the model should be is not an empty folder."""
    place = model_place(system)
    mount = system.root / MOUNT
    path = place.path if place.origin == "path" else mount
    if path is None or kind_of(path) != "directory" or path.suffix in _FILE_SUFFIXES:
        return passed("listing")
    if listing(path):
        return passed("listing", path=str(path))
    if path == mount and place.path is not None:
        return warned("the mount is empty; the cached model is used", "listing", path=str(path))
    return failed("the folder is empty", "listing", path=str(path))


@check("container.file_is_directory", layer="container", needs=LOCAL)
def file_is_directory(system: System) -> Outcome:
    """What should be a file is no folder that the container runtime made."""
    place = model_place(system)
    suspects = [place.path, *listing(place.path)] if place.path else []
    config = system.environ.get("QWELL_CONFIG")
    suspects += [Path(config)] if config else []
    for path in suspects:
        if path.suffix in _FILE_SUFFIXES and path.is_dir() and not any(listing(path)):
            return failed("an empty folder has a file's name", "listing", path=str(path))
    return passed("listing")


@check("container.named_volume", layer="container", needs=LOCAL)
def named_volume(system: System) -> Outcome:
    """No empty named volume stands where a folder of the host was meant."""
    place = model_place(system)
    path = place.path if place.origin == "path" else system.root / MOUNT
    mount = mount_of(system, path) if path is not None and path.exists() else None
    if mount is None or str(path) != mount.point or not mount.root.endswith("/_data"):
        return passed("mountinfo")
    if path is not None and not listing(path):
        name = mount.root.split("/")[-2]
        facts: Facts = {"path": str(path), "volume": name}
        return failed("an empty named volume is mounted", "mountinfo", **facts)
    return passed("mountinfo", path=str(path))


@check("container.writable", layer="container", needs=LOCAL)
def writable(system: System) -> Outcome:
    """Data and cache folder do not lie on a read-only mount."""
    for path in written_folders(system)[:2]:
        near = system.nearest(path)
        if system.statvfs(near).f_flag & os.ST_RDONLY:
            return failed("the file system is read-only", "statvfs", path=str(path))
    return passed("statvfs")


@check("container.permissions", layer="container", needs=("container.writable",))
def permissions(system: System) -> Outcome:
    """Data and cache folder may be written, with everything that is in them."""
    uid, gid = system.own_ids()
    for path in written_folders(system)[:2]:
        near = system.nearest(path)
        for part in (near, *(listing(path) if near == path.absolute() else ())):
            mode = os.W_OK | (os.X_OK if part.is_dir() else os.R_OK)
            if not system.can(part, mode):
                facts: Facts = {
                    "path": str(part),
                    "owner": part.stat().st_uid,
                    "uid": uid,
                    "gid": gid,
                }
                return failed("no right to write there", "access", **facts)
    return passed("access", uid=uid)


@check("container.home", layer="container", needs=LOCAL)
def home(system: System) -> Outcome:
    """The user has a home folder, where caches of libraries go."""
    name = system.environ.get("HOME", "")
    if name and Path(name).is_dir():
        return passed("HOME", path=name)
    if system.settings.cache_dir and system.settings.data_dir:
        return passed("HOME", path=name)
    return warned("HOME is no folder, and no other places are set", "HOME", path=name)


@check("container.selinux", layer="container", needs=LOCAL)
def selinux(system: System) -> Outcome:
    """SELinux does not forbid what the file modes allow."""
    if (system.kernel("/sys/fs/selinux/enforce") or "").strip() != "1":
        return passed("selinux", enforcing=False)
    path = model_place(system).path
    if path is None or kind_of(path) != "unreadable":
        return passed("selinux", enforcing=True)
    state = path.stat()
    if state.st_mode & 0o004:
        label = (system.kernel("/proc/self/attr/current") or "").strip("\0\n ")
        return failed("modes allow it, SELinux does not", "selinux", path=str(path), label=label)
    return passed("selinux", enforcing=True)


@check("container.bind_address", layer="container", needs=INSIDE)
def bind_address(system: System) -> Outcome:
    """A container that exists for this server lets others reach it."""
    port = system.settings.port
    bound = system.listeners(port)
    if not bound:
        return skipped("nothing listens yet", port=port)
    is_main = any(_descends_from_first(system, item.pid) for item in bound)
    if is_main and all(is_loopback(item.address) for item in bound):
        facts: Facts = {"address": bound[0].address, "port": port}
        return failed("only the container itself can connect", "/proc/net/tcp", **facts)
    return passed("/proc/net/tcp", address=bound[0].address, port=port)


def _descends_from_first(system: System, pid: int) -> bool:
    """The process is number 1 of the container, or started by it: it is what the container is for.

    In a container that somebody works in, a shell stands between.
    """
    if pid == 1:
        return True
    fields = (system.kernel(f"/proc/{pid}/stat") or "").rpartition(") ")[2].split()
    init = system.process_command(1)
    return len(fields) > 1 and fields[1] == "1" and ("qwell" in init or "tini" in init)


@check("container.published_port", layer="container", needs=LOCAL, timeout_s=6.0)
def published_port(system: System) -> Outcome:
    """A running container of this program has a port on the host."""
    code, text = system.program("docker", "ps", "--format", "{{json .}}", timeout_s=4.0)
    if code != 0:
        return skipped("no container runtime answers here")
    for line in text.splitlines():
        row = json.loads(line) if line.startswith("{") else {}
        if "qwell" in f"{row.get('Image')} {row.get('Names')}" and "->" not in str(
            row.get("Ports")
        ):
            facts: Facts = {"container": str(row.get("Names")), "ports": str(row.get("Ports"))}
            return failed("no port of the container is published", "docker ps", **facts)
    return passed("docker ps")


@check("container.cpu_throttling", layer="container", needs=LOCAL, timeout_s=30.0)
def cpu_throttling(system: System) -> Outcome:
    """The CPU quota does not stop the worker while it computes."""
    worker = system.facts.get("worker", {})
    if worker and not system.kernel(f"/proc/{worker.get('pid')}/cgroup"):
        return skipped("no worker is seen that could be stopped")  # it may be starting
    quota = system.cgroup(worker.get("pid")).cpu_quota()
    if quota is None:
        return passed("cpu.max", quota="none")
    throttled, periods = load_sample(system).throttled
    facts: Facts = {"quota": quota, "throttled": throttled, "periods": periods}
    if periods >= 3 and throttled > 0.25 * periods:
        return failed("the kernel stops the process again and again", "cpu.stat", **facts)
    return passed("cpu.stat", **facts)


@check("container.memory_limit", layer="container", needs=LOCAL)
def memory_limit(system: System) -> Outcome:
    """The memory limit alone, whatever is used now, is enough for the model."""
    limit, need = system.cgroup().memory_limit(), memory_need(system)
    if limit is None:
        return passed("memory.max", limit="none")
    facts: Facts = {"limit_mib": limit // 2**20, "needed_mib": need // 2**20}
    if limit < need:
        return failed("the limit is below what the model needs", "memory.max", **facts)
    return passed("memory.max", **facts)


@check("container.start_script", layer="container", needs=INSIDE)
def start_script(system: System) -> Outcome:
    """Start scripts have Unix line endings, so that their interpreter is found."""
    found = [
        p for name in ("*.sh", "app/*.sh", "usr/local/bin/*.sh") for p in system.root.glob(name)
    ]
    for path in found:
        head = path.read_bytes()[:200] if kind_of(path) == "file" else b""
        if head.partition(b"\n")[0].endswith(b"\r"):
            return failed("Windows line endings", "first line", path=str(path))
    return passed("first line", n_scripts=len(found))


@check("container.architecture", layer="container", needs=LOCAL)
def architecture(system: System) -> Outcome:
    """The compiled extension was built for this CPU's architecture."""
    del system
    own = platform.machine()
    if (path := extension_path()) is None:
        return skipped("there is no compiled extension")
    built = _elf_machine(Path(path))
    if built and built != own:
        facts: Facts = {"path": path, "built_for": built, "machine": own}
        return failed("built for another architecture", "ELF header", **facts)
    return passed("ELF header", machine=own)


def _elf_machine(path: Path) -> str:
    """Empty for what is no ELF file."""
    if kind_of(path) != "file":
        return ""
    with path.open("rb") as file:
        head = file.read(20)
    if not head.startswith(b"\x7fELF") or len(head) < 20:
        return ""
    return _ELF_MACHINES.get(struct.unpack_from("<H", head, 18)[0], "another")


@check("container.calls_localhost", layer="container", needs=INSIDE)
def calls_localhost(system: System) -> Outcome:
    """No other service is looked for on localhost, which is the container itself."""
    for name in _SERVICE_VARIABLES:
        value = system.environ.get(name, "")
        if re.search(r"(@|//)(localhost|127\.0\.0\.1|\[::1\])[:/]", value):
            if _answers_here(system, value):
                continue  # what shares this container's network may be looked for there
            return warned("localhost is this container", name, variable=name)
    return passed("environment")


def _answers_here(system: System, url: str) -> bool:
    """Somebody listens where the address says."""
    try:
        address = urlsplit(url)
        port = address.port or 0
    except ValueError:
        return False
    return port > 0 and not system.connect(address.hostname or "", port)
