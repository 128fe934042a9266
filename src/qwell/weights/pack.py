"""The pack file of docs/pack-format.md: its header, table, meta and digests.

Knows bytes and names, not what a tensor's values mean: layouts are in planes.py, and which
tensors a model has is in convert.py. Every reader refuses a file that is not whole.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from qwell.errors import QwellError
from qwell.weights.blocks import U8
from qwell.weights.planes import Kind, tensor_bytes

MAGIC = b"QWELLPK1"
VERSION = 6
SUFFIX = ".qpack"
_PAGE = 4096
_HEAD = struct.Struct("<8sIIQQQ24x")
_CONFIG = struct.Struct("<10I24x2f56x")
_ENTRY = struct.Struct("<64sIII4xQQ")
_TABLE = _HEAD.size + _CONFIG.size
_SEAL = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class PackConfig:
    """The model's shape, in the order of the file."""

    n_vocab: int
    n_embd: int
    n_layer: int
    n_head: int
    n_kv_head: int
    head_dim: int
    n_ff: int
    n_ctx_train: int
    tied: int
    n_vocab_padded: int
    rope_theta: float
    rms_eps: float


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """rows are padded to a multiple of 16, except for F32."""

    name: str
    kind: Kind
    rows: int
    cols: int

    @property
    def n_bytes(self) -> int:
        return tensor_bytes(self.kind, self.rows, self.cols)


@dataclass(frozen=True, slots=True)
class Pack:
    """What the head of a pack says. Holds no file open."""

    path: Path
    config: PackConfig
    tensors: Mapping[str, tuple[TensorSpec, int]]  # with the offset of its bytes
    meta: dict[str, Any]


def _align(offset: int) -> int:
    return -(-offset // _PAGE) * _PAGE


class PackWriter:
    """Writes one pack into an open, empty file; tensors may be filled piece by piece, in turns.

    The file is no pack until finish() has run.
    """

    def __init__(self, file: BinaryIO, config: PackConfig, specs: Sequence[TensorSpec]) -> None:
        self._file = file
        self._config = config
        self._specs = specs
        self._start: dict[str, int] = {}
        offset = _align(_TABLE + _ENTRY.size * len(specs))
        for spec in specs:
            self._start[spec.name] = offset
            offset = _align(offset + spec.n_bytes)
        self._meta_offset = offset
        self._next = dict(self._start)
        self._hashes = {spec.name: hashlib.sha256() for spec in specs}

    @property
    def data_bytes(self) -> int:
        """Size of the file up to its meta."""
        return self._meta_offset

    def write(self, name: str, piece: U8) -> None:
        """Append to a tensor."""
        flat = np.ascontiguousarray(piece).reshape(-1)
        _write_at(self._file, self._next[name], flat.data)
        self._next[name] += flat.size
        self._hashes[name].update(flat.data)

    def finish(self, meta: Mapping[str, Any]) -> None:
        """Write header, table, meta and seal, and flush all to the disk.

        Every tensor must be complete.
        """
        for spec in self._specs:
            assert self._next[spec.name] - self._start[spec.name] == spec.n_bytes, spec.name
        digests = {name: h.hexdigest() for name, h in self._hashes.items()}
        body = json.dumps({**meta, "tensor_sha256": digests}, ensure_ascii=False).encode()
        front = self._front(len(body))
        seal = hashlib.sha256(front + body).digest()
        _write_at(self._file, 0, front)
        _write_at(self._file, self._meta_offset, body + seal)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _front(self, meta_bytes: int) -> bytes:
        size = self._meta_offset + meta_bytes + _SEAL
        head = _HEAD.pack(MAGIC, VERSION, len(self._specs), size, self._meta_offset, meta_bytes)
        entries = [
            _ENTRY.pack(s.name.encode(), s.kind, s.rows, s.cols, self._start[s.name], s.n_bytes)
            for s in self._specs
        ]
        return head + _CONFIG.pack(*astuple(self._config)) + b"".join(entries)


def _write_at(file: BinaryIO, offset: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        n = os.pwrite(file.fileno(), view, offset)
        view, offset = view[n:], offset + n


def read_pack(path: Path) -> Pack:
    """Read and check everything but the tensors' bytes.

    Raises QwellError: ``weights-truncated`` when the size differs, ``weights-corrupt`` when the
    file is no pack of this version or its header, table or meta are damaged.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size or not head.startswith(MAGIC):
            raise _corrupt(path, f"a file that starts with {head[:8]!r}", f"{MAGIC!r}")
        _, version, n_tensors, size, meta_offset, meta_bytes = _HEAD.unpack(head)
        if version != VERSION:
            raise _of_another_version(path, version)
        _check_size(path, os.fstat(file.fileno()).st_size, size)
        if meta_offset + meta_bytes + _SEAL != size:
            raise _corrupt(path, f"meta at {meta_offset} of {meta_bytes} bytes", f"end at {size}")
        front = head + file.read(_CONFIG.size + _ENTRY.size * n_tensors)
        file.seek(meta_offset)
        body, seal = file.read(meta_bytes), file.read(_SEAL)
    if hashlib.sha256(front + body).digest() != seal:
        raise _corrupt(path, "changed bytes in its header, table or meta", "the bytes written")
    config = PackConfig(*_CONFIG.unpack_from(front, _HEAD.size))
    return Pack(path, config, _table(front), json.loads(body))


def is_outdated(path: Path) -> bool:
    """Whether an older version of qwell wrote it: nothing is wrong with it, and nobody reads it."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
    return len(head) == _HEAD.size and head.startswith(MAGIC) and _HEAD.unpack(head)[1] < VERSION


def _table(front: bytes) -> dict[str, tuple[TensorSpec, int]]:
    table = {}
    for name, kind, rows, cols, offset, _ in _ENTRY.iter_unpack(front[_TABLE:]):
        spec = TensorSpec(name.rstrip(b"\0").decode(), Kind(kind), rows, cols)
        table[spec.name] = (spec, offset)
    return table


def _check_size(path: Path, found: int, expected: int) -> None:
    if found < expected:
        raise QwellError(
            "weights-truncated",
            found=f"{path} has {found:,} bytes",
            expected=f"{expected:,} bytes, as its header says",
            fix=_repack(path),
        )
    if found > expected:
        raise _corrupt(path, f"{found:,} bytes", f"{expected:,} bytes, as its header says")


def _repack(path: Path) -> str:
    return f"delete it (`rm '{path}'`) and start again: it is made anew from the model"


def _of_another_version(path: Path, version: int) -> QwellError:
    """One outside of the cache may be all that somebody has: nobody is told to delete it."""
    return QwellError(
        "weights-corrupt",
        found=f"{path}: pack version {version}",
        expected=f"version {VERSION}",
        fix="another version of qwell made it: start with the model that it was made from, or "
        "`qwell pull` the default one",
    )


def _corrupt(path: Path, found: str, expected: str) -> QwellError:
    return QwellError(
        "weights-corrupt", found=f"{path}: {found}", expected=expected, fix=_repack(path)
    )


def tensor_raw(pack: Pack, name: str) -> U8:
    """The bytes of one tensor, copied into memory."""
    spec, offset = pack.tensors[name]
    with pack.path.open("rb") as file:
        file.seek(offset)
        raw: U8 = np.fromfile(file, np.uint8, spec.n_bytes)
    return raw


def unwatched(done: int, total: int) -> None:
    """The report of a caller who doesn't watch."""
    del done, total


def verify_pack(path: Path, report: Callable[[int, int], None] = unwatched) -> None:
    """Compare every tensor with the digest taken when it was written.

    report(done, total) counts bytes. Raises as read_pack, and ``weights-corrupt`` with the name
    of the first tensor that differs.
    """
    pack = read_pack(path)
    total = sum(spec.n_bytes for spec, _ in pack.tensors.values())
    done = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for name, (spec, offset) in pack.tensors.items():
            with memoryview(data) as view, view[offset : offset + spec.n_bytes] as raw:
                digest = hashlib.sha256(raw).hexdigest()
            if digest != pack.meta["tensor_sha256"][name]:
                raise _corrupt(path, f"changed bytes in tensor {name}", "the bytes written")
            done += spec.n_bytes
            report(done, total)
