"""The process boundary: a child owns backend and engine; the parent supervises it.

A native crash kills the child only. Knows nothing of HTTP.
"""

from qwell.worker.status import Phase, WorkerStatus
from qwell.worker.supervisor import Supervisor

__all__ = ["Phase", "Supervisor", "WorkerStatus"]
