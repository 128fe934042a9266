"""What is looked at before the server starts: the quick checks, on this machine alone.

Asks no server and starts no child, so that a start is not delayed. Decides nothing but whether
to go on.
"""

from __future__ import annotations

from qwell.doctor.checks import CHECKS
from qwell.doctor.finding import Finding, Status
from qwell.doctor.observe import observe, select
from qwell.doctor.system import System

CAP_S = 2.0
PREFLIGHT = (
    "host.memory",
    "host.disk_space",
    "host.inodes",
    "host.open_files",
    "host.clock",
    "host.locale",
    "host.temporary_folder",
    "container.model_mounted",
    "container.file_is_directory",
    "container.writable",
    "container.permissions",
    "container.memory_limit",
    "dependency.python",
    "dependency.native_extension",
    "model.path",
    "model.readable",
    "model.lfs_pointer",
    "model.html",
    "model.config",
    "engine.threads",
    "engine.omp_threads",
    "engine.kv_memory",
    "network.proxy_for_localhost",
    "network.ca_files",
)


def preflight(system: System) -> list[Finding]:
    """What is wrong, most important first; empty when all is well."""
    system.keep("GET /health", None)  # nothing runs yet: do not wait for an answer
    system.keep("GET /api/doctor/facts", None)
    found = observe(system, select(CHECKS, names=PREFLIGHT), cap_s=CAP_S)
    wrong = [finding for finding in found if finding.status in (Status.FAIL, Status.WARN)]
    return sorted(wrong, key=lambda finding: finding.status is not Status.FAIL)


def stops(mode: str, findings: list[Finding]) -> bool:
    """Strict refuses to start with something broken; a warning never stops anything."""
    return mode == "strict" and any(finding.status is Status.FAIL for finding in findings)
