"""How the transformers engine computes. Plain data: who only chooses needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TorchOptions:
    """What may differ without another model.

    dtype      auto: what this CPU is faster with; never float16
    use_cache  off: every token computes the whole conversation anew, to rule the cache out
    compile    by torch.compile: minutes before the first answer, for faster tokens after it
    """

    dtype: Literal["auto", "float32", "bfloat16"] = "float32"
    use_cache: bool = True
    compile: bool = False
