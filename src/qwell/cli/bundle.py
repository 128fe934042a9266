"""`qwell bundle`: one redacted file that somebody else can diagnose."""

from __future__ import annotations

import argparse
import errno
from pathlib import Path

from qwell.cli.doctor import system_of
from qwell.errors import QwellError


def run(options: argparse.Namespace) -> int:
    """Prints where the file is and what was taken out of it."""
    from qwell.doctor.bundle import collect, write_bundle
    from qwell.doctor.observe import observe

    system = system_of(options)
    bundle = collect(system, observe(system))
    folder = Path(options.output)
    try:
        path = write_bundle(bundle, folder)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise QwellError(
            "disk-full" if is_full else "permission-denied",
            found=f"{folder}: {error.strerror or error}",
            expected="a folder that can be written, with some MB free",
            fix="qwell bundle --output /tmp",
        ) from error
    print(path)
    for kind, n in bundle.content["redacted"].items():
        print(f"  redacted {kind}: {n}")
    return 0
