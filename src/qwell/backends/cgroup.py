"""What the kernel lets this process use: CPU quota and memory, cgroup v2 and v1.

Reads files only. Every function takes the root of the file system, so that tests can bring
their own. A limit may sit on any ancestor, so all of them are asked and the tightest counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_NO_LIMIT = 2**60  # version 1 writes "no limit" as a number close to 2**63


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _own_group(root: Path, controller: str) -> str:
    """Path of this process's group inside the hierarchy; "" names version 2."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") or controllers == controller:
            return path
    return "/"


def _ancestry(mount: Path, group: str) -> Iterator[Path]:
    """The group's folder and all above it, up to the mount.

    In a container without its own namespace the group's path does not exist below the mount,
    which then is the container's own group: folders that are missing yield nothing.
    """
    own = PurePosixPath(group.lstrip("/"))
    for part in (own, *own.parents):
        yield mount / part


def _values(
    root: Path, v2_file: str, v1_controller: str, v1_file: str
) -> Iterator[tuple[Path, str]]:
    """Folder and content of the file in the own group and its ancestors, innermost first."""
    for folder in _ancestry(root / "sys/fs/cgroup", _own_group(root, "")):
        if (text := _read(folder / v2_file)) is not None:
            yield folder, text
    mount = root / "sys/fs/cgroup" / v1_controller
    for folder in _ancestry(mount, _own_group(root, v1_controller)):
        if (text := _read(folder / v1_file)) is not None:
            yield folder, text


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' worth of time this process may use, or None when nothing limits it."""
    quotas = []
    for folder, text in _values(root, "cpu.max", "cpu", "cpu.cfs_quota_us"):
        words = text.split()
        period = words[1] if len(words) > 1 else _read(folder / "cpu.cfs_period_us")
        if words and words[0] not in ("max", "-1") and period and int(period) > 0:
            quotas.append(int(words[0]) / int(period))
    return min(quotas, default=None)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes of memory this process's groups may hold, or None when nothing limits them."""
    limits = [
        int(text)
        for _, text in _values(root, "memory.max", "memory", "memory.limit_in_bytes")
        if text != "max" and int(text) < _NO_LIMIT
    ]
    return min(limits, default=None)


def memory_used(root: Path = Path("/")) -> int:
    """Bytes the innermost group holds that the kernel cannot simply drop; 0 when unknown."""
    for folder, text in _values(root, "memory.current", "memory", "memory.usage_in_bytes"):
        stat = dict(line.split()[:2] for line in (_read(folder / "memory.stat") or "").splitlines())
        droppable = stat.get("inactive_file") or stat.get("total_inactive_file") or "0"
        return max(0, int(text) - int(droppable))
    return 0


def oom_kills(root: Path = Path("/")) -> int:
    """How many processes the kernel has killed for lack of memory, as far as can be seen."""
    texts = [text for _, text in _values(root, "memory.events", "memory", "memory.oom_control")]
    texts.append(_read(root / "proc/vmstat") or "")
    lines = "\n".join(texts).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
