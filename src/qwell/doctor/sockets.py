"""Who listens on a port, from the kernel's tables. Linux only; elsewhere nobody is seen."""

from __future__ import annotations

import ipaddress
import sys
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Listener:
    """address  where it is bound; pid  0 when the kernel does not show it to this user."""

    address: str
    inode: str
    pid: int = 0
    command: str = ""


def listeners(root: Path, port: int) -> list[Listener]:
    found = [entry for name in ("tcp", "tcp6") for entry in _table(root / "proc/net" / name, port)]
    return [_with_owner(root, entry) for entry in found]


def _table(path: Path, port: int) -> list[Listener]:
    try:
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return []
    here = f":{port:04X}"
    return [
        Listener(_address(row[1].partition(":")[0]), row[9])
        for row in rows
        if row[3] == _LISTEN and row[1].endswith(here)
    ]


def _address(text: str) -> str:
    """The kernel writes addresses as words in the machine's byte order."""
    words = [bytes.fromhex(text[i : i + 8]) for i in range(0, len(text), 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return str(ipaddress.ip_address(b"".join(words)))


def _with_owner(root: Path, entry: Listener) -> Listener:
    wanted = f"socket:[{entry.inode}]"
    for links in (root / "proc").glob("[0-9]*/fd"):
        if _holds(links, wanted):
            return Listener(entry.address, entry.inode, int(links.parent.name), _command(links))
    return entry


def _holds(links: Path, wanted: str) -> bool:
    """False also for processes of others, and for those that end meanwhile."""
    try:
        return any(str(link.readlink()) == wanted for link in links.iterdir())
    except OSError:
        return False


def _command(links: Path) -> str:
    try:
        raw = (links.parent / "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()[:200]
