"""The command line: parse, call one function, print. Knows no HTTP and no tensors.

Importing it, and building the parser, takes the standard library alone: each command imports
what it needs when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from qwell.cli.failure import describe
from qwell.cli.parser import build_parser
from qwell.errors import QwellError


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 what was asked for is not so, 2 an error with found, expected, fix."""
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except QwellError as error:
        print(describe(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code
