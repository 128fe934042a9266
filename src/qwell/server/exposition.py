"""Counters, histograms and gauges in the text format that Prometheus reads (version 0.0.4).

Knows no metric of ours. One thread, the event loop's, counts and renders.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[str, ...]  # values, in the order of the metric's label names
Reading = Mapping[Labels, float]
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Counter:
    """A number for each combination of labels that only grows. Its name ends in ``_total``."""

    def __init__(self, name: str, about: str, labels: Labels = ()) -> None:
        self.name, self.about, self.labels = name, about, labels
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def add(self, *labels: str, by: float = 1) -> None:
        self._values[labels] = self._values.get(labels, 0.0) + by

    def lines(self) -> Iterable[str]:
        yield from _head(self.name, self.about, "counter")
        for labels, value in self._values.items():
            yield _sample(self.name, self.labels, labels, value)


class Histogram:
    """How many observations were at most each of the bounds, their sum and their number."""

    def __init__(
        self, name: str, about: str, bounds: tuple[float, ...], labels: Labels = ()
    ) -> None:
        self.name, self.about, self.labels = name, about, labels
        self._bounds = bounds
        self._counts: dict[Labels, list[int]] = {} if labels else {(): self._empty()}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, *labels: str) -> None:
        self._counts.setdefault(labels, self._empty())[bisect_left(self._bounds, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def lines(self) -> Iterable[str]:
        yield from _head(self.name, self.about, "histogram")
        for labels, counts in self._counts.items():
            so_far = 0
            for bound, count in zip((*self._bounds, math.inf), counts, strict=True):
                so_far += count
                yield _sample(
                    f"{self.name}_bucket", (*self.labels, "le"), (*labels, _number(bound)), so_far
                )
            yield _sample(f"{self.name}_sum", self.labels, labels, self._sums.get(labels, 0.0))
            yield _sample(f"{self.name}_count", self.labels, labels, so_far)

    def _empty(self) -> list[int]:
        return [0] * (len(self._bounds) + 1)


class Gauge:
    """Read when it is asked for. kind counter: a number that someone else counts."""

    def __init__(
        self,
        name: str,
        about: str,
        read: Callable[[], float | Reading],
        labels: Labels = (),
        *,
        kind: Literal["gauge", "counter"] = "gauge",
    ) -> None:
        self.name, self.about, self.labels = name, about, labels
        self._read = read
        self._kind = kind

    def lines(self) -> Iterable[str]:
        yield from _head(self.name, self.about, self._kind)
        read = self._read()
        for labels, value in read.items() if isinstance(read, Mapping) else [((), read)]:
            yield _sample(self.name, self.labels, labels, value)


Metric = Counter | Histogram | Gauge


def render(metrics: Iterable[Metric]) -> str:
    """The whole document, each metric with its help and type."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _head(name: str, about: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _sample(name: str, names: Labels, values: Labels, number: float) -> str:
    pairs = ",".join(
        f'{label}="{value.translate(_ESCAPES)}"' for label, value in zip(names, values, strict=True)
    )
    return f"{name}{{{pairs}}} {_number(number)}" if pairs else f"{name} {_number(number)}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
