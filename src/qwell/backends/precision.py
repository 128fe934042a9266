"""Which number format torch computes with on this CPU: bfloat16 where it is really faster.

float16 is never chosen: CPUs convert it back and forth, and its range ends at 65504.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, Arm
_GAIN = 1.2  # bfloat16 has 8 bits of precision: it must pay
_ROUNDS = 9
_SHAPE = (4864, 896)  # the largest matrix of a layer of the smallest model


def choose_dtype(wanted: str = "auto", cpuinfo: Path = Path("/proc/cpuinfo")) -> torch.dtype:
    """wanted: float32, bfloat16, or auto to decide by CPU flags and a measurement of 50 ms."""
    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]
    if not has_bfloat16(cpuinfo):
        return torch.float32
    is_faster = _GAIN * product_s(torch.bfloat16) < product_s(torch.float32)
    return torch.bfloat16 if is_faster else torch.float32


def has_bfloat16(cpuinfo: Path) -> bool:
    """Whether every product of two bfloat16 is an instruction and no emulation."""
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())


def product_s(dtype: torch.dtype) -> float:
    """Seconds of one product of a matrix and a vector: the fastest of some."""
    matrix, vector = torch.ones(_SHAPE, dtype=dtype), torch.ones(_SHAPE[1], dtype=dtype)
    times = []
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            torch.mv(matrix, vector)
            times.append(time.perf_counter() - started)
    return min(times)
