"""A wheel is whole: the extension, the page and the type marker are in it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names in a wheel built from this tree, on top of what `make setup` has compiled."""
    if not (ROOT / "src/qwell/server/static/index.html").exists():
        pytest.skip("the page is not built: make web")
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (wheel,) = folder.glob("qwell-*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_the_wheel_contains_the_page(wheel_names: list[str]) -> None:
    built = (ROOT / "src").rglob("static/**/*")
    page = {str(path.relative_to(ROOT / "src")) for path in built if path.is_file()}
    assert page <= set(wheel_names)


def test_the_wheel_contains_the_engine_and_its_types(wheel_names: list[str]) -> None:
    assert [n for n in wheel_names if n.startswith("qwell/_native.") and n.endswith(".so")]
    assert "qwell/py.typed" in wheel_names


def test_the_wheel_contains_nothing_else(wheel_names: list[str]) -> None:
    kinds = {Path(name).parts[0].partition("-")[0] for name in wheel_names}
    assert kinds == {"qwell"}
    assert not [n for n in wheel_names if "__pycache__" in n]
