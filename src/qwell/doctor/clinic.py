"""A machine and its server as the patient of a dialogue: checks, treatments, taking back.

Decides nothing: what is looked at and tried is the dialogue's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qwell.doctor.actions import Hands, Impossible, Undo
from qwell.doctor.checks import CHECKS
from qwell.doctor.fault import Fault, Remedy
from qwell.doctor.finding import Finding
from qwell.doctor.journal import Journal
from qwell.doctor.observe import observe, select
from qwell.doctor.system import System
from qwell.doctor.treat import Practice, Treatment

CAP_S = 12.0  # for one look, however many checks

Undos = dict[str, Undo]  # by remedy


class LocalClinic:
    """undos: where what can be taken back is kept; it outlives a turn, not the process."""

    has_patient = True

    def __init__(
        self, look: Callable[[], System], hands: Hands, journal: Journal, undos: Undos
    ) -> None:
        self._look = look
        self._hands = hands
        self._journal = journal
        self._undos = undos

    def examine(self, names: Sequence[str], watch: Callable[[Finding], None]) -> list[Finding]:
        return observe(self._look(), select(CHECKS, names=names), cap_s=CAP_S, watch=watch)

    def treat(self, fault: Fault, remedy: Remedy) -> Treatment:
        def keep(undo: Undo) -> None:
            self._undos[remedy.id] = undo

        practice = Practice(self._look, self._hands, self._journal, keep=keep)
        return practice.treat(fault, remedy, consent=True)

    def can_undo(self, remedy: str) -> bool:
        return remedy in self._undos

    def undo(self, remedy: str) -> bool:
        undo = self._undos.pop(remedy, None)
        if undo is None:
            return False
        try:
            undo()
        except (Impossible, OSError) as error:
            self._journal.note("failed", "", remedy, because=str(error))
            return False
        self._journal.note("undone", "", remedy, because="a person wanted it back")
        return True

    def reload(self) -> None:
        self._hands.restart_worker({})
