"""Settings: where they come from, and which values are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwell.config import Settings, load, missing_file, misspelt
from qwell.errors import QwellError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_a_flag_beats_the_environment_which_beats_the_file(file: Path) -> None:
    file.write_text("port = 1\nthreads = 1\nparallel = 1\n", encoding="utf-8")
    environ = {"QWELL_PORT": "2", "QWELL_THREADS": "2"}
    settings, origins = load({"port": 3}, environ=environ, file=file)
    assert (settings.port, settings.threads, settings.parallel) == (3, 2, 1)
    sources = [origins[name].source for name in ("port", "threads", "parallel", "quant")]
    assert sources == ["--port", "QWELL_THREADS", str(file), "default"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("port", 65536, "at least 0 and at most 65535"),
        ("port", -1, "at least 0 and at most 65535"),
        ("port", "http", "a whole number"),
        ("ctx_size", 1, "64 or more"),
        ("threads", -1, "0 or more"),
        ("quant", "q3", "one of auto, q8, q5, q4"),
    ],
)
def test_a_value_out_of_bounds_is_refused(
    name: str, value: object, expected: str, file: Path
) -> None:
    with pytest.raises(QwellError) as raised:
        load({name: value}, environ={}, file=file)
    assert raised.value.fault == "config-invalid"
    assert raised.value.expected == f"{name}: {expected}"


def test_an_unknown_name_in_the_file_is_refused(file: Path) -> None:
    file.write_text("prot = 9000\n", encoding="utf-8")
    with pytest.raises(QwellError, match="prot"):
        load({}, environ={}, file=file)


def test_a_variable_that_is_almost_a_setting_is_noticed() -> None:
    environ = {"QWELL_PROT": "1", "QWELL_THREAD": "1", "QWELL_PORT": "1", "QWELL_SCRIPT": "x"}
    assert misspelt(environ) == {"QWELL_PROT": "QWELL_PORT", "QWELL_THREAD": "QWELL_THREADS"}


def test_no_setting_is_taken_for_another() -> None:
    environ = {f"QWELL_{name.upper()}": "1" for name in Settings.__dataclass_fields__}
    assert not misspelt(environ)


def test_a_file_that_is_named_but_not_there_is_noticed(file: Path) -> None:
    assert missing_file({"QWELL_CONFIG": str(file)}) == str(file)
    file.touch()
    assert not missing_file({"QWELL_CONFIG": str(file)})
    assert not missing_file({})
