"""A child of the doctor: imports one package after another and says what happened to each.

Run as `python -m qwell.doctor.import_probe NAME...`. A package that ends the process is the one
that was announced last. Prints one JSON object when it survives. Knows nothing of the packages.
"""

from __future__ import annotations

import importlib
import json
import sys


def main(names: list[str]) -> int:
    failures: dict[str, str] = {}
    for name in names:
        print(f"importing {name}", flush=True)
        try:
            importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001  whatever it is, it is the answer
            failures[name] = f"{type(error).__name__}: {error}"[:1000]
    print(json.dumps({"failures": failures}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
