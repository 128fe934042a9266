"""What one scenario of the lab is, and the list of all of them.

An injector is a generator: it registers its clean-up, causes the fault, yields an Effect and
takes the fault back. Knows neither the doctor nor how a scenario is judged.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from qwell.lab.patient import Patient

# who answers: a script, a tiny model of random weights in the native engine, the real model,
# or nobody (the fault strikes before anything is served)
Kind = Literal["scripted", "tiny", "real", "none"]


class NotInjected(Exception):  # noqa: N818  an answer, no accident
    """The fault did not take hold, or cannot be caused on this machine; the message says why."""


def no_log() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Effect:
    """A fault that is there.

    proof     what was read back from the machine and shows that it is there
    trouble   tries what a person would try: what goes wrong in their words, "" when nothing does
    clue      what true evidence of the diagnosis contains: a path, a number, a name
    log       what a person could paste, where the fault leaves no state to be looked at
    by_hand   carries out the written commands of the manual remedy
    flags     of `qwell doctor`; cured_flags: once the address is right, where it was the fault
    """

    proof: str
    trouble: Callable[[], str]
    clue: str = ""
    log: Callable[[], str] = no_log
    by_hand: Callable[[], object] | None = None
    flags: tuple[str, ...] = ()
    cured_flags: tuple[str, ...] | None = None


def in_turn(*steps: Callable[[], object]) -> Callable[[], None]:
    """All of them, one after the other."""

    def run() -> None:
        for step in steps:
            step()

    return run


Inject = Callable[["Patient"], Iterator[Effect]]


@dataclass(frozen=True, slots=True)
class Case:
    """One fault in one variant.

    who       what kind of server it strikes
    programs  that must be installed; modules: of Python; root: whether it needs mounts and the like
    quick     part of the third that `make test` runs
    uses      what it changes, such as data, settings or environ: two faults can stand side by side
              where they change different things; "": it is part of no pair
    alone     it would be felt by other scenarios at the same time, or they would be by it: what a
              whole machine has one of, a program that must not be open anywhere else, or a speed
    """

    fault: str
    variant: str
    inject: Inject
    who: Kind = "scripted"
    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    root: bool = False
    quick: bool = False
    uses: str = ""
    alone: bool = False
    about: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        return f"{self.fault}/{self.variant}"

    def lacks(self) -> str:
        """What this machine is missing for it, "" when nothing."""
        absent = [name for name in self.programs if shutil.which(name, path=_path()) is None]
        absent += [name for name in self.modules if find_spec(name) is None]
        if absent:
            return f"not installed: {', '.join(absent)}"
        if self.root and os.geteuid() != 0:
            return "needs root: mounts, namespaces or control groups"
        return ""


def _path() -> str:
    """PATH with the folders of system programs, which a plain user's may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


CASES: list[Case] = []


def injector(
    fault: str,
    variant: str,
    *,
    who: Kind = "scripted",
    programs: tuple[str, ...] = (),
    modules: tuple[str, ...] = (),
    root: bool = False,
    quick: bool = False,
    uses: str = "",
    alone: bool = False,
) -> Callable[[Inject], Inject]:
    """Offer the decorated generator as a case. A second one of that name is our bug."""

    def declare(inject: Inject) -> Inject:
        about = (inject.__doc__ or "").strip().partition("\n")[0]
        case = Case(
            fault, variant, inject, who, programs, modules, root, quick, uses, alone, about
        )  # fmt: skip
        assert case.name not in {known.name for known in CASES}, f"{case.name} is declared twice"
        CASES.append(case)
        return inject

    return declare


def all_cases() -> list[Case]:
    """Every case, in the order of the layers."""
    from qwell.lab import injectors

    return injectors.loaded(CASES)


def chosen(names: list[str]) -> list[Case]:
    """The cases of these faults, or of these `fault/variant` names; all without names.

    Raises KeyError with the first name that nothing answers to.
    """
    known = all_cases()
    for name in names:
        if name not in {case.fault for case in known} | {case.name for case in known}:
            raise KeyError(name)
    return [case for case in known if not names or case.fault in names or case.name in names]
