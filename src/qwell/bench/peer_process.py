"""One peer in a process of its own: reads ``decode N`` and ``prefill`` lines, answers with JSON.

Started by peers.py as ``python -m qwell.bench.peer_process NAME GGUF THREADS FD``. The peer prints
what it likes on its standard streams; answers go to the given file descriptor. Imports nothing of
the engine that it is compared with.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
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


class IkLlamaCpp:
    """ik_llama.cpp, which keeps its weights in an order of its own when asked to."""

    package = "ik-llama-cpp-python"

    def __init__(self, model: str, n_threads: int) -> None:
        binding = importlib.import_module("ik_llama_cpp")  # in an environment of its own
        _ctypes_api: Any = importlib.import_module("ik_llama_cpp._ctypes_api")
        defaults = _ctypes_api.llama_model_default_params

        def repacked() -> Any:
            parameters = defaults()
            parameters.repack_tensors = True  # which the class has no argument for
            return parameters

        _ctypes_api.llama_model_default_params = repacked
        self._llama = binding.IkLlama(model, n_ctx=4096, n_threads=n_threads, verbose=False)
        self._long = long_prompt(100_000)

    def decode(self, n: int) -> float:
        self._llama.generate(self._llama.tokenize(PROMPT, add_bos=False), max_tokens=n)
        return self._rate("n_eval", "t_eval_ms")

    def prefill(self) -> float:
        self._llama.generate(self._long, max_tokens=1)
        return self._rate("n_p_eval", "t_p_eval_ms")

    def _rate(self, count: str, ms: str) -> float:
        """By its own clock, which leaves the binding's sampling in Python out."""
        times = self._llama._context.perf()  # noqa: SLF001  no other way to its clock
        return float(times[count] / times[ms] * 1e3)


class Transformers:
    """Transformers in float32, as its documentation says for a GGUF file."""

    package = "transformers"

    def __init__(self, model: str, n_threads: int) -> None:
        torch, library = map(importlib.import_module, ("torch", "transformers"))
        torch.set_num_threads(n_threads)
        torch.set_grad_enabled(False)
        path = Path(model)
        self._torch = torch
        self._model = library.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)

    def decode(self, n: int) -> float:
        """A quarter of the tokens: it is the slowest by far."""
        n //= 4
        both = self._seconds(long_prompt(100_000)[:26], n)
        return n / (both - self._seconds(long_prompt(100_000)[:26], 0))

    def prefill(self) -> float:
        return len(long_prompt(100_000)) / self._seconds(long_prompt(100_000), 0)

    def _seconds(self, prompt: list[int], n: int) -> float:
        """For a prompt and n + 1 greedy tokens."""
        ids = self._torch.tensor([prompt])
        start = time.perf_counter()
        self._model.generate(
            ids, do_sample=False, min_new_tokens=n + 1, max_new_tokens=n + 1, pad_token_id=0
        )
        return time.perf_counter() - start


PEERS: dict[str, Any] = {
    "llama.cpp": Xllamacpp,
    "ik_llama.cpp": IkLlamaCpp,
    "Transformers": Transformers,
}


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
