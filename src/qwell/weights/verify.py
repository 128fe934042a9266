"""Compares downloaded files with their known digests, and removes what differs.

Knows two sources that name a digest: the package bundle, and Hugging Face's cache, where the
blob of a large file is named after its sha256.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from qwell.weights.download import file_digest
from qwell.weights.locate import Located
from qwell.weights.progress import Progress, Report

log = logging.getLogger(__name__)

_SHA256 = re.compile(r"[0-9a-f]{64}")


def known_digests(located: Located) -> dict[Path, str]:
    """Files of a model whose sha256 is known, which is none for a person's own files."""
    if located.sha256:
        return {located.path: located.sha256}
    if located.origin not in ("hub", "cache") or not located.path.is_dir():
        return {}
    blobs = {file: file.resolve().name for file in sorted(located.path.iterdir())}
    return {file: name for file, name in blobs.items() if _SHA256.fullmatch(name)}


def discard_damaged(located: Located, report: Report) -> list[Path]:
    """Delete every file that differs from its digest. Returns those files."""
    digests = known_digests(located)
    total = sum(file.stat().st_size for file in digests)
    damaged, before = [], 0
    for file, digest in digests.items():

        def checked(n: int, file: Path = file, before: int = before) -> None:
            report(Progress("verify", before + n, total, file.name))

        before += file.stat().st_size
        if file_digest(file, checked) != digest:
            log.warning("%s differs from its digest and is removed", file)
            file.resolve().unlink()
            file.unlink(missing_ok=True)
            damaged.append(file)
    return damaged
