"""How far a model is, in the terminal: a bar where one can be drawn, else a line now and then.

Knows the fractions that are reported, not what is done meanwhile.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from qwell.cli.banner_words import words_for
from qwell.cli.language import preferred
from qwell.weights.progress import Progress as Step

if TYPE_CHECKING:
    from qwell.worker.supervisor import Supervisor

_IN_BYTES = ("download", "verify")
Show = Callable[[str, float, float], None]  # stage, done, total; total 0 is unknown


def describe_stage(stage: str) -> str:
    words = words_for(preferred())
    return words.get(f"stage_{stage or 'start'}", stage)


class Amount(ProgressColumn):
    """Bytes and bytes a second for what is counted in bytes, else per cent."""

    def render(self, task: Task) -> Text:
        if not task.total:
            return Text("")
        if task.fields["stage"] not in _IN_BYTES or task.total == 1:
            return Text(f"{task.percentage:3.0f}%")
        rate = f"  {decimal(int(task.speed))}/s" if task.speed else ""
        done, total = decimal(int(task.completed)), decimal(int(task.total))
        return Text(words_for(preferred())["of"].format(done, total) + rate)


@contextmanager
def showing() -> Iterator[Show]:
    """A function that shows a stage and how far it is, on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines().show
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        yield _Bar(bar).show


class _Bar:
    """One bar a stage, so that rate and time left belong to what is being done."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._stage: str | None = None

    def show(self, stage: str, done: float, total: float) -> None:
        if stage != self._stage:
            self._stage = stage
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(describe_stage(stage), stage=stage)
        task = self._bar.task_ids[0]
        self._bar.update(task, completed=done, total=total or None)


class _Lines:
    """For logs and pipes: a line for each stage and each tenth of it."""

    def __init__(self) -> None:
        self._last = ("", -1)

    def show(self, stage: str, done: float, total: float) -> None:
        line = (describe_stage(stage), int(10 * done / total) if total else 0)
        if line != self._last:
            self._last = line
            print(f"{line[0]}: {10 * line[1]}%", file=sys.stderr, flush=True)


@contextmanager
def watching_weights() -> Iterator[Callable[[Step], None]]:
    """A report for weights.ensure_pack that shows itself."""
    with showing() as show:
        yield lambda step: show(step.stage, step.done, step.total)


async def watch_loading(supervisor: Supervisor) -> None:
    """Show how loading goes until the model is ready or has failed."""
    with showing() as show:
        while supervisor.status.phase in ("starting", "loading", "restarting"):
            show(supervisor.status.stage, supervisor.status.progress, 1)
            await supervisor.changed()
