"""/docs: the HTTP reference as plain HTML, made from the OpenAPI document.

No script and no other origin: the ready-made viewers load theirs from the network.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
_STYLE = (
    "body{font:15px/1.55 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f2f3f5;padding:.8rem;overflow:auto;border-radius:6px}"
    "h2 code{font-size:1rem}"
)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Every route with its description and the schema of its body."""
    document: dict[str, Any] = request.app.openapi()
    routes = "".join(
        _operation(document, method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>qwell HTTP API</title>'
        f"<style>{_STYLE}</style></head><body><h1>qwell HTTP API</h1>"
        f'<p>Machine-readable: <a href="/openapi.json">/openapi.json</a></p>{routes}</body></html>'
    )


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    about = escape(operation.get("description", operation.get("summary", "")))
    return f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{about}</p>" + _body(
        document, operation
    )


def _body(document: dict[str, Any], operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    if not reference:
        return ""
    schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    shown = json.dumps(schema["properties"], ensure_ascii=False, indent=1)
    return f"<details><summary>body</summary><pre>{escape(shown)}</pre></details>"
