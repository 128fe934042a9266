"""A run of the lab as pages for people: Markdown and HTML with two pictures, and the JSON.

    python -m qwell.lab.report FOLDER PART.json ...

puts parts of a run together, of which the later ones count. Failures stand in the pages by name.
Knows nothing of how a scenario is carried out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from qwell.doctor.finding import LAYERS
from qwell.lab.excused import EXCUSED
from qwell.lab.plots import confusion, times
from qwell.lab.result import Outcome, Pair, Result

JSON_FILE = "lab.json"
Row = Mapping[str, Any]
_TARGETS = (
    ("faults caused for real", "faults_caused", 50, ""),
    ("named first", "named_first", 0.95, "%"),
    ("fixed and verified, auto and confirm", "auto_and_confirm_verified", 0.95, "%"),
    ("undone", "undone", 1.0, "%"),
    ("wrong fixes that passed", "wrong_fixes_that_passed", 0, "most"),
    ("seconds to a diagnosis, 95 % of scenarios", "diagnosis_s_p95", 10, "most"),
)


def write_report(found: Mapping[str, Any], folder: Path) -> None:
    """README.md, index.html, two SVG files and the JSON itself."""
    folder.mkdir(parents=True, exist_ok=True)
    valid = [row for row in found["faults"] if _is_valid(row)]
    files = {
        JSON_FILE: json.dumps(found, ensure_ascii=False, indent=1) + "\n",
        "times.svg": times(valid),
        "confusion.svg": confusion(valid),
        "README.md": to_markdown(found),
        "index.html": to_html(found),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _is_valid(row: Row) -> bool:
    return not row["skipped"] and not row["invalid"] and row["injected"] and row["visible"]


# ---- as Markdown

_INTRODUCTION = (
    "Written by `make lab`. Every fault is caused for real, met by an attempt of a person, named "
    "by `qwell doctor` or `qwell diagnose`, cured, verified by the same attempt and by the "
    "doctor, and taken back; [how](../lab.md)."
)


def to_markdown(found: Mapping[str, Any]) -> str:
    """The page docs/lab/README.md."""
    return "\n".join(
        [
            "# The lab, measured",
            "",
            _INTRODUCTION,
            "",
            *_table(("measure", "must", "measured"), _score(found)),
            "",
            *_about(found),
            "",
            "![time to diagnosis](times.svg)",
            "",
            "![confusion matrix](confusion.svg)",
            "",
            "## Failures",
            "",
            *(_failures(found) or ["None."]),
            "",
            "## Not caused",
            "",
            *_table(("fault", "why"), [(f"`{k}`", v) for k, v in EXCUSED.items()]),
            "",
            *_layers(found),
            "## Two faults at once",
            "",
            *_table(
                ("caused", "named", "both"),
                [
                    (
                        " + ".join(p["faults"]),
                        ", ".join(p["top"]) or p["invalid"],
                        _mark(p["named"]),
                    )
                    for p in found["pairs"]
                ],
            ),
            "",
        ]
    )


def _score(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    summary = found["summary"]
    rows = []
    for name, key, must, unit in _TARGETS:
        value = summary[key]
        wanted = f"{must:.0%}" if unit == "%" else str(must)
        rows.append((name, wanted, _shown(value, unit)))
    alarms = f"{found['false_alarms']} in {found['healthy_runs']}"
    return [*rows, ("false alarms on healthy systems", "0 in 300", alarms)]


def _shown(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    return f"{value:.1%}" if unit == "%" else f"{value:g}"


def _about(found: Mapping[str, Any]) -> list[str]:
    s, machine = found["summary"], found["machine"]
    share = {k: _shown(s[k], "%") for k in ("grounded", "verified", "detected", "pairs_both_named")}
    noise = _shown(s["named_first_with_noise"], "%")
    text = (
        f"{s['scenarios']} scenarios of {s['faults_caused']} faults in {s['layers']} layers: "
        f"{s['valid']} valid, {s['skipped']} skipped, {s['invalid']} invalid. Detected "
        f"{share['detected']}, evidence true {share['grounded']}, cured and verified by any remedy "
        f"{share['verified']}. {s['wrong_fixes']} wrong or empty fixes were tried on faults that "
        f"were there. With harmless noise on top ({s['with_noise']} scenarios) named first: "
        f"{noise}. {s['pairs']} pairs of faults, both named: {share['pairs_both_named']}. Half of "
        f"the diagnoses were there after {s['diagnosis_s_p50']} s. "
        f"The run took {found['seconds'] / 60:.0f} minutes on {machine.get('cpus')} CPUs, "
        f"{_lanes(machine)}{machine.get('system')} {machine.get('machine')}, "
        f"Python {machine.get('python')}."
    )
    return [text]


def _lanes(machine: Mapping[str, Any]) -> str:
    """Also of a run that had none yet."""
    n = machine.get("lanes", 1)
    return f"{n} scenarios at a time, " if n > 1 else ""


def _failures(found: Mapping[str, Any]) -> list[str]:
    lines = []
    for row in found["faults"]:
        name = f"`{row['id']}/{row['variant']}`"
        if row["skipped"]:
            lines.append(f"- {name}: skipped, {row['skipped'][:160]}")
        elif not _is_valid(row):
            lines.append(f"- {name}: invalid, {row['invalid'][:160]}")
        elif missed := _missed(row):
            named = ", ".join(row["top"][:3]) or "nothing"
            lines.append(f"- {name}: not {', '.join(missed)}; the doctor named {named}")
    lines += [f"- false alarm, {alarm[:160]}" for alarm in found["alarms"]]
    return lines


def _missed(row: Row) -> list[str]:
    words = [w for w in ("detected", "named", "grounded", "verified", "undone") if not row[w]]
    return [*words, *(f"safe from {name}" for name in row["false_passes"])]


def _layers(found: Mapping[str, Any]) -> Iterable[str]:
    head = ("fault / variant", "seen", "named", "by", "evidence", "remedy", "verified", "undone")
    for layer in LAYERS:
        rows = [row for row in found["faults"] if row["layer"] == layer and _is_valid(row)]
        if rows:
            yield f"## {layer.capitalize()}"
            yield ""
            yield from _table(head, [_line(row) for row in rows])
            yield ""


def _line(row: Row) -> tuple[str, ...]:
    return (
        f"`{row['id']}` / {row['variant']}",
        _mark(row["detected"]),
        _mark(row["named"]),
        f"{row['by']}, {row['diagnosis_s']:.1f} s",
        _mark(row["grounded"]),
        row["remedy"] or "none",
        _mark(row["verified"]),
        _mark(row["undone"]),
    )


def _mark(is_so: bool) -> str:
    return "yes" if is_so else "**no**"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    cells = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)
    return lines + ["| " + " | ".join(row) + " |" for row in cells]


# ---- as HTML

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0;font-size:13px}"
    "td,th{border:1px solid #ccc;padding:.2rem .5rem;text-align:left}"
    "img{max-width:100%}.no{background:#f6d5cf}"
)


def to_html(found: Mapping[str, Any]) -> str:
    """One file that shows the same, with the two pictures beside it."""
    valid = [row for row in found["faults"] if _is_valid(row)]
    head = ("fault / variant", "seen", "named", "by", "evidence", "remedy", "verified", "undone")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>qwell lab</title>",
        f"<style>{_STYLE}</style><h1>The lab, measured</h1>",
        _html_table(("measure", "must", "measured"), _score(found)),
        *(f"<p>{escape(text)}</p>" for text in _about(found)),
        '<p><img src="times.svg" alt="time to diagnosis"></p>',
        '<p><img src="confusion.svg" alt="confusion matrix"></p>',
        "<h2>Failures</h2><ul>",
        *(f"<li>{escape(line[2:])}</li>" for line in _failures(found)),
        "</ul><h2>Every scenario</h2>",
        _html_table(head, [_line(row) for row in valid]),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def cell(text: str) -> str:
        is_no = text == "**no**"
        return f"<td{' class=no' if is_no else ''}>{escape(text.strip('*').replace('`', ''))}</td>"

    lines = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
    lines += ["<tr>" + "".join(cell(str(text)) for text in row) + "</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def merged(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One run from parts; what a later part has examined again replaces what was there."""
    rows = {f"{row['id']}/{row['variant']}": row for part in parts for row in part["faults"]}
    pairs = {" + ".join(pair["faults"]): pair for part in parts for pair in part["pairs"]}
    results = [Result(**row) for row in rows.values()]
    known = [Pair(**{**pair, "faults": tuple(pair["faults"])}) for pair in pairs.values()]
    found = Outcome(
        results,
        known,
        sum(part["healthy_runs"] for part in parts),
        [alarm for part in parts for alarm in part["alarms"]],
        parts[-1]["machine"],
        sum(part["seconds"] for part in parts),
    )
    return found.to_dict()


if __name__ == "__main__":
    files = [json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[2:]]
    write_report(merged(files), Path(sys.argv[1]))
