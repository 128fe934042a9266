"""Text to ids and back."""

from __future__ import annotations

import gc
import json
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex
from tokenizers import Tokenizer as Reference
from tokenizers.models import BPE
from tokenizers.normalizers import NFC
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

from qwell.errors import QwellError
from qwell.text import Text, Tokenizer
from qwell.text.tokenizer import QWEN2_SPLIT

Decode = Callable[[Tokenizer, list[int]], str]

MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "ä ½", "ä½ ł", "Ċ Ċ"]


def small_gguf() -> dict[str, Any]:
    """A vocabulary of all bytes, a few merges, specials and padding, as GGUF holds it."""
    tokens = sorted(ByteLevel.alphabet()) + [merge.replace(" ", "") for merge in MERGES]
    types = [1] * len(tokens) + [3, 3, 4, 5]
    tokens += ["<|im_start|>", "<|im_end|>", "<tool_call>", "[PAD]"]
    return {"tokens": tokens, "token_types": types, "merges": MERGES, "pre": "qwen2"}


def as_json(gguf: dict[str, Any]) -> str:
    """The same vocabulary as tokenizer.json, written by the tokenizers package."""
    kinds = list(zip(gguf["tokens"], gguf["token_types"], strict=True))
    vocab = {token: i for i, (token, kind) in enumerate(kinds) if kind == 1}
    reference = Reference(BPE(vocab, [tuple(merge.split(" ")) for merge in gguf["merges"]]))
    reference.normalizer = NFC()
    reference.pre_tokenizer = Sequence(
        [Split(Regex(QWEN2_SPLIT), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    reference.add_special_tokens([token for token, kind in kinds if kind == 3])
    reference.add_tokens([AddedToken(t, normalized=False) for t, kind in kinds if kind == 4])
    return str(reference.to_str())


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    return Tokenizer.from_meta({"gguf": small_gguf()})


def test_merges_apply(small: Tokenizer) -> None:
    assert [small.token_bytes(i) for i in small.encode("hello w")] == [b"hello", b" w"]


@given(st.text())
def test_bytes_of_ids_are_the_normalised_text(text: str) -> None:
    tokenizer = Tokenizer.from_meta({"gguf": small_gguf()})
    ids = tokenizer.encode(text)
    assert b"".join(map(tokenizer.token_bytes, ids)) == unicodedata.normalize("NFC", text).encode()


@given(st.lists(st.sampled_from(["hello", " w", "你", "<|im_end|>", "<tool_call>", "\n", "é"])))
def test_json_and_gguf_give_the_same_ids(parts: list[str]) -> None:
    gguf = small_gguf()
    from_json = Tokenizer.from_meta({"json": as_json(gguf)})
    from_gguf = Tokenizer.from_meta({"gguf": gguf})
    assert from_json.encode("".join(parts)) == from_gguf.encode("".join(parts))
    assert from_json.specials == from_gguf.specials


def test_merges_may_be_pairs() -> None:
    data = json.loads(as_json(small_gguf()))
    data["model"]["merges"] = MERGES
    assert Tokenizer.from_meta({"json": json.dumps(data)}).encode("hello") == [
        small_gguf()["tokens"].index("hello")
    ]


def test_text_never_becomes_a_special_token(small: Tokenizer, decode: Decode) -> None:
    text = "<|im_end|><tool_call>[PAD]<|im_start|>"
    ids = small.encode(text)
    assert decode(small, ids) == text
    assert not set(ids) & set(small.specials.values())


def test_specials_are_found_by_name(small: Tokenizer) -> None:
    number = small.id_of("<|im_end|>")
    assert number is not None
    assert small.token_bytes(number) == b"<|im_end|>"
    assert number in small.control
    assert small.id_of("<tool_call>") not in small.control
    assert small.id_of("hello") is None
    assert small.id_of("[PAD]") is None


def test_ids_beyond_the_vocabulary_have_no_text(small: Tokenizer) -> None:
    assert small.n_vocab == len(small_gguf()["tokens"])
    assert small.token_bytes(small.n_vocab - 1) == b""  # padding
    assert small.token_bytes(small.n_vocab + 5) == b""


def test_lone_surrogates_become_replacement_characters(small: Tokenizer, decode: Decode) -> None:
    assert decode(small, small.encode("a\ud800b")) == "a\ufffdb"


def test_byte_level_ids_are_the_bytes() -> None:
    tokenizer = Tokenizer.byte_level()
    assert tokenizer.encode("aé\n") == [0x61, 0xC3, 0xA9, 0x0A]
    assert [tokenizer.token_bytes(i) for i in range(256)] == [bytes((i,)) for i in range(256)]
    assert tokenizer.id_of("<|im_end|>") == 258
    assert tokenizer.n_vocab == 259


def test_what_is_remembered_is_bounded_and_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qwell.text.tokenizer._MEMO_SIZE", 250)
    tokenizer = Tokenizer.byte_level()
    tokenizer.encode("a").append(0)
    assert tokenizer.encode("a") == [0x61]
    for text in "bcdefg":
        tokenizer.encode(text)
    assert list(tokenizer._memo) == ["f", "g"]


@pytest.mark.parametrize("meta", [None, {}, {"json_file": "x"}])
def test_no_tokenizer_is_named(meta: dict[str, Any] | None) -> None:
    with pytest.raises(QwellError) as caught:
        Tokenizer.from_meta(meta)
    assert caught.value.fault == "tokenizer-missing"


@pytest.mark.parametrize(
    "meta",
    [
        {"json": "<html>not found</html>"},
        {"json": "[]"},
        {"json": '{"model": {"type": "Unigram", "vocab": []}}'},
        {"json": '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}'},
        {"gguf": {**small_gguf(), "pre": "llama-bpe"}},
        {"gguf": {**small_gguf(), "token_types": [1]}},
        {"gguf": {**small_gguf(), "merges": ["not in vocabulary"]}},
        {"gguf": {**small_gguf(), "merges": ["q z"]}},
        {"gguf": {"pre": "qwen2"}},
    ],
)
def test_an_unusable_tokenizer_is_named(meta: dict[str, Any]) -> None:
    with pytest.raises(QwellError) as caught:
        Tokenizer.from_meta(meta)
    assert caught.value.fault == "tokenizer-mismatch"


def test_garbage_collection_goes_on_after_loading() -> None:
    Tokenizer.from_meta({"gguf": small_gguf()})
    assert gc.isenabled()
    with pytest.raises(QwellError):
        Tokenizer.from_meta({"json": "not json"})
    assert gc.isenabled()


@pytest.mark.weights
def test_ids_equal_those_of_transformers(
    real_text: Text, reference: Any, corpus: list[str]
) -> None:
    ours = real_text.tokenizer
    from_json = Tokenizer.from_meta({"json": reference.backend_tokenizer.to_str()})
    assert from_json.specials == ours.specials
    assert from_json.control < ours.control  # padding is known to GGUF alone
    for text in corpus:
        expected = reference.encode(text, add_special_tokens=False)
        assert ours.encode(text) == expected
        assert from_json.encode(text) == expected


@pytest.mark.weights
def test_real_ids_decode_to_the_text(real_text: Text, corpus: list[str], decode: Decode) -> None:
    for text in corpus:
        ids = real_text.tokenizer.encode(text)
        assert decode(real_text.tokenizer, ids) == unicodedata.normalize("NFC", text)
