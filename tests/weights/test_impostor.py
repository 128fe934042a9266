from __future__ import annotations

import os
from pathlib import Path

import pytest

from qwell.errors import QwellError
from qwell.weights.impostor import not_a, refuse_impostor

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 988097824\n"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (LFS, "lfs-pointer"),
        (b"<!DOCTYPE html>\n<html>", "html-instead-of-model"),
        (b"\n  <HTML><body>403", "html-instead-of-model"),
        (b"<?xml version='1.0'?><Error>", "html-instead-of-model"),
        (b"", "weights-truncated"),
        (bytes(600), "weights-truncated"),
    ],
)
def test_known_impostors(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(QwellError) as refused:
        refuse_impostor(path, "a GGUF file")
    assert refused.value.fault == fault
    assert refused.value.expected == "a GGUF file"
    assert str(path) in refused.value.found


def test_anything_else_is_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"GGUF....")
    refuse_impostor(tmp_path / "x", "a model")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(QwellError, match="model-path-missing"):
        refuse_impostor(tmp_path / "absent", "a model")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(QwellError, match="bind-mount-file-is-directory"):
        refuse_impostor(tmp_path, "a model")


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """root may read everything, so the refusal of the kernel is played."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, os.strerror(13))

    (tmp_path / "x").write_bytes(b"GGUF")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(QwellError, match=r"permission-denied.*chmod"):
        refuse_impostor(tmp_path / "x", "a model")


def test_an_unknown_file_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"error": "not found"}')
    assert '{"error": "not found"}' in not_a(tmp_path / "x", "a model").found
