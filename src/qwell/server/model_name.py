"""Whether the model that a program asks for is the one that is served. Knows names only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from qwell.errors import QwellError
from qwell.server.health import status_of


def served_name(request: Request, asked: str) -> str:
    """The model that is really served; the name that was asked for while none is loaded."""
    return str(status_of(request).model.get("name", asked))


def check_model(request: Request, asked: str) -> None:
    """Raises QwellError ``model-name-unknown``.

    While nothing is loaded no name can be judged: it is looked at again when the answer begins.
    """
    served: Mapping[str, Any] = status_of(request).model
    name = str(served.get("name", ""))
    is_served = asked.lower() == "qwell" or _without_owner(asked) == _without_owner(name)
    if name and not is_served:
        raise QwellError(
            "model-name-unknown",
            found=f"a request for model {asked!r}",
            expected=f"{name!r}, the model that is served",
            fix=f'send "model": "{name}"; GET /v1/models lists it',
        )


def _without_owner(name: str) -> str:
    """Clients are often set to the name of a hub: ``Qwen/Qwen2.5-0.5B-Instruct``."""
    return name.lower().rpartition("/")[2]
