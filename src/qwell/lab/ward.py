"""Healthy installations, one for each kind of server, made when the first case asks for one."""

from __future__ import annotations

import shutil
from pathlib import Path

from qwell.lab.case import Kind, NotInjected
from qwell.lab.leftovers import Run
from qwell.lab.patient import Patient


class Ward:
    """Patients by kind. A patient goes from case to case: each case leaves it as it was.

    prefix: of their names, where a run has several wards
    """

    def __init__(self, run: Run, prefix: str = "") -> None:
        self._run = run
        self._prefix = prefix
        self._patients: dict[Kind, Patient] = {}
        self._n_replaced = 0

    def patient(self, kind: Kind) -> Patient:
        """Raises NotInjected when there can be none of the kind here."""
        if kind not in self._patients:
            self._patients[kind] = _MAKE[kind](self._run, self._name(kind))
        return self._patients[kind]

    def replace(self, kind: Kind) -> None:
        """The next case gets a new one: this one could not be brought back to health."""
        if (patient := self._patients.pop(kind, None)) is not None:
            patient.stop()
            self._n_replaced += 1

    def _name(self, kind: Kind) -> str:
        number = f"-{self._n_replaced}" if self._n_replaced else ""
        return f"{self._prefix}{kind}{number}"

    def close(self) -> None:
        for patient in self._patients.values():
            patient.stop()


def _scripted(run: Run, name: str) -> Patient:
    return Patient(run, name, engine="scripted")


def _nobody(run: Run, name: str) -> Patient:
    return Patient(run, name, engine="scripted")


def _tiny(run: Run, name: str) -> Patient:
    from qwell.lab.rig.models import write_folder  # numpy is not needed by the others

    patient = Patient(run, name)
    model = write_folder(patient.folder / "model")
    with patient.config.open("a", encoding="utf-8") as file:
        file.write(f'model = "{model}"\nctx_size = 1024\n')
    return patient


def _real(run: Run, name: str) -> Patient:
    """With a copy of the pack that this user's cache has: damage must not reach that one."""
    from qwell.config import load
    from qwell.doctor.model_files import model_place, packs
    from qwell.doctor.system import System

    settings, _ = load({})
    system = System(settings)
    place, known = model_place(system).path, packs(system)
    if place is None or not known:
        raise NotInjected("no model is in the cache: `qwell pull` fetches one")
    patient = Patient(run, name, model=str(place))
    folder = patient.folder / "cache" / "packs"
    folder.mkdir(parents=True)
    for pack in _of(known, place):
        shutil.copy2(pack, folder / pack.name)
    return patient


def _of(known: list[Path], model: Path) -> list[Path]:
    """The packs that were made from this model, by name; the newest one else."""
    return [p for p in known if p.name.startswith(f"{model.stem}-auto")] or known[:1]


_MAKE = {"scripted": _scripted, "none": _nobody, "tiny": _tiny, "real": _real}
