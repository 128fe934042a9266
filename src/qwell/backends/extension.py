"""The compiled extension, or what is wrong with the installation. Knows nothing of its contents."""

from __future__ import annotations

from types import ModuleType

from qwell.errors import QwellError


def extension() -> ModuleType:
    """qwell._native. Raises QwellError shared-lib-missing where it cannot be imported."""
    try:
        from qwell import _native
    except ImportError as error:
        raise QwellError(
            "shared-lib-missing",
            found=f"qwell._native cannot be imported: {error}",
            expected="the compiled extension beside the package",
            fix="reinstall: `pip install --force-reinstall qwell`, or `make setup` in a clone",
        ) from error
    return _native
