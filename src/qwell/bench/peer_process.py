"""One peer in a process of its own: reads ``decode N`` and ``prefill`` lines, answers with JSON.

Started by peers.py as ``python -m qwell.bench.peer_process NAME GGUF THREADS FD``. The peer prints
what it likes on its standard streams; answers go to the given file descriptor. Imports nothing of
the engine that it is compared with.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from typing import Any

from qwell.bench.engine import PROMPT, long_prompt


class Xllamacpp:
    """llama.cpp through xllamacpp: the official GGUF file as it is."""

    package = "xllamacpp"

    def __init__(self, model: str, n_threads: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = model
        params.n_ctx = 4096
        params.n_parallel = 1
        params.cpuparams.n_threads = n_threads
        params.cpuparams_batch.n_threads = n_threads
        params.n_batch = params.n_ubatch = 512
        params.warmup = True
        self._server = xllamacpp.Server(params)

    def decode(self, n: int) -> float:
        return float(self._complete(PROMPT, n)["predicted_per_second"])

    def prefill(self) -> float:
        return float(self._complete(long_prompt(100_000), 1)["prompt_per_second"])

    def _complete(self, prompt: Any, n: int) -> dict[str, Any]:
        answer = self._server.handle_completions(
            {
                "prompt": prompt,
                "n_predict": n,
                "temperature": 0,
                "cache_prompt": False,
                "ignore_eos": True,
            }
        )
        timings: dict[str, Any] = answer["timings"]
        return timings


PEERS = {"llama.cpp": Xllamacpp}


def main(name: str, model: str, n_threads: int, fd: int) -> None:
    kind = PEERS[name]
    with os.fdopen(fd, "w", buffering=1) as out:
        version = importlib.metadata.version(kind.package)
        peer = kind(model, n_threads)
        print(json.dumps({"version": f"{kind.package} {version}"}), file=out)
        for line in sys.stdin:
            order, *rest = line.split()
            value = peer.decode(int(rest[0])) if order == "decode" else peer.prefill()
            print(json.dumps({order: value}), file=out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
