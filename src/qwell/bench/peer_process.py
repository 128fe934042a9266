"""One peer in a process of its own: reads ``decode N`` and ``prefill`` lines, answers with JSON.

Started by peers.py as ``python -m qwell.bench.peer_process NAME GGUF CACHE THREADS FD``. The peer
prints what it likes on its standard streams; answers go to the given file descriptor, the first one
when the peer is ready, the last one is an error if there was one. Imports nothing of the engine
that it is compared with.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from qwell.bench.engine import PROMPT, long_prompt


# Each peer names its package, the weights it runs as the report shows them, and of peer_weights the
# form that they are rewritten to first; an empty one: it reads the file.
class Xllamacpp:
    """llama.cpp through xllamacpp: the official GGUF file as it is."""

    package = "xllamacpp"
    weights = "the file as it is"
    form = ""

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
    weights = "the file as it is, repacked"
    form = ""

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
    weights = "the file in float32"
    form = ""

    def __init__(self, model: str, n_threads: int) -> None:
        torch, library = map(importlib.import_module, ("torch", "transformers"))
        torch.set_num_threads(n_threads)
        torch.set_grad_enabled(False)
        path = Path(model)
        self._torch = torch
        self._model = library.AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32
        )

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


class OnnxRuntime:
    """ONNX Runtime GenAI, which reads no GGUF file, on what its own builder makes of it."""

    package = "onnxruntime-genai"
    weights = "int4 in blocks of 32"
    form = "ONNX_INT4"

    def __init__(self, model: str, n_threads: int) -> None:
        self._library: Any = importlib.import_module("onnxruntime_genai")
        config = self._library.Config(model)
        options = {"session_options": {"intra_op_num_threads": n_threads}}
        config.overlay(json.dumps({"model": {"decoder": options}}))
        self._model = self._library.Model(config)

    def decode(self, n: int) -> float:
        generator = self._read(long_prompt(100_000)[:26], n)
        start = time.perf_counter()
        for _ in range(n):
            generator.generate_next_token()
        return n / (time.perf_counter() - start)

    def prefill(self) -> float:
        prompt = long_prompt(100_000)
        start = time.perf_counter()
        self._read(prompt, 0)
        return len(prompt) / (time.perf_counter() - start)

    def _read(self, prompt: list[int], n: int) -> Any:
        """The generator after the prompt and one greedy token, with room for n more."""
        parameters = self._library.GeneratorParams(self._model)
        length = len(prompt) + n + 1
        parameters.set_search_options(do_sample=False, min_length=length, max_length=length)
        generator = self._library.Generator(self._model, parameters)
        generator.append_tokens(prompt)
        generator.generate_next_token()
        return generator


class OpenVino:
    """OpenVINO GenAI, whose reader of GGUF knows no Q5_0: these tensors as Q8_0."""

    package = "openvino-genai"
    weights = "the file with Q8_0 for Q5_0"
    form = "Q8_0"

    def __init__(self, model: str, n_threads: int) -> None:
        library, openvino = map(importlib.import_module, ("openvino_genai", "openvino"))
        self._tensor = openvino.Tensor
        self._pipeline = library.LLMPipeline(
            model,
            "CPU",
            INFERENCE_NUM_THREADS=n_threads,
            ATTENTION_BACKEND="SDPA",  # the other one keeps prompts: a second reading is no reading
        )

    def decode(self, n: int) -> float:
        return float(1e3 / self._times(long_prompt(100_000)[:26], n + 1).get_tpot().mean)

    def prefill(self) -> float:
        prompt = long_prompt(100_000)
        return float(len(prompt) * 1e3 / self._times(prompt, 1).get_ttft().mean)

    def _times(self, prompt: list[int], n: int) -> Any:
        """Its own clock's, of a prompt and n greedy tokens."""
        ids = self._tensor(np.array([prompt]))
        options = {"max_new_tokens": n, "ignore_eos": True, "do_sample": False}
        return self._pipeline.generate(ids, **options).perf_metrics


class OpenVinoQ4(OpenVino):
    """The same with fewer bits than the file has: faster, and not as good."""

    weights = "all matrices requantised to Q4_0"
    form = "Q4_0"


PEERS: dict[str, Any] = {
    "llama.cpp": Xllamacpp,
    "ik_llama.cpp": IkLlamaCpp,
    "Transformers": Transformers,
    "ONNX Runtime GenAI": OnnxRuntime,
    "OpenVINO GenAI": OpenVino,
    "OpenVINO GenAI Q4_0": OpenVinoQ4,
}


def main(name: str, model: Path, cache: Path, n_threads: int, fd: int) -> None:
    with os.fdopen(fd, "w", buffering=1) as out:
        try:
            _serve(PEERS[name], model, cache, n_threads, out)
        except Exception as error:  # noqa: BLE001  whatever a peer raises is what the bench reports
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=out)


def _serve(kind: Any, model: Path, cache: Path, n_threads: int, out: TextIO) -> None:
    version = importlib.metadata.version(kind.package)
    peer = kind(str(_readable(kind, model, cache)), n_threads)
    print(json.dumps({"version": f"{kind.package} {version}"}), file=out)
    for line in sys.stdin:
        order, *rest = line.split()
        value = peer.decode(int(rest[0])) if order == "decode" else peer.prefill()
        print(json.dumps({order: value}), file=out)


def _readable(kind: Any, model: Path, cache: Path) -> Path:
    """The model in the form that the peer needs; the file itself if it needs none."""
    if not kind.form:
        return model
    forms = importlib.import_module("qwell.bench.peer_weights")  # not all environments have gguf
    form: Path = getattr(forms, kind.form).of(model, cache)
    return form


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
