"""What a person types, line by line, with editing and a history that outlives the program.

Knows nothing of what the lines mean.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HISTORY_LINES = 1000


class LineEditor:
    """history: the file that keeps the lines, readable by this person alone; None keeps none."""

    def __init__(self, history: Path | None) -> None:
        with suppress(ImportError):  # not every Python has it: input() then edits less
            import readline

            readline.set_history_length(HISTORY_LINES)
            if history is not None:
                _keep(history)

    def lines(self) -> Iterator[str]:
        r"""Stripped and not empty, until Ctrl-D. Ctrl-C drops the line; a final \ continues it."""
        while True:
            try:
                line = self._whole_line().strip()
            except KeyboardInterrupt:
                print()
                continue
            except EOFError:
                print()
                return
            if line:
                yield line

    def _whole_line(self) -> str:
        pieces = [input("> ")]
        while pieces[-1].endswith("\\"):
            pieces[-1] = pieces[-1][:-1]
            pieces.append(input(". "))
        return "\n".join(pieces)


@contextmanager
def unechoed() -> Iterator[None]:
    """Keys pressed meanwhile are not shown: they would tear what is being drawn.

    They are kept for the next line, and Ctrl-C interrupts as ever. Without a terminal nothing
    changes.
    """
    import termios

    try:
        before = termios.tcgetattr(sys.stdin)
    except (OSError, ValueError, termios.error):
        yield
        return
    quiet = before.copy()
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(sys.stdin, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _keep(history: Path) -> None:
    """Read it now and write it at the end. A file that cannot be used is done without."""
    import readline

    with suppress(OSError):
        readline.read_history_file(history)
    atexit.register(_write, history)


def _write(history: Path) -> None:
    import readline

    with suppress(OSError):
        history.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(history, os.O_CREAT | os.O_WRONLY, 0o600))
        readline.write_history_file(history)
