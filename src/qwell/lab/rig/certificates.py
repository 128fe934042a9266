"""Certificates of an authority of one's own, good and bad ones, and a server that shows them."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tls:
    """ca: file of the authority; cert and key: of the server."""

    ca: Path
    cert: Path
    key: Path


@contextlib.contextmanager
def authority(folder: Path, name: str = "localhost", *, is_expired: bool = False) -> Iterator[Tls]:
    """A certificate for the name (and 127.0.0.1 for localhost), and who signed it."""
    import trustme

    folder.mkdir(exist_ok=True)
    signer = trustme.CA()
    names = [name, "127.0.0.1"] if name == "localhost" else [name]
    starts = dt.datetime(2020 if is_expired else 2025, 1, 1, tzinfo=dt.UTC)
    ends = dt.datetime(2021, 1, 1, tzinfo=dt.UTC) if is_expired else None
    made = signer.issue_cert(*names, not_before=starts, not_after=ends)
    files = Tls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    signer.cert_pem.write_to_path(str(files.ca))
    made.private_key_pem.write_to_path(str(files.key))
    files.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    try:
        yield files
    finally:
        for path in (files.ca, files.cert, files.key):
            path.unlink()
        folder.rmdir()


class _Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    do_HEAD = do_GET  # noqa: N815  the library's name

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def tls_answer(files: Tls) -> Iterator[str]:
    """A server that says hello over TLS; gives its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]  # refused handshakes are what is wanted
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
