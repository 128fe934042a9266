"""The states that a model is calibrated with against those of Transformers in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from qwell.backends.transformers import build_model
from qwell.text import Tokenizer
from qwell.weights.calibration import calibration_ids, final_states
from qwell.weights.source import Source
from qwell.weights.tiny import tiny_config, tiny_source


def build_oracle(source: Source) -> Any:
    arrays = {name: t.floats(0, t.rows) for name, t in source.tensors.items()}
    flat = {name: a[0] if len(a) == 1 else a for name, a in arrays.items()}
    return build_model(source.config, flat).eval()


@pytest.mark.parametrize(
    "shape",
    [{}, {"n_head": 4, "n_kv_head": 1, "head_dim": 32, "rope_theta": 10_000.0, "tied": False}],
)
def test_states_equal_those_of_transformers(shape: dict[str, Any]) -> None:
    source = tiny_source(tiny_config(**shape), seed=7)
    oracle = build_oracle(source)
    passages = calibration_ids(Tokenizer.from_meta(source.tokenizer))
    with torch.inference_mode():
        expected = [oracle.model(torch.tensor([ids])).last_hidden_state[0] for ids in passages]
    states = final_states(source, passages)
    np.testing.assert_allclose(states, torch.cat(expected).numpy(), atol=2e-4, rtol=1e-4)
