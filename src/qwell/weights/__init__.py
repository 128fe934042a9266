"""Model files: find, fetch, verify, read and pack them. Knows nothing of engines or HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qwell.weights.ensure import PackedModel, ensure_pack, pull
    from qwell.weights.progress import Progress

__all__ = ["PackedModel", "Progress", "ensure_pack", "pull"]

_HOMES = {
    "PackedModel": "qwell.weights.ensure",
    "Progress": "qwell.weights.progress",
    "ensure_pack": "qwell.weights.ensure",
    "pull": "qwell.weights.ensure",
}


def __getattr__(name: str) -> Any:
    """Import on first use: `import qwell.weights.pack` needs no hub client and no numpy twice."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
