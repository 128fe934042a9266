"""The plain page: what works, what does not, why, and what to do. HTML without any script.

Stands in for the chat page when that cannot be shown; Chinese and English side by side.
"""

from __future__ import annotations

from html import escape

from qwell.errors import QwellError
from qwell.server.health import reason_not_ready
from qwell.server.problem import title
from qwell.server.worker_protocol import Status
from qwell.translate import translated

_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:4rem auto;padding:0 1rem;"
    "color:#1f2328;background:#fff}code{background:#eef0f2;padding:.1em .35em;border-radius:4px;"
    "overflow-wrap:anywhere}dt{font-weight:600;margin-top:1rem}dd{margin:0;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8ea;background:#17191c}"
    "code{background:#2b2f34}}"
)

NO_BUNDLE = QwellError(
    "frontend-not-built",
    found="the chat page is missing from this installation",
    expected="server/static/index.html inside the package",
    fix="build it with: make web (the API works meanwhile)",
)


def status_page(status: Status, *, has_bundle: bool) -> str:
    """A complete document; reloads itself while the state may still change."""
    reload_s = 10 if status.phase == "ready" else 3
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="refresh" content="{reload_s}"><title>qwell</title>'
        f"<style>{_STYLE}</style></head><body>{summary(status, has_bundle=has_bundle)}"
        '<p><a href="/ready">/ready</a> · <a href="/version">/version</a> · '
        '<a href="/docs">/docs</a></p></body></html>'
    )


def summary(status: Status, *, has_bundle: bool) -> str:
    """The same as a fragment, to stand where the chat page would be."""
    reason = reason_not_ready(status)
    parts = ["<main>", _headline(reason)]
    parts += [] if reason is None else [_details(reason)]
    parts += [] if has_bundle else [_details(NO_BUNDLE)]
    return "".join([*parts, "</main>"])


def _headline(reason: QwellError | None) -> str:
    if reason is None:
        return "<h1>qwell 正在运行 · qwell is running</h1>"
    if reason.fault == "model-still-loading":
        return "<h1>模型正在加载 · The model is loading</h1>"
    return "<h1>模型无法回答 · The model cannot answer</h1>"


def _details(error: QwellError) -> str:
    named = f"{title(error.fault, 'zh')} · {title(error.fault)}"
    rows = (
        ("故障 · Fault", f"{escape(named)} <code>{escape(error.fault)}</code>"),
        ("现状 · Found", _both(error.found)),
        ("应为 · Expected", _both(error.expected)),
        ("怎么办 · Fix", f"<code>{_both(error.fix)}</code>"),
    )
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows) + "</dl>"


def _both(text: str) -> str:
    """In Chinese and English, once where that is the same."""
    chinese = translated(text, "zh")
    return escape(text) if chinese == text else f"{escape(chinese)}<br>{escape(text)}"
