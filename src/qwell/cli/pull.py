"""`qwell pull`: fetch and prepare a model now instead of at the first start."""

from __future__ import annotations

import argparse

from qwell.config import load


def run(options: argparse.Namespace) -> int:
    """Prints what is ready; a model that is there already takes no time."""
    from qwell.cli.progress import watching_weights
    from qwell.weights import ensure_pack

    settings, _ = load(vars(options))
    with watching_weights() as report:
        packed = ensure_pack(settings, report)
    size_mb = packed.path.stat().st_size / 1e6
    print(f"ready: {packed.meta['name']} ({packed.meta['quant']}, {size_mb:.0f} MB)\n{packed.path}")
    return 0
