"""`qwell explain`: the catalogue's page of one fault. Standard library only."""

from __future__ import annotations

import argparse
import difflib

from qwell.cli.language import preferred
from qwell.errors import QwellError


def run(options: argparse.Namespace) -> int:
    """Prints what is known of the fault; without a name, a list of all."""
    from qwell.doctor.catalogue import load
    from qwell.doctor.own_faults import own_faults
    from qwell.doctor.render import fault_to_markdown

    catalogue = load()
    language = preferred()
    if not options.fault:
        for fault in catalogue.faults.values():
            print(f"{fault.id:38} {fault.title.text_in(language)}")
        return 0
    found = catalogue.find(options.fault) or own_faults().get(options.fault)
    if found is None:
        alike = difflib.get_close_matches(options.fault, catalogue.faults, n=1, cutoff=0.4)
        raise QwellError(
            "fault-unknown",
            found=f"no fault {options.fault[:80]!r} in the catalogue",
            expected="the id of a fault, as an error or a diagnosis names it",
            fix=f"qwell explain {alike[0]}" if alike else "qwell explain",
        )
    print(fault_to_markdown(found, language, catalogue), end="")
    return 0
