"""The command line: parse, call one function, print. Knows no HTTP and no tensors.

Importing it, and building the parser, takes the standard library alone: each command imports
what it needs when it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import TextIO

from qwell.cli.failure import describe, incomplete
from qwell.cli.language import speaking
from qwell.cli.parser import build_parser
from qwell.errors import QwellError


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 what was asked for is not so, 2 an error with found, expected, fix."""
    for stream in (sys.stdout, sys.stderr):
        _let_all_text_through(stream)
    try:
        options = build_parser().parse_args(arguments)
    except QwellError as error:
        print(describe(error), file=sys.stderr)
        return 2
    with speaking(options.lang):
        return _done(options)


def _done(options: argparse.Namespace) -> int:
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except QwellError as error:
        print(describe(error), file=sys.stderr)
        return 2
    except ImportError as error:
        print(describe(incomplete(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _reader_left()
    return code


def _let_all_text_through(stream: TextIO) -> None:
    """What the locale cannot write is escaped: a doctor for locales must not die of one."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _reader_left() -> int:
    """`qwell doctor | head` has seen enough: no error, and nothing more to flush at the exit."""
    with contextlib.suppress(OSError, ValueError):  # a standard output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE
