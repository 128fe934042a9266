"""Small models written by the formats' own packages, so that readers meet foreign files."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import save_file

from qwell.weights.source import Source
from qwell.weights.tiny import CHAT_TEMPLATE, SPECIAL, byte_letters, tiny_config, tiny_source
from qwell.weights.tiny import tokenizer_json as tiny_tokenizer

GGUF_LAYER = {
    "attn_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_q.bias": "self_attn.q_proj.bias",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_k.bias": "self_attn.k_proj.bias",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_v.bias": "self_attn.v_proj.bias",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}


def gguf_names(n_layer: int) -> dict[str, str]:
    names = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output.weight": "lm_head.weight",
        "output_norm.weight": "model.norm.weight",
    }
    for i in range(n_layer):
        names |= {f"blk.{i}.{g}": f"model.layers.{i}.{h}" for g, h in GGUF_LAYER.items()}
    return names


def arrays_of(source: Source) -> dict[str, np.ndarray]:
    """The tensors of a tiny source; vectors flat."""
    whole = {name: t.floats(0, t.rows) for name, t in source.tensors.items()}
    return {n: a[0] if "norm" in n or n.endswith("bias") else a for n, a in whole.items()}


@pytest.fixture
def write_gguf(tmp_path: Path) -> Callable[..., Path]:
    """write_gguf(name, kind, leave_out=(), change={}, **shape): a model with matrices of kind."""

    def write(
        name: str = "tiny.gguf",
        kind: str = "Q8_0",
        *,
        leave_out: tuple[str, ...] = (),
        change: dict[str, Any] | None = None,
        **shape: Any,
    ) -> Path:
        config = tiny_config(**{"n_vocab": 260, "tied": False, **shape})
        keys = {
            "qwen2.context_length": config["max_position_embeddings"],
            "qwen2.embedding_length": config["hidden_size"],
            "qwen2.block_count": config["num_hidden_layers"],
            "qwen2.feed_forward_length": config["intermediate_size"],
            "qwen2.attention.head_count": config["num_attention_heads"],
            "qwen2.attention.head_count_kv": config["num_key_value_heads"],
            "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
            "qwen2.attention.key_length": config["head_dim"],
            "qwen2.rope.freq_base": 10000.0,
            "general.name": "Tiny Instruct AWQ",
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "qwen2",
            "tokenizer.ggml.tokens": [*byte_letters(), *SPECIAL, "ab"],
            "tokenizer.ggml.token_type": [1] * 256 + [3] * 3 + [1],
            "tokenizer.ggml.merges": ["a b"],
            "tokenizer.ggml.eos_token_id": 258,
            "tokenizer.ggml.add_bos_token": False,
            "tokenizer.chat_template": CHAT_TEMPLATE,
            **(change or {}),
        }
        path = tmp_path / name
        writer = gguf.GGUFWriter(path, keys.pop("general.architecture", "qwen2"))
        for key, value in keys.items():
            if key not in leave_out:
                _add(writer, key, value)
        arrays = arrays_of(tiny_source(config, seed=1))
        for short, long in gguf_names(config["num_hidden_layers"]).items():
            if long in arrays and short not in leave_out:
                _add_tensor(writer, short, arrays[long], kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    adders = {
        str: writer.add_string, int: writer.add_uint32, float: writer.add_float32,
        bool: writer.add_bool, list: writer.add_array,
    }  # fmt: skip
    adders[type(value)](key, value)


def _add_tensor(writer: gguf.GGUFWriter, name: str, array: np.ndarray, kind: str) -> None:
    number = gguf.GGMLQuantizationType[kind]
    if array.ndim == 1 or kind == "F32":
        writer.add_tensor(name, array)
    else:
        writer.add_tensor(name, gguf.quantize(array, number), raw_dtype=number)


@pytest.fixture
def write_directory(tmp_path: Path) -> Callable[..., Path]:
    """write_directory(name, dtype=np.float32, **shape): a model as Hugging Face lays it out."""

    def write(name: str = "Tiny-Instruct", dtype: Any = np.float32, **shape: Any) -> Path:
        config = tiny_config(**shape)
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer.json").write_text(tiny_tokenizer())
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHAT_TEMPLATE}))
        (folder / "generation_config.json").write_text('{"temperature": 0.5}')
        arrays = arrays_of(tiny_source(config, seed=1))
        save_file({n: a.astype(dtype) for n, a in arrays.items()}, folder / "model.safetensors")
        return folder

    return write


class Site:
    """A web server on loopback with files in memory; counts and can break what it sends."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}  # by path without query
        self.replies: dict[str, tuple[int, bytes]] = {}  # by path with query; wins over files
        self.headers: dict[str, dict[str, str]] = {}
        self.asked: list[tuple[str, str, str]] = []  # method, path, Range
        self.always: tuple[int, bytes] | None = None  # the same reply whatever is asked
        self.cut_after: int | None = None  # bytes of a body, then the connection breaks
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def do_HEAD(self) -> None:
                site.answer(self)

            def log_message(self, *args: object) -> None:
                """Tests are quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        span = request.headers.get("Range", "")
        self.asked.append((request.command, request.path, span))
        path = request.path.split("?")[0]
        absent = (404, b"")
        stored = (200, self.files[path]) if path in self.files else absent
        status, body = self.always or self.replies.get(request.path, stored)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and status == 200 else 0
        request.send_response(206 if start else status)
        for name, value in self.headers.get(path, {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        if request.command == "GET":
            cut, self.cut_after = self.cut_after, None
            request.wfile.write(body[start:][:cut])
            request.close_connection = True


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()
