from __future__ import annotations

import tokenizers

from qwell.weights.tiny import tiny_config, tiny_source, tokenizer_json


def test_the_tokenizer_knows_every_byte_and_the_special_tokens() -> None:
    tokenizer = tokenizers.Tokenizer.from_str(tokenizer_json())
    text = "<|im_start|>héllo 你好\n🙂<|im_end|>"
    ids = tokenizer.encode(text).ids
    assert ids[0], ids[-1] == (257, 258)
    assert ids[1:-1] == list("héllo 你好\n🙂".encode())
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (tiny_source(tiny_config(), seed=s) for s in (1, 1, 2))
    name = "model.layers.0.mlp.up_proj.weight"
    values = [s.tensors[name].floats(0, 128) for s in (first, again, other)]
    assert (values[0] == values[1]).all()
    assert (values[0] != values[2]).any()
