"""How many conversations fit in memory at once. Arithmetic over what the kernel reports."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwell.backends import cgroup
from qwell.errors import QwellError

MAX_SLOTS = 8  # beyond this a decoding step takes longer than a reader waits
RESERVE_BYTES = 256 * 2**20  # Python, tokenizer, scratch buffers and the server process
_F16_BYTES = 2


def kv_bytes(config: Mapping[str, Any], n_ctx: int) -> int:
    """Bytes of key-value cache of one slot. config: field names of Hugging Face."""
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    row = config.get("num_key_value_heads", heads) * head_dim
    return int(2 * config["num_hidden_layers"] * row * n_ctx * _F16_BYTES)


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that can still be taken without the kernel killing someone."""
    free = 2**62
    for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit = cgroup.memory_limit(root)
    return free if limit is None else min(free, limit - cgroup.memory_used(root))


def give_back() -> None:
    """Return to the kernel what was freed; C libraries other than glibc do so by themselves."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def default_slots(weight_bytes: int, slot_bytes: int, available: int) -> int:
    """Slots for half of what weights and reserve leave, 1 to MAX_SLOTS.

    Raises QwellError ``insufficient-ram`` when weights and a single slot do not fit.
    """
    spare = available - weight_bytes - RESERVE_BYTES
    if spare < slot_bytes:
        need = weight_bytes + RESERVE_BYTES + slot_bytes
        raise QwellError(
            "insufficient-ram",
            found=f"{available / 2**20:.0f} MiB of memory available",
            expected=f"{need / 2**20:.0f} MiB for weights, one conversation and the program",
            fix="stop other programs or raise the container's memory limit; "
            "a smaller --ctx-size or --quant q4 needs less",
        )
    return max(1, min(MAX_SLOTS, spare // 2 // slot_bytes))


def require_slots(n_slots: int, weight_bytes: int, slot_bytes: int, available: int) -> int:
    """The same number, when that many fit; raises QwellError ``insufficient-ram`` when not."""
    spare = available - weight_bytes - RESERVE_BYTES
    if n_slots * slot_bytes > spare:
        raise QwellError(
            "insufficient-ram",
            found=f"room for {spare // slot_bytes} conversations of {slot_bytes / 2**20:.0f} MiB",
            expected=f"room for {n_slots}, as --parallel asks",
            fix=f"--parallel {spare // slot_bytes} or less, a smaller --ctx-size, or more memory",
        )
    return n_slots
