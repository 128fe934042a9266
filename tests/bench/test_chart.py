"""The picture shows every figure at its place."""

import re
from xml.etree import ElementTree as ET

from qwell.bench.chart import chart

FIGURES = {
    "growth": {
        "decode_ms": [(100, 10.0), (4000, 15.0), (8000, 20.0)],
        "read_s": [(100, 0.2), (8000, 31.0)],
        "memory_mb": [(100, 400.0), (8000, 500.0)],
    },
    "batch": {"8": 400.0, "1": 90.0, "4": 280.0},
}


def _panels() -> list[ET.Element]:
    picture = ET.fromstring(chart(FIGURES))  # noqa: S314  our own words
    return [child for child in picture if child.tag.endswith("}g")]


def _points(panel: ET.Element) -> list[tuple[float, float]]:
    [line] = [child for child in panel if child.tag.endswith("}polyline")]
    return [
        (float(x), float(y)) for x, y in re.findall(r"([\d.]+),([\d.]+)", line.attrib["points"])
    ]


def test_there_is_a_panel_for_each_curve_with_a_mark_for_each_figure() -> None:
    marks = [sum(child.tag.endswith("}circle") for child in panel) for panel in _panels()]
    assert marks == [3, 2, 3, 2]


def test_height_is_in_proportion_because_axes_begin_at_nought() -> None:
    (_, low), _, (_, high) = _points(_panels()[0])
    bottom = 260 - 40
    assert round((bottom - high) / (bottom - low), 2) == 2.0


def test_answers_at_once_are_in_order_of_their_number() -> None:
    across = [x for x, _ in _points(_panels()[2])]
    assert across == sorted(across)


def test_axes_end_at_or_above_the_largest_figure() -> None:
    texts = [child.text or "" for child in _panels()[1] if child.tag.endswith("}text")]
    numbers = [float(text) for text in texts if re.fullmatch(r"[\d.]+", text)]
    assert max(numbers) >= 8000
    assert 32.0 in numbers
