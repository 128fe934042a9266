"""The values of a pack or a source as float32 under Hugging Face's names: food for an oracle.

Knows nothing of the oracle. Needs memory for the whole model in float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qwell.weights.blocks import F32
from qwell.weights.convert import pack_names
from qwell.weights.gguf_file import open_gguf
from qwell.weights.pack import Pack, read_pack, tensor_raw
from qwell.weights.planes import Kind, decode, values
from qwell.weights.safetensors_file import open_directory
from qwell.weights.source import matrices


def dequantized(path: Path) -> dict[str, F32]:
    """Every tensor exactly as the pack's codes and scales define it; padding rows left out."""
    pack = read_pack(path)
    shapes = matrices(pack.meta["config"])
    tensors = {}
    for short, name in pack_names(pack.config.n_layer, tied=bool(pack.config.tied)).items():
        if pack.tensors[short][0].kind is Kind.F32:
            tensors[name] = tensor_raw(pack, short).view(np.float32)
        else:
            tensors[name] = _matrix(pack, short)[: shapes[name][0]]
    return tensors


def _matrix(pack: Pack, name: str) -> F32:
    spec, _ = pack.tensors[name]
    u, d, m = decode(spec.kind, tensor_raw(pack, name), spec.rows, spec.cols)
    return values(spec.kind, u, d, m)


def dequantized_source(path: Path) -> dict[str, F32]:
    """Every tensor of a GGUF file or a model directory as its own format defines it."""
    source = open_directory(path) if path.is_dir() else open_gguf(path)
    try:
        whole = {
            name: source.tensors[name].floats(0, rows)
            for name, (rows, _) in matrices(source.config).items()
        }
    finally:
        source.close()
    return {
        name: a if name.endswith(("proj.weight", "tokens.weight", "head.weight")) else a[0]
        for name, a in whole.items()
    }
