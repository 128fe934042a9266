"""Networks of one's own, as a container has one. Needs root and `ip`."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from qwell.lab.case import NotInjected
from qwell.lab.leftovers import Run, end_namespace

_numbers = itertools.count()  # scenarios side by side have a network each


@dataclass(frozen=True, slots=True)
class Net:
    """name: for `ip netns exec`; inside, outside: addresses of the two ends, "" without a wire."""

    name: str
    inside: str = ""
    outside: str = ""

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)


def ip(*arguments: str) -> str:
    """Raises NotInjected with what `ip` said."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInjected(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def own_network(run: Run, *, wired: bool = False) -> Iterator[Net]:
    """Nothing but its own loopback; wired: and a wire to this machine."""
    name = f"qwell-lab-{os.getpid()}-{next(_numbers)}"
    run.note("namespace", name)
    end_namespace(name)
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield _wire(name) if wired else Net(name)
    finally:
        end_namespace(name)


def _wire(name: str) -> Net:
    """A veth pair in a network of 10.x that hardly anybody uses."""
    block = f"10.{random.randint(200, 250)}.{random.randint(0, 250)}"  # noqa: S311  no secret
    inside, outside = f"{block}.2", f"{block}.1"
    own = f"ql{os.getpid() % 100000}-{next(_numbers)}"
    near, far = f"{own}a", f"{own}b"
    ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
    ip("addr", "add", f"{outside}/24", "dev", near)
    ip("link", "set", near, "up")
    ip("-n", name, "addr", "add", f"{inside}/24", "dev", far)
    ip("-n", name, "link", "set", far, "up")
    return Net(name, inside, outside)
