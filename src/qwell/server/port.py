"""Takes a port, or says who has it. Knows nothing of what is served there.

Standard library only: a port that is taken is known before anything heavy is loaded.
"""

from __future__ import annotations

import errno
import socket
from itertools import takewhile
from pathlib import Path

from qwell.errors import QwellError


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises QwellError naming the process that holds the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        raise _explained(error, host, port) from error
    return listener


def _explained(error: OSError, host: str, port: int) -> QwellError:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return QwellError(
            "port-in-use",
            found=f"{where} is already taken{_holder(port)}",
            expected="a free port",
            fix=f"stop that program, or choose another port: qwell serve --port {port + 1}",
        )
    if error.errno == errno.EACCES:
        return QwellError(
            "permission-denied",
            found=f"no right to listen on {where}",
            expected="a port above 1023, or the right to use a lower one",
            fix="qwell serve --port 8000",
        )
    return QwellError(
        "config-invalid",
        found=f"cannot listen on {where}: {error.strerror or error}",
        expected="an address of this machine",
        fix="qwell serve --host 127.0.0.1 (this machine only) or --host 0.0.0.0 (all networks)",
    )


def _holder(port: int) -> str:
    """Which process listens there, as far as /proc shows it to this user."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for links in Path("/proc").glob("[0-9]*/fd"):
        if inodes and _holds(links, inodes):
            return f" by process {links.parent.name} ({_command(links.parent)})"
    return ""


def _command(process: Path) -> str:
    """Its words up to the first flag: what follows may be a key."""
    words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return " ".join(takewhile(lambda word: not word.startswith("--"), words)).strip()[:120]


def _listening_inodes(port: int) -> list[str]:
    """Inodes of TCP sockets in state LISTEN (0A) on this port."""
    tables = [table for table in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")) if table.exists()]
    rows = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    here = f":{port:04X}"
    return [row[9] for row in rows if row[3] == "0A" and row[1].endswith(here)]


def _holds(links: Path, inodes: set[str]) -> bool:
    """False also for processes of others, and for those that end meanwhile."""
    try:
        return any(str(link.readlink()) in inodes for link in links.iterdir())
    except OSError:
        return False
