"""Engine name to backend. Heavy packages are imported only when they are chosen."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from qwell.backends import Backend
from qwell.backends.torch_options import TorchOptions
from qwell.errors import QwellError, fault_of_import


def create_backend(
    engine: str,
    path: Path,
    *,
    n_ctx: int,
    n_slots: int,
    n_threads: int,
    torch_options: TorchOptions | None = None,
) -> Backend:
    """The backend for a pack file; the scripted one needs no file.

    Raises QwellError when what the backend needs is missing, broken or too old.
    """
    if engine == "scripted":
        from qwell.backends.scripted import Script, ScriptedBackend

        return ScriptedBackend(Script.from_environ(os.environ), n_ctx=n_ctx, n_slots=n_slots)
    try:
        if engine == "transformers":
            from qwell.backends.transformers import GeneratingBackend, model_of

            return GeneratingBackend(
                model_of(path),
                n_ctx=n_ctx,
                n_slots=n_slots,
                n_threads=n_threads,
                options=torch_options,
            )
        from qwell.backends.native import NativeBackend

        return NativeBackend(path, n_ctx=n_ctx, n_slots=n_slots, n_threads=n_threads)
    except ImportError as error:
        raise import_failed(engine, error) from error


def require_engine(engine: str) -> None:
    """Import what the backend needs, before hundreds of megabytes are fetched for it.

    Raises QwellError as create_backend does.
    """
    try:
        if engine != "scripted":
            importlib.import_module(f"qwell.backends.{engine}")
    except ImportError as error:
        raise import_failed(engine, error) from error


def import_failed(engine: str, error: ImportError) -> QwellError:
    """What a failed import says about the installation."""
    extra = "qwell[transformers]" if engine == "transformers" else "qwell"
    return QwellError(
        fault_of_import(error),
        found=f"the {engine} engine cannot be imported: {error}",
        expected=f"a complete installation of {extra}",
        fix=f"pip install --force-reinstall '{extra}'",
    )
