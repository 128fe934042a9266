"""Text to token ids and back: byte-level BPE as Qwen2 was trained with.

Knows nothing of chats: which token may stand where is the template's business. Text given to
``encode`` is always plain text; a special token written in it comes out as ordinary tokens.
"""

from __future__ import annotations

import gc
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import tokenizers
from tokenizers.models import BPE

from qwell.errors import QwellError

# The split that Qwen2 learned its merges on; any other split yields other ids.
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
_QWEN2_PIPELINE = {
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {
                "type": "Split",
                "pattern": {"Regex": QWEN2_SPLIT},
                "behavior": "Isolated",
                "invert": False,
            },
            {**_BYTE_LEVEL, "trim_offsets": False},
        ],
    },
}
_BYTE_PIPELINE = {"normalizer": None, "pre_tokenizer": {**_BYTE_LEVEL, "trim_offsets": False}}
# token types of GGUF
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5
# A conversation is encoded again each turn, so texts and their ids are remembered.
_MEMO_SIZE = 2_000_000  # characters, with _MEMO_ENTRY for what an entry itself takes
_MEMO_ENTRY = 100


def _byte_alphabet() -> dict[str, int]:
    """The printable character that stands for each byte in a byte-level vocabulary."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    stand_ins = {chr(byte): byte for byte in printable}
    return stand_ins | {chr(0x100 + i): byte for i, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()


class Tokenizer:
    """Qwen2's tokenizer, for one thread at a time.

    specials   text of every special or added token -> id; only ``id_of`` gives these ids
    control    ids that are never shown to a reader, like <|im_end|>
    n_vocab    ids run from 0 to n_vocab - 1; a model's own vocabulary may be padded further
    """

    def __init__(
        self,
        model: BPE,
        pipeline: Mapping[str, Any],
        specials: Mapping[str, int],
        control: frozenset[int],
        n_vocab: int,
    ) -> None:
        self._bpe = _assemble(model, pipeline)
        self._special_of = {number: text for text, number in specials.items()}
        self._memo: OrderedDict[str, list[int]] = OrderedDict()
        self._memo_size = 0
        self.specials = dict(specials)
        self.control = control
        self.n_vocab = n_vocab

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any] | None) -> Tokenizer:
        """From a pack's meta: ``{"json": tokenizer.json}`` or ``{"gguf": vocabulary}``.

        Raises QwellError: tokenizer-missing when there is none, tokenizer-mismatch when it is
        not the byte-level BPE that this engine and Qwen2 models use.
        """
        if not meta or not ("json" in meta or "gguf" in meta):
            raise _missing()
        try:
            with _collector_paused():
                if "json" in meta:
                    return cls._from_json(meta["json"])
                return cls._from_gguf(meta["gguf"])
        except QwellError:
            raise
        except Exception as error:  # the library raises plain Exception for a bad vocabulary
            raise _mismatch(f"a tokenizer that cannot be used: {error!r}") from error

    @classmethod
    def byte_level(cls) -> Tokenizer:
        """For tests: 256 tokens, the bytes, then <|endoftext|>, <|im_start|>, <|im_end|>."""
        model = BPE(dict(_BYTE_OF), [])
        specials = {"<|endoftext|>": 256, "<|im_start|>": 257, "<|im_end|>": 258}
        return cls(model, _BYTE_PIPELINE, specials, frozenset(specials.values()), 259)

    @classmethod
    def _from_json(cls, text: str) -> Tokenizer:
        data = json.loads(text)
        model, added = data["model"], data.get("added_tokens") or []
        if model["type"] != "BPE" or "ByteLevel" not in json.dumps(data.get("pre_tokenizer")):
            raise _mismatch(f"a tokenizer of type {model['type']} that is not byte-level")
        specials = {token["content"]: token["id"] for token in added}
        control = frozenset(token["id"] for token in added if token["special"])
        vocab = {token: i for token, i in model["vocab"].items() if token not in specials}
        n_vocab = 1 + max(*vocab.values(), *specials.values())
        bpe = BPE(vocab, _pairs(model["merges"]), ignore_merges=model.get("ignore_merges", False))
        return cls(bpe, data, specials, control, n_vocab)

    @classmethod
    def _from_gguf(cls, gguf: Mapping[str, Any]) -> Tokenizer:
        if gguf["pre"] != "qwen2":
            raise _mismatch(f"tokenizer.ggml.pre = {gguf['pre']!r}")
        tokens, types = gguf["tokens"], gguf["token_types"]
        if len(tokens) != len(types):
            raise _mismatch(f"{len(tokens)} tokens but {len(types)} token types")
        vocab = dict(zip(tokens, range(len(tokens)), strict=True))
        added = {i: kind for i, kind in enumerate(types) if kind != _NORMAL}
        for number in added:
            del vocab[tokens[number]]
        named = (_CONTROL, _USER_DEFINED)
        specials = {tokens[i]: i for i, kind in added.items() if kind in named}
        control = frozenset(i for i, kind in added.items() if kind in (_CONTROL, _UNUSED))
        bpe = BPE(vocab, _pairs(gguf["merges"]))
        return cls(bpe, _QWEN2_PIPELINE, specials, control, len(tokens))

    def encode(self, text: str) -> list[int]:
        """Ids of plain text; never a special token, whatever the text says."""
        known = self._memo.get(text)
        if known is None:
            known = self._bpe.encode(_whole(text), add_special_tokens=False).ids
            self._remember(text, known)
        else:
            self._memo.move_to_end(text)
        return list(known)

    def _remember(self, text: str, ids: list[int]) -> None:
        self._memo[text] = ids
        self._memo_size += len(text) + _MEMO_ENTRY
        while self._memo_size > _MEMO_SIZE:
            oldest, _ = self._memo.popitem(last=False)
            self._memo_size -= len(oldest) + _MEMO_ENTRY

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token, part of a character perhaps; empty for padding ids."""
        special = self._special_of.get(token)
        if special is not None:
            return special.encode()
        piece = self._bpe.id_to_token(token) or ""
        return b"".join(_bytes_of(character) for character in piece)

    def id_of(self, special: str) -> int | None:
        return self.specials.get(special)


def _assemble(model: BPE, pipeline: Mapping[str, Any]) -> tokenizers.Tokenizer:
    """The pipeline's text steps around the model, without its added tokens.

    The vocabulary goes in as objects: parsed from JSON by the library it would cost the start of
    the program twice the time.
    """
    empty = {"type": "BPE", "vocab": {}, "merges": []}
    steps = {name: pipeline.get(name) for name in ("normalizer", "pre_tokenizer")}
    bpe = tokenizers.Tokenizer.from_str(
        json.dumps({"version": "1.0", "added_tokens": [], **steps, "model": empty})
    )
    bpe.model = model
    return bpe


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No garbage collection: 150,000 pairs would set it off hundreds of times, all for nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _pairs(merges: Sequence[str] | Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Merges as pairs; files hold them as "a b" or as ["a", "b"]."""
    if merges and isinstance(merges[0], str):
        flat = " ".join(cast("Sequence[str]", merges)).split(" ")
        return list(zip(flat[::2], flat[1::2], strict=True))
    return [(left, right) for left, right in merges]


def _bytes_of(character: str) -> bytes:
    byte = _BYTE_OF.get(character)
    return character.encode() if byte is None else bytes((byte,))


def _whole(text: str) -> str:
    """The same text with lone surrogates, which no encoding can hold, as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _missing() -> QwellError:
    return QwellError(
        "tokenizer-missing",
        found="a model without a tokenizer",
        expected="tokenizer.json beside the weights, or the vocabulary inside the GGUF file",
        fix="download the model again: qwell pull",
    )


def _mismatch(found: str) -> QwellError:
    return QwellError(
        "tokenizer-mismatch",
        found=found,
        expected="the byte-level BPE tokenizer of a Qwen2 model",
        fix="use the tokenizer that came with the weights: qwell pull",
    )
