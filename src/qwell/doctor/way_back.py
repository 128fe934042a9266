"""What takes a change back, as data: it outlives the process that made the change.

Knows files and settings, not why they were changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from qwell.doctor.config_file import Lines, put_lines_back

UNDONE = ".undone"


class Restarts(Protocol):
    def restart_worker(self, changes: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class WayBack:
    """Paths are absolute.

    made    files that were not there before; put aside, as somebody may have used them since
    moved   where something was, and where it lies now
    modes   a path, and its permission bits before
    config  the configuration file, and `lines` of it: see config_file.py
    worker  settings that a running worker had
    """

    made: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    modes: tuple[tuple[str, int], ...] = ()
    config: str = ""
    lines: Lines = field(default_factory=dict)
    worker: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From what `dataclasses.asdict` gave, also after JSON. Raises KeyError or TypeError."""
        return cls(
            tuple(data["made"]),
            tuple((was, lies) for was, lies in data["moved"]),
            tuple((path, mode) for path, mode in data["modes"]),
            data["config"],
            {name: (before, written) for name, (before, written) in data["lines"].items()},
            data["worker"],
        )

    def take(self, hands: Restarts) -> None:
        """Once more does no harm. Raises OSError, and what the hands raise."""
        if not self.moved or any(Path(lies).exists() for _, lies in self.moved):
            for path in self.made:
                _put_aside(Path(path))
        for was, lies in self.moved:
            if Path(lies).exists():
                Path(lies).replace(was)
        for path, mode in reversed(self.modes):
            Path(path).chmod(mode)
        if self.config:
            put_lines_back(Path(self.config), self.lines)
        if self.worker:
            hands.restart_worker(self.worker)


def _put_aside(path: Path) -> None:
    if path.exists():
        path.replace(path.with_name(path.name + UNDONE))


NOTHING = WayBack()  # of a change that leaves nothing to take back
