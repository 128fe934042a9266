"""Whether the worker is there and does nothing: stopped by a signal, or no longer reporting.

Knows what the server says of its worker and what the kernel says of a process; judges nothing
else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwell.doctor.system import System

SILENT_S = 6.0  # a loaded worker reports each second by a thread of its own, however busy it is
_STOPPED = ("T", "t")  # states of a process in /proc: by a signal, by a debugger


def why_frozen(system: System) -> str:
    """Empty while the worker does something, or while it is only now being loaded."""
    found = system.facts.get("worker", {})
    if found.get("phase") != "ready" or not found.get("pid"):
        return ""
    if process_state(system) in _STOPPED:
        return "the worker process is stopped by a signal"
    return "the worker has stopped reporting" if silent_s(system) > SILENT_S else ""


def silent_s(system: System) -> float:
    """Seconds since its last report."""
    return float(system.facts.get("worker", {}).get("silent_s") or 0)


def process_state(system: System) -> str:
    """One letter, as in `ps`; empty for a process of another machine or container."""
    pid = system.facts.get("worker", {}).get("pid")
    is_ours = pid and system.is_near and "qwell.worker.process" in system.process_command(pid)
    if not is_ours:
        return ""
    return (system.kernel(f"/proc/{pid}/stat") or "").rpartition(") ")[2][:1]
