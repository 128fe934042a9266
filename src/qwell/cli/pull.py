"""`qwell pull`: fetch, verify and prepare a model now instead of at the first start."""

from __future__ import annotations

import argparse
import json

from qwell.config import load


def run(options: argparse.Namespace) -> int:
    """Prints what is ready. Damaged files that are there already are fetched or packed again."""
    from qwell.cli.progress import watching_weights
    from qwell.weights import pull

    settings, _ = load(vars(options))
    with watching_weights() as report:
        packed = pull(settings, report)
    name, quant, size = packed.meta["name"], packed.meta["quant"], packed.path.stat().st_size
    if options.json:
        print(json.dumps({"name": name, "quant": quant, "bytes": size, "path": str(packed.path)}))
    else:
        print(f"ready: {name} ({quant}, {size / 1e6:.0f} MB)\n{packed.path}")
    return 0
