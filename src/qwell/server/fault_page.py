"""/faults/{id}: the page that an error's `type` names. Plain HTML in both languages, offline.

Knows the catalogue's fields and nothing of how a fault is found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from html import escape
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from qwell.doctor import consult
from qwell.errors import QwellError
from qwell.translate import translated

router = APIRouter(include_in_schema=False)
_STYLE = (
    "body{font:16px/1.65 system-ui,sans-serif;max-width:46rem;margin:2.5rem auto;padding:0 1rem;"
    "color:#1f2328;background:#fff}pre{background:#f2f3f5;padding:.7rem;overflow:auto;"
    "border-radius:6px}section{margin-bottom:3rem}dt{font-weight:600;margin-top:.8rem}"
    "dd{margin:0}a{color:inherit}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8ea;background:#17191c}"
    "pre{background:#2b2f34}}"
)
_NAMES = {
    "zh": {
        "see": "现象", "why": "原因", "how": "如何判断", "do": "怎么办",
        "verify": "如何确认已修好",
    },
    "en": {
        "see": "What you see", "why": "Why", "how": "How we know", "do": "What to do",
        "verify": "How to verify",
    },
}  # fmt: skip


@router.get("/faults")
async def index() -> HTMLResponse:
    """All faults by layer."""
    found = await asyncio.to_thread(consult.faults)
    items = "".join(
        f'<li><a href="/faults/{escape(f["id"])}">{escape(f["title"]["zh"])} · '
        f"{escape(f['title']['en'])}</a> <code>{escape(f['id'])}</code></li>"
        for f in found
    )
    return _page("faults", f"<h1>故障 · Faults</h1><ul>{items}</ul>")


@router.get("/faults/{fault_id}")
async def fault_page(fault_id: str) -> HTMLResponse:
    """One fault; an id that is not in the catalogue is said to be so, with the list."""
    try:
        known = await asyncio.to_thread(consult.fault, fault_id)
    except QwellError as error:
        said = f"{translated(error.found, 'zh')} · {error.found}"
        body = f"<h1>{escape(fault_id[:80])}</h1><p>{escape(said)}</p>" + _all_faults()
        return _page(fault_id[:80], body, status=404)
    sections = "".join(_section(known, language) for language in ("zh", "en"))
    return _page(known["id"], sections + _all_faults())


def _all_faults() -> str:
    return '<p><a href="/faults">全部故障 · All faults</a></p>'


def _section(known: dict[str, Any], language: str) -> str:
    names = _NAMES[language]
    rows = [(names[key], escape(known[key][language])) for key in ("see", "why", "how")]
    rows.append((names["do"], "".join(_remedies(known["remedies"], language))))
    verify = "".join(f"<li><code>{escape(check)}</code></li>" for check in known["verify"])
    rows.append((names["verify"], f"<code>qwell doctor</code><ul>{verify}</ul>"))
    terms = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows if text)
    return (
        f'<section lang="{language}"><h1>{escape(known["title"][language])}</h1>'
        f"<p>{escape(known['summary'][language])} <code>{escape(known['id'])}</code></p>"
        f"<dl>{terms}</dl></section>"
    )


def _remedies(remedies: Iterable[dict[str, Any]], language: str) -> Iterable[str]:
    for remedy in remedies:
        commands = "\n".join(remedy["commands"])
        shown = f"<pre>{escape(commands)}</pre>" if commands else ""
        yield f"<p>{escape(remedy['do'][language])}</p>{shown}"


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        '<!doctype html><html lang="zh"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} · qwell</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>",
        status,
    )
