"""Two pictures of a run as SVG text: how long a diagnosis takes, and what is taken for what.

Knows numbers and names, nothing of how they came about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_W, _LEFT, _TOP = 760, 230, 40
_LAYER_COLOURS = {
    "host": "#3b6ea5", "container": "#4a9c8c", "dependency": "#8a6fb0", "model": "#c28b2c",
    "engine": "#b4513f", "api": "#5c8a3a", "network": "#2f8fb3", "browser": "#a0577f",
    "dialogue": "#6b6b6b",
}  # fmt: skip


def _svg(width: int, height: int, body: str, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" font-family="sans-serif" font-size="11">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def times(results: Sequence[Mapping[str, object]]) -> str:
    """One dot for each valid scenario, by layer, on a logarithmic scale of seconds."""
    import math

    layers = list(_LAYER_COLOURS)
    height = _TOP + 34 * len(layers) + 30
    lowest, highest = math.log10(0.3), math.log10(60)

    def x_of(seconds: float) -> float:
        share = (math.log10(max(0.3, min(60, seconds))) - lowest) / (highest - lowest)
        return 110 + share * (_W - 140)

    parts = ['<text x="20" y="22" font-size="14">Time to diagnosis, seconds</text>']
    for mark in (0.3, 1, 3, 10, 30, 60):
        x = x_of(mark)
        parts.append(
            f'<line x1="{x:.0f}" y1="{_TOP}" x2="{x:.0f}" y2="{height - 25}" stroke="#dddddd"/>'
            f'<text x="{x:.0f}" y="{height - 8}" text-anchor="middle">{mark:g}</text>'
        )
    for i, layer in enumerate(layers):
        y = _TOP + 34 * i + 17
        parts.append(f'<text x="20" y="{y + 4}">{layer}</text>')
        mine = [r for r in results if r["layer"] == layer]
        for n, result in enumerate(mine):
            seconds = float(str(result["diagnosis_s"]))
            fill = _LAYER_COLOURS[layer] if result["named"] else "#ffffff"
            parts.append(
                f'<circle cx="{x_of(seconds):.1f}" cy="{y + (n % 5 - 2) * 4}" r="3.5" '
                f'fill="{fill}" stroke="{_LAYER_COLOURS[layer]}">'
                f"<title>{escape(str(result['id']))}: {seconds:.1f} s</title></circle>"
            )
    return _svg(_W, height, "\n".join(parts), "Time to diagnosis")


def confusion(results: Sequence[Mapping[str, object]]) -> str:
    """Caused faults in rows, named ones in columns; a dark square on the diagonal is right."""
    caused = list(dict.fromkeys(str(r["id"]) for r in results))
    named = list(dict.fromkeys([*caused, *(_first(r) for r in results)]))
    cell = 9
    width, height = _LEFT + cell * len(named) + 20, _TOP + cell * len(caused) + 20
    parts = ['<text x="20" y="22" font-size="14">Caused (rows) and named first (columns)</text>']
    for i, fault in enumerate(caused):
        y = _TOP + cell * i
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 8}" text-anchor="end" font-size="8">'
            f"{escape(fault)}</text>"
        )
        mine = [_first(r) for r in results if r["id"] == fault]
        for other in dict.fromkeys(mine):
            x = _LEFT + cell * named.index(other)
            depth = mine.count(other) / len(mine)
            colour = "#2f6f4f" if other == fault else "#b4513f"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell - 1}" height="{cell - 1}" fill="{colour}" '
                f'fill-opacity="{0.35 + 0.65 * depth:.2f}">'
                f"<title>{escape(fault)} named {escape(other)}: {mine.count(other)}</title></rect>"
            )
    return _svg(max(width, 420), height, "\n".join(parts), "Confusion matrix")


def _first(result: Mapping[str, object]) -> str:
    top = result["top"]
    return str(top[0]) if isinstance(top, list) and top else "nothing"
