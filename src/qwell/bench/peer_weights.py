"""A GGUF file's weights in forms that other engines read, made once and kept in the cache.

Runs in the environment of the peers, whose packages do the work; knows no engine's speed. Values
are those of the file as its format defines them, written anew with as many bits as the form has.
"""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
from gguf.quants import dequantize, quantize


@dataclass(frozen=True, slots=True)
class Form:
    """make: writes a source's weights to a target, which is a file or a folder."""

    name: str
    make: Callable[[Path, Path], None]

    def of(self, source: Path, folder: Path) -> Path:
        """The source's weights in this form, made in the folder unless they are there.

        Raises what a missing or failing package raises; then nothing is left in the folder.
        """
        target = folder / file_name(source, self.name)
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder) as place:
                made = Path(place) / target.name
                self.make(source, made)
                made.rename(target)
        return target


def file_name(source: Path, form: str) -> str:
    """Another one when the source has been replaced."""
    state = source.stat()
    stamp = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:8]
    return f"{source.stem}-{stamp}-{form}"


def rewrite(source: Path, target: Path, *, kind: str, kept: frozenset[str]) -> None:
    """The same GGUF file with tensors of the kept kinds as they are and all others of one kind."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, str(reader.fields["general.architecture"].contents()))
    for field in reader.fields.values():
        if field.name != "general.architecture" and not field.name.startswith("GGUF."):
            element = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), field.types[0], element)
    wanted = gguf.GGMLQuantizationType[kind]
    for tensor in reader.tensors:
        if tensor.tensor_type.name in kept:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        else:
            data = quantize(dequantize(tensor.data, tensor.tensor_type), wanted)
            writer.add_tensor(tensor.name, data, raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def build_onnx(source: Path, target: Path) -> None:
    """The folder that ONNX Runtime GenAI's own builder makes of the same values in float32."""
    with TemporaryDirectory(dir=target.parent) as place:
        whole = Path(place) / "model.gguf"
        rewrite(source, whole, kind="F32", kept=frozenset({"F32"}))
        _describe(whole)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "onnxruntime_genai.models.builder"),
                *("-i", str(whole), "-m", place, "-o", str(target), "-c", place),
                *("-p", "int4", "-e", "cpu", "--extra_options", "block_size=32"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"onnxruntime_genai.models.builder: {last}")


def _describe(model: Path) -> None:
    """Write config.json and the tokenizer beside a GGUF file, which the builder reads there."""
    library = importlib.import_module("transformers")
    config = library.AutoConfig.from_pretrained(model.parent, gguf_file=model.name)
    config.architectures = ["Qwen2ForCausalLM"]
    config.save_pretrained(model.parent)
    tokenizer = library.AutoTokenizer.from_pretrained(model.parent, gguf_file=model.name)
    tokenizer.save_pretrained(model.parent)


Q8_0 = Form(
    "q8_0.gguf",
    partial(rewrite, kind="Q8_0", kept=frozenset({"F32", "Q4_K", "Q6_K", "Q8_0"})),
)
Q4_0 = Form("q4_0.gguf", partial(rewrite, kind="Q4_0", kept=frozenset({"F32"})))
ONNX_INT4 = Form("onnx-int4", build_onnx)
