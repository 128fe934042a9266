"""HTTP as the doctor speaks it: one request, a timed event stream, a WebSocket handshake.

Standard library only. Knows no routes. Whatever breaks is raised as OSError.
"""

from __future__ import annotations

import base64
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from qwell.doctor.address import is_near
from qwell.doctor.answer import Answer, Frame

_MOST_BYTES = 4 * 2**20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is evidence, not something to follow."""

    def redirect_request(self, *_arguments: Any, **_names: Any) -> None:
        return None


class HttpDoor:
    """A server by its address; the key is sent to it and to nobody else."""

    def __init__(self, base: str, api_key: str) -> None:
        self._base = base
        self._api_key = api_key

    def ask(
        self,
        path: str,
        *,
        method: str,
        body: bytes | None,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> Answer:
        request = self._request(path, method, body, headers)
        started = time.monotonic()
        with _opened(request, timeout_s) as response:
            ms = 1e3 * (time.monotonic() - started)
            return Answer(response.status, _lower(response.headers), response.read(_MOST_BYTES), ms)

    def frames(
        self, path: str, *, body: bytes | None, timeout_s: float
    ) -> tuple[Answer, list[Frame]]:
        """Until the stream ends or timeout_s has passed since the request."""
        accept = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, identity;q=0.5"}
        request = self._request(path, "GET" if body is None else "POST", body, accept)
        started = time.monotonic()
        with _opened(request, timeout_s) as response:
            head = Answer(
                response.status, _lower(response.headers), b"", 1e3 * (time.monotonic() - started)
            )
            if response.status != 200 or "content-encoding" in head.headers:
                return Answer(head.status, head.headers, response.read(_MOST_BYTES), head.ms), []
            return head, list(_frames(response, started, timeout_s))

    def handshake(self, path: str, timeout_s: float) -> Answer:
        address = urlsplit(self._base)
        kind = (
            http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(address.netloc, timeout=timeout_s)
        started = time.monotonic()
        try:
            connection.request("GET", address.path + path, headers=self._switch_headers())
            response = connection.getresponse()
            ms = 1e3 * (time.monotonic() - started)
            body = b"" if response.status == 101 else response.read(_MOST_BYTES)
            return Answer(response.status, _lower(response.headers), body, ms)
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def _switch_headers(self) -> dict[str, str]:
        return {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **self._credentials(),
        }

    def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}

    def _request(
        self, path: str, method: str, body: bytes | None, headers: Mapping[str, str]
    ) -> urllib.request.Request:
        is_other = path.startswith(("http://", "https://"))
        own = {"Content-Type": "application/json"} if body is not None else {}
        own |= {} if is_other else self._credentials()
        url = path if is_other else self._base + path
        return urllib.request.Request(url, body, {**own, **headers}, method=method)  # noqa: S310  http and https only: the caller checks


@contextmanager
def _opened(request: urllib.request.Request, timeout_s: float) -> Iterator[Any]:
    """Own addresses are asked directly, whatever proxy is configured."""
    proxies = [urllib.request.ProxyHandler({})] if is_near(request.full_url) else []
    opener = urllib.request.build_opener(_NoRedirect, *proxies)
    try:
        with opener.open(request, timeout=timeout_s) as response:
            yield response
    except urllib.error.HTTPError as error:
        with error:
            yield error
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _frames(response: Any, started: float, timeout_s: float) -> Iterator[Frame]:
    data: list[str] = []
    while (raw := response.readline()) and time.monotonic() - started < timeout_s:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield Frame("\n".join(data), time.monotonic() - started)
            data = []


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}
