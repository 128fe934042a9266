"""`qwell version`: of the program and of what it runs on. Standard library only."""

from __future__ import annotations

import argparse
import json
import platform

import qwell


def run(options: argparse.Namespace) -> int:
    facts = {
        "qwell": qwell.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
    }
    if options.json:
        print(json.dumps(facts))
    else:
        print("\n".join(f"{name:<8}{fact}" for name, fact in facts.items()))
    return 0
