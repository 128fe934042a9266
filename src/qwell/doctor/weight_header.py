"""What the head of a weight file promises: GGUF, safetensors, and qwell's own pack.

A second reader beside the one that loads them, of the standard library alone, which only asks
whether the file keeps its promises: length, keys, seal. Reads no weights unless asked for digests.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

GGUF, PACK = b"GGUF", b"QWELLPK1"
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_NUMBERS = {4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_BLOCKS = {  # GGUF type: values a block, bytes a block
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2),
}  # fmt: skip
_PACK_HEAD = struct.Struct("<8sIIQQQ24x")
_PACK_CONFIG = struct.Struct("<10I24x2f56x")
_PACK_ENTRY = struct.Struct("<64sIII4xQQ")
_SEALED_VERSIONS = (1, 2, 3, 4, 5, 6)
_MOST_JSON = 100_000_000


class Damaged(Exception):  # noqa: N818  found in somebody's file, no fault of the program
    """The file is not what its first bytes say."""


@dataclass(frozen=True, slots=True)
class Header:
    """kind: gguf, safetensors or pack. bytes_needed: length that the header promises."""

    kind: str
    bytes_needed: int
    architecture: str = ""
    template: str | None = None
    n_vocab: int = 0
    n_tokens: int = 0
    kv_bytes_per_token: int = 0
    n_ctx_train: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_header(path: Path) -> Header:
    """Raises OSError, or Damaged with what is wrong in it."""
    with path.open("rb") as file:
        magic = file.read(8)
        if magic.startswith(GGUF):
            return _gguf(file)
        if magic == PACK:
            return _pack(file)
        if path.suffix == ".safetensors":
            return _safetensors(file, magic)
    raise Damaged(f"it begins with {magic!r}")


# ---- safetensors


def _safetensors(file: BinaryIO, start: bytes) -> Header:
    size = int.from_bytes(start, "little")
    if not 2 <= size <= _MOST_JSON:
        raise Damaged(f"a header of {size} bytes")
    try:
        table = json.loads(file.read(size))
        ends = [v["data_offsets"][1] for k, v in table.items() if k != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise Damaged("a header that is no table of tensors") from None
    return Header("safetensors", 8 + size + max(ends, default=0))


# ---- GGUF


class _Cursor:
    def __init__(self, data: mmap.mmap, at: int) -> None:
        self.data, self.at = data, at

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from(code, self.data, self.at)
        self.at += struct.calcsize(code)
        return value

    def string(self) -> str:
        n = self.number("<Q")
        self.at += n
        if self.at > len(self.data):
            raise IndexError
        return bytes(self.data[self.at - n : self.at]).decode("utf-8", "replace")

    def skip_strings(self, n: int) -> None:
        unpack, at, data = struct.Struct("<Q").unpack_from, self.at, self.data
        for _ in range(n):
            at += 8 + unpack(data, at)[0]
        self.at = at

    def value(self, kind: int) -> Any:
        """A number or text; of an array only how long it is."""
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._array()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        self.at += _SCALAR_BYTES[kind]
        return None

    def _array(self) -> int:
        kind, n = self.number("<I"), self.number("<Q")
        if kind == _STRING:
            self.skip_strings(n)
        else:
            self.at += n * _SCALAR_BYTES[kind]
        return int(n)


def _gguf(file: BinaryIO) -> Header:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _gguf_parsed(_Cursor(data, 4))
        except (struct.error, IndexError, MemoryError, OverflowError):
            return Header("gguf", len(data) + 1)  # it ends inside its own header
        except KeyError as error:
            raise Damaged(f"a record of unknown type {error}") from None


def _gguf_parsed(cursor: _Cursor) -> Header:
    version, n_tensors, n_keys = (cursor.number(code) for code in ("<I", "<Q", "<Q"))
    if version not in (2, 3):
        raise Damaged(f"GGUF version {version}")
    keys = {cursor.string(): cursor.value(cursor.number("<I")) for _ in range(n_keys)}
    ends, rows = [0], {}
    for _ in range(n_tensors):
        name, shape = cursor.string(), [cursor.number("<Q") for _ in range(cursor.number("<I"))]
        kind, offset = cursor.number("<I"), cursor.number("<Q")
        values, size = _BLOCKS[kind]
        n = 1
        for extent in shape:
            n *= extent
        ends.append(offset + n // values * size)
        rows[name] = shape[-1] if shape else 0
    align = keys.get("general.alignment") or 32
    start = -(-cursor.at // align) * align
    return _gguf_header(keys, rows, start + max(ends))


def _gguf_header(keys: dict[str, Any], rows: dict[str, int], end: int) -> Header:
    architecture = str(keys.get("general.architecture", ""))

    def of(name: str) -> int:
        return int(keys.get(f"{architecture}.{name}") or 0)

    heads = of("attention.head_count") or 1
    width = of("attention.key_length") or of("embedding_length") // heads
    return Header(
        "gguf",
        end,
        architecture=architecture,
        template=keys.get("tokenizer.chat_template"),
        n_vocab=rows.get("token_embd.weight", 0),
        n_tokens=int(keys.get("tokenizer.ggml.tokens") or 0),
        kv_bytes_per_token=4 * of("block_count") * (of("attention.head_count_kv") or heads) * width,
        n_ctx_train=of("context_length"),
        facts={"name": str(keys.get("general.name", ""))},
    )


# ---- pack


def _pack(file: BinaryIO) -> Header:
    """Raises Damaged also when the seal over header, table and meta is broken."""
    file.seek(0)
    head = file.read(_PACK_HEAD.size)
    if len(head) < _PACK_HEAD.size:
        return Header("pack", _PACK_HEAD.size)
    _, version, n_tensors, size, meta_at, meta_bytes = _PACK_HEAD.unpack(head)
    if version not in _SEALED_VERSIONS or file.seek(0, 2) < size:
        return Header("pack", size)  # a pack of another version is made anew at the next start
    file.seek(len(head))
    front = head + file.read(_PACK_CONFIG.size + _PACK_ENTRY.size * n_tensors)
    file.seek(meta_at)
    body, seal = file.read(meta_bytes), file.read(32)
    if hashlib.sha256(front + body).digest() != seal:
        raise Damaged("changed bytes in its header, table or meta")
    return _pack_header(front, size)


def _pack_header(front: bytes, size: int) -> Header:
    numbers = _PACK_CONFIG.unpack_from(front, _PACK_HEAD.size)
    n_vocab, _, n_layer, _, n_kv_head, head_dim, _, n_ctx_train = numbers[:8]
    return Header(
        "pack",
        size,
        architecture="qwen2",
        n_vocab=n_vocab,
        kv_bytes_per_token=4 * n_layer * n_kv_head * head_dim,
        n_ctx_train=n_ctx_train,
    )


def wrong_tensor(path: Path) -> str:
    """The first tensor of a sealed pack whose bytes differ from its digest, or "".

    Reads the whole file. Raises OSError, or Damaged when the seal itself is broken.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _pack(file)
        _, _, n_tensors, _, meta_at, meta_bytes = _PACK_HEAD.unpack_from(data, 0)
        digests = json.loads(data[meta_at : meta_at + meta_bytes])["tensor_sha256"]
        for i in range(n_tensors):
            at = _PACK_HEAD.size + _PACK_CONFIG.size + i * _PACK_ENTRY.size
            raw, _, _, _, offset, n_bytes = _PACK_ENTRY.unpack_from(data, at)
            name: str = raw.rstrip(b"\0").decode()
            with memoryview(data) as view, view[offset : offset + n_bytes] as part:
                if hashlib.sha256(part).hexdigest() != digests[name]:
                    return name
    return ""
