"""bfloat16 where the CPU has it and is faster with it; float16 never."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
precision = pytest.importorskip("qwell.backends.precision")

ZEN4 = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16\n"
OLD = "processor\t: 0\nflags\t\t: fpu avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"


def cpuinfo(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cpuinfo"
    path.write_text(text, encoding="ascii")
    return path


@pytest.mark.parametrize(("text", "expected"), [(ZEN4, True), (OLD, False), (ARM, True)])
def test_flags_say_what_the_cpu_has(tmp_path: Path, text: str, expected: bool) -> None:
    assert precision.has_bfloat16(cpuinfo(tmp_path, text)) is expected


def test_without_proc_nothing_is_assumed(tmp_path: Path) -> None:
    assert not precision.has_bfloat16(tmp_path / "missing")


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_a_wish_is_followed(tmp_path: Path, wanted: str) -> None:
    chosen = precision.choose_dtype(wanted, tmp_path / "missing")
    assert chosen == getattr(torch, wanted)


@pytest.mark.parametrize(("gain", "name"), [(2.0, "bfloat16"), (1.1, "float32")])
def test_it_must_be_faster_by_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gain: float, name: str
) -> None:
    times = {torch.float32: gain, torch.bfloat16: 1.0}
    monkeypatch.setattr(precision, "product_s", times.__getitem__)
    assert precision.choose_dtype("auto", cpuinfo(tmp_path, ZEN4)) == getattr(torch, name)


def test_a_cpu_without_it_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(precision, "product_s")
    assert precision.choose_dtype("auto", cpuinfo(tmp_path, OLD)) == torch.float32


def test_the_measurement_is_short_and_positive() -> None:
    assert 0 < precision.product_s(torch.float32) < 1
