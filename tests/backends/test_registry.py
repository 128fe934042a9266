"""Engines are imported when chosen; a broken installation has a name."""

import sys
from pathlib import Path

import pytest

from qwell.backends.registry import create_backend, import_failed, require_engine
from qwell.errors import QwellError


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "qwell.backends.transformers", raising=False)
    for ask in (
        lambda: create_backend("transformers", Path("x"), n_ctx=32, n_slots=1, n_threads=1),
        lambda: require_engine("transformers"),
    ):
        with pytest.raises(QwellError, match=r"pip install.*qwell\[transformers\]") as caught:
            ask()
        assert caught.value.fault == "python-module-missing"


@pytest.mark.parametrize("engine", ["native", "scripted"])
def test_an_engine_that_is_there_passes(engine: str) -> None:
    require_engine(engine)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ModuleNotFoundError("No module named 'torch'"), "python-module-missing"),
        (ImportError("libgomp.so.1: cannot open shared object file"), "libgomp-missing"),
        (ImportError("libfoo.so: cannot open shared object file"), "shared-lib-missing"),
        (ImportError("version `GLIBC_2.38' not found"), "glibc-too-old"),
        (ImportError("cannot import name 'DynamicCache'"), "package-version-mismatch"),
    ],
)
def test_each_failed_import_has_its_fault(error: ImportError, fault: str) -> None:
    assert import_failed("transformers", error).fault == fault
