"""`qwell bench`: our engine and, when asked, its peers, in turn on the same weights."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qwell.backends.threads import default_threads
from qwell.bench.divergence import divergence
from qwell.bench.engine import OwnEngine, Samples
from qwell.bench.growth import growth
from qwell.bench.lookup import lookup_gain
from qwell.bench.peer_process import PEERS
from qwell.bench.peers import Peer
from qwell.config import Settings
from qwell.errors import QwellError
from qwell.weights import ensure_pack

ROUNDS = 5


def run(
    settings: Settings, *, peers: bool, say: Callable[[str], None], peers_python: str = ""
) -> dict[str, Any]:
    """Everything of the contract's `bench --json`. say: told what is going on.

    peers_python: the interpreter of the environment that has the peers; empty: this one.
    """
    say("preparing the model")
    packed = ensure_pack(settings)
    source = Path(str(packed.meta["source"]["path"]))
    n_threads = settings.threads or default_threads().count
    python = peers_python or sys.executable
    cache = settings.cache_path / "peers"
    others, missing = _start(source, cache, n_threads, python, say) if peers else ([], [])
    engine = OwnEngine(packed.path, n_threads)
    samples = Samples()
    try:
        for i in range(ROUNDS):
            say(f"round {i + 1} of {ROUNDS}")
            engine.sample(samples)
            missing += _sample(others)
    finally:
        for peer in others:
            peer.stop()
    figures = samples.medians()
    facts = engine.facts()
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "python": platform.python_version()}
    machine |= {"isa": facts.pop("isa"), "threads": facts.pop("threads")}
    say("a context that grows")
    curves = growth(engine)
    say("a real server")
    seen = _serving(settings)
    say("guesses, and float32")
    return {
        "machine": machine,
        "model": {"name": packed.meta["name"], "source": source.name},
        "quant": packed.meta["quant"],
        "quant_why": packed.meta.get("quant_why", ""),
        **figures,
        **facts,
        "growth": curves,
        "serving": seen,
        "lookup": lookup_gain(packed.path, engine.text, n_threads),
        "sampling": engine.sampling(),
        "kl": _divergence(engine, source, packed.path),
        "peers": [peer.result() for peer in others],
        "missing": missing,
    }


def _start(
    source: Path, cache: Path, n_threads: int, python: str, say: Callable[[str], None]
) -> tuple[list[Peer], list[str]]:
    """The peers that run here, and why the others do not."""
    if source.suffix != ".gguf":
        return [], [f"peers read GGUF files, not {source}: qwell bench --model FILE.gguf --peers"]
    started: list[Peer] = []
    missing: list[str] = []
    for name in PEERS:
        say(f"starting {name}")  # which takes minutes when its weights are rewritten first
        try:
            started.append(Peer.start(name, source, cache, n_threads, python))
        except QwellError as error:
            missing.append(error.found)
    return started, missing


def _sample(peers: list[Peer]) -> list[str]:
    """One round of all peers; takes out those that fail, and says why they did."""
    failures: list[str] = []
    for peer in peers.copy():
        try:
            peer.sample()
        except QwellError as error:
            failures.append(error.found)
            peers.remove(peer)
    return failures


def _serving(settings: Settings) -> dict[str, Any] | None:
    """None without httpx. The server gets the same weights, quant and threads."""
    try:
        from qwell.bench.overhead import N_TOKENS, overhead
        from qwell.bench.overhead import ROUNDS as OVERHEAD_ROUNDS
        from qwell.bench.serving import serving
    except ImportError:
        return None
    options = ["--model", settings.model, "--quant", settings.quant, "--ctx-size", "4096"]
    options += ["--threads", str(settings.threads)]
    if settings.cache_dir:
        options += ["--cache-dir", settings.cache_dir]
    seen = asyncio.run(serving("native", options))
    with tempfile.TemporaryDirectory() as data:
        own = replace(settings, ctx_size=4096, data_dir=data)
        cost = overhead("native", own, options, rounds=OVERHEAD_ROUNDS, n_tokens=N_TOKENS)
        return seen | {"overhead": asyncio.run(cost)}


def _divergence(engine: OwnEngine, source: Path, pack: Path) -> dict[str, float] | None:
    """None without the oracle's packages."""
    try:
        return divergence(engine.model, source, pack)
    except ImportError:
        return None


def cpu_name() -> str:
    """The processor's name as the kernel gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
