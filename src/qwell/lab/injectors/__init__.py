"""One file per layer, each with the injectors of the faults whose cause lies there."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from qwell.doctor.finding import LAYERS

if TYPE_CHECKING:
    from qwell.lab.case import Case


def loaded(cases: list[Case]) -> list[Case]:
    """The same list, when every injector has declared itself."""
    for layer in LAYERS:
        import_module(f"qwell.lab.injectors.{layer}")
    return list(cases)
