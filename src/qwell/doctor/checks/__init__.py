"""Live checks, one module a layer. Importing this package declares all of them."""

from qwell.doctor.checks import (
    api,
    browser,
    container,
    dependency,
    dialogue,
    engine,
    host,
    model,
    network,
)
from qwell.doctor.finding import CHECKS

__all__ = [
    "CHECKS",
    "api",
    "browser",
    "container",
    "dependency",
    "dialogue",
    "engine",
    "host",
    "model",
    "network",
]
