"""What the tests of text share: the official template, a corpus, the real model's text side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwell.text import ChatTemplate, Text, Tokenizer
from qwell.weights.gguf_file import open_gguf
from qwell.weights.source import Source

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def official_source() -> str:
    """The chat template of Qwen2.5's Instruct models."""
    return (HERE / "qwen2.5.jinja").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def template(official_source: str) -> ChatTemplate:
    return ChatTemplate(official_source)


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.byte_level()


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    """Texts on which tokenizers tend to differ."""
    texts: list[str] = json.loads((HERE / "corpus.json").read_text(encoding="utf-8"))
    return texts


@pytest.fixture(scope="session")
def real_source(real_gguf: Path) -> Source:
    source = open_gguf(real_gguf)
    source.close()  # its vocabulary is read; its tensors are not wanted
    return source


@pytest.fixture(scope="session")
def real_text(real_source: Source) -> Text:
    return Text.from_meta(
        {"tokenizer": real_source.tokenizer, "chat_template": real_source.chat_template}
    )


@pytest.fixture(scope="session")
def reference(real_source: Source) -> Any:
    """Transformers' own tokenizer around the same vocabulary; its pipeline is not ours."""
    from tokenizers import AddedToken
    from transformers import Qwen2Tokenizer

    gguf = real_source.tokenizer["gguf"]
    kinds = list(zip(gguf["tokens"], gguf["token_types"], strict=True))
    tokenizer = Qwen2Tokenizer(
        vocab={token: i for i, (token, kind) in enumerate(kinds) if kind == 1},
        merges=[tuple(merge.split(" ")) for merge in gguf["merges"]],
    )
    added = [(token, kind == 3) for token, kind in kinds if kind in (3, 4)]
    tokenizer.add_tokens([AddedToken(t, special=s, normalized=False) for t, s in added])
    return tokenizer


@pytest.fixture(scope="session")
def decode() -> Callable[[Tokenizer, list[int]], str]:
    """The text of ids, at once."""
    return lambda tokenizer, ids: b"".join(map(tokenizer.token_bytes, ids)).decode()
