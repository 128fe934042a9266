"""A machine and its server as the patient of a dialogue: checks, treatments, taking back.

Decides nothing: what is looked at and tried is the dialogue's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from qwell.doctor.actions import Hands, Impossible
from qwell.doctor.checks import CHECKS
from qwell.doctor.fault import Fault, Remedy
from qwell.doctor.finding import Finding
from qwell.doctor.journal import Journal
from qwell.doctor.observe import observe, select
from qwell.doctor.system import System
from qwell.doctor.treat import Practice, Treatment
from qwell.doctor.way_back import NOTHING, WayBack

CAP_S = 12.0  # for one look, however many checks


class WaysBack(Protocol):
    """Where what can be taken back is kept, by remedy; a case file keeps it on the disk."""

    def way_back(self, remedy: str) -> WayBack: ...

    def keep_way_back(self, remedy: str, back: WayBack) -> None: ...


class LocalClinic:
    """Examines and treats from this process."""

    has_patient = True

    def __init__(
        self, look: Callable[[], System], hands: Hands, journal: Journal, ways: WaysBack
    ) -> None:
        self._look = look
        self._hands = hands
        self._journal = journal
        self._ways = ways

    def examine(self, names: Sequence[str], watch: Callable[[Finding], None]) -> list[Finding]:
        return observe(self._look(), select(CHECKS, names=names), cap_s=CAP_S, watch=watch)

    def treat(self, fault: Fault, remedy: Remedy) -> Treatment:
        def keep(back: WayBack) -> None:
            self._ways.keep_way_back(remedy.id, back)

        practice = Practice(self._look, self._hands, self._journal, keep=keep)
        return practice.treat(fault, remedy, consent=True)

    def can_undo(self, remedy: str) -> bool:
        return self._ways.way_back(remedy) != NOTHING

    def undo(self, remedy: str) -> bool:
        if not self.can_undo(remedy):
            return False
        try:
            self._ways.way_back(remedy).take(self._hands)
        except (Impossible, OSError) as error:
            self._journal.note("failed", "", remedy, because=str(error))
            return False
        self._ways.keep_way_back(remedy, NOTHING)
        self._journal.note("undone", "", remedy, because="a person wanted it back")
        return True

    def reload(self) -> None:
        self._hands.restart_worker({})
