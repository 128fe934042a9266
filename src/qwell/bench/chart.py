"""The growth of cost as one picture: four small charts in SVG. Knows figures, not their origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, log10
from typing import Any

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 440, 260  # of one chart
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 40, 40
_TICKS = 4
_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    'font-family="system-ui, sans-serif" font-size="12">\n'
    '<rect width="{width}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
)


def chart(figures: Mapping[str, Any]) -> str:
    """SVG of what `qwell bench --json` wrote."""
    curves = figures["growth"]
    together = sorted((int(n), float(rate)) for n, rate in figures["batch"].items())
    panels = [
        ("a token, by context", "tokens of context", "ms", curves["decode_ms"]),
        ("reading a prompt", "tokens", "s", curves["read_s"]),
        ("all answers together", "answers at once", "tok/s", together),
        ("memory, by context", "tokens of context", "MB", curves["memory_mb"]),
    ]
    body = "\n".join(
        f'<g transform="translate({i % 2 * _WIDTH},{i // 2 * _HEIGHT})">{_panel(*panel)}</g>'
        for i, panel in enumerate(panels)
    )
    return _FRAME.format(width=2 * _WIDTH, height=2 * _HEIGHT, body=body)


def _panel(title: str, across: str, unit: str, points: Points) -> str:
    """Both axes begin at 0, so that a curve's height is what it costs."""
    most_x, most_y = (_round_up(max(values)) for values in zip(*points, strict=True))
    placed = [(_x(x / most_x), _y(y / most_y)) for x, y in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#0b6e4f"/>' for x, y in placed)
    return (
        _words(_WIDTH / 2, 20, f"{title}, {unit}", weight="bold")
        + _grid(most_x, most_y)
        + f'<polyline points="{line}" fill="none" stroke="#0b6e4f" stroke-width="2"/>{marks}'
        + _words(_x(0.5), _HEIGHT - 6, across)
    )


def _grid(most_x: float, most_y: float) -> str:
    parts = []
    for i in range(_TICKS + 1):
        share = i / _TICKS
        y = _y(share)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        )
        parts.append(_words(_LEFT - 6, y + 4, f"{most_y * share:g}", anchor="end"))
        parts.append(_words(_x(share), _HEIGHT - 22, f"{most_x * share:g}"))
    return "".join(parts)


def _words(x: float, y: float, text: str, *, anchor: str = "middle", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="#333">{escape(text)}</text>'
    )


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _round_up(value: float) -> float:
    """The end of an axis: a number that four ticks divide well."""
    unit = 10.0 ** ceil(log10(value) - 1)
    steps = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10, 12)
    return next(step * unit for step in steps if step * unit >= value)
