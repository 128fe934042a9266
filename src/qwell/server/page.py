"""The chat page: files of the built bundle, cached as long as each may be.

Hashed assets never change, so they are kept for a year; index.html is asked for every time. When
the model cannot answer, index.html carries the cause and fix as plain HTML, which the page's
script replaces by its own view; without a bundle there is the plain status page alone.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from qwell.server.health import reason_not_ready, status_of
from qwell.server.status_page import status_page, summary

BUNDLE = Path(__file__).parent / "static"
_ROOT = '<div id="root">'  # where the page's script mounts
_NO_CACHE = {"Cache-Control": "no-cache"}
_TEXT = (".js", ".css")
_IMMUTABLE = "public, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@router.get("/status")
async def status(request: Request) -> Response:
    """The plain page, in every state."""
    bundle: Path = request.app.state.bundle
    return _plain(request, has_bundle=(bundle / "index.html").is_file())


async def any_other_path(scope: Scope, receive: Receive, send: Send) -> None:
    """What no route knows. No route of its own, which would hide that a method is not allowed."""
    if scope["type"] != "http":
        await WebSocketClose()(scope, receive, send)
        return
    request = Request(scope, receive)
    if request.method not in ("GET", "HEAD"):
        raise HTTPException(404)
    response = await _page(request, scope["path"].lstrip("/"))
    await response(scope, receive, send)


async def _page(request: Request, path: str) -> Response:
    """A file of the bundle; any other path without a suffix is the page itself."""
    bundle: Path = request.app.state.bundle
    if path in ("", "index.html"):
        return _index(request, bundle)
    try:
        return await _file(request, bundle, path)
    except HTTPException as error:
        if error.status_code == 404 and _is_place_in_page(request, path):
            return _index(request, bundle)
        raise


def _is_place_in_page(request: Request, path: str) -> bool:
    """A browser asks for a view of the page, not for a missing file or a route of an API."""
    has_suffix = "." in path.rpartition("/")[2]
    accepts_html = "text/html" in request.headers.get("accept", "")
    return accepts_html and not has_suffix and not path.startswith(("api/", "v1/", "ws/"))


async def _file(request: Request, bundle: Path, path: str) -> Response:
    """Raises HTTPException 404 for what is not a file inside the bundle."""
    files = StaticFiles(directory=bundle, check_dir=False)
    response = await files.get_response(files.get_path(request.scope), request.scope)
    response.headers["Cache-Control"] = _IMMUTABLE if path.startswith("assets/") else "no-cache"
    if response.status_code == 200 and path.startswith("assets/") and path.endswith(_TEXT):
        response.headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            return await _compressed(bundle / path, response)
    return response


async def _compressed(file: Path, plain: Response) -> Response:
    """The same in a third of the bytes; a name with a hash always means the same content."""
    body = await run_in_threadpool(_gzipped, file)
    kept = ("content-type", "cache-control", "vary", "last-modified")
    headers = {name: plain.headers[name] for name in kept if name in plain.headers}
    return Response(body, headers=headers | {"Content-Encoding": "gzip"})


@lru_cache(maxsize=64)
def _gzipped(file: Path) -> bytes:
    return gzip.compress(file.read_bytes(), mtime=0)


def _index(request: Request, bundle: Path) -> Response:
    index = bundle / "index.html"
    if not index.is_file():
        return _plain(request, has_bundle=False)
    html = index.read_text(encoding="utf-8")
    current = status_of(request)
    if reason_not_ready(current) is not None:
        html = html.replace(_ROOT, _ROOT + summary(current, has_bundle=True), 1)
    return HTMLResponse(html, headers=_NO_CACHE)


def _plain(request: Request, *, has_bundle: bool) -> Response:
    html = status_page(status_of(request), has_bundle=has_bundle)
    return HTMLResponse(html, headers=_NO_CACHE)
