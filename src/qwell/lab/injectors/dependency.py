"""Python, its packages and the libraries that they are linked to, broken for real.

A folder that comes first on the interpreter's path holds what hides or replaces a package. By
hand, the package is installed again: the folder is left out.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from qwell.lab.case import Effect, NotInjected, injector
from qwell.lab.patient import Patient
from qwell.lab.rig.packages import extension_that_wants, first_on_path, metadata, without

Files = Mapping[str, str | bytes]


def _broken(
    fault: str,
    variant: str,
    files: Callable[[Patient], Files],
    statement: str,
    *,
    clue: str,
    quick: bool = False,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Declare a case. statement: what a person's installation cannot do any more."""

    def inject(patient: Patient) -> Iterator[Effect]:
        with ExitStack() as inside:
            inside.enter_context(first_on_path(patient, files(patient)))
            inside.enter_context(patient.with_environ(**(environ or {})))

            def trouble() -> str:
                done = patient.python(statement)
                return done.stdout.strip().rpartition("\n")[2] if done.returncode else ""

            yield Effect(
                proof=trouble(),
                trouble=trouble,
                clue=clue,
                log=lambda: patient.python(statement).stdout,
                by_hand=inside.close,
            )

    inject.__doc__ = (files.__doc__ or "").strip() or f"`{statement}` fails."
    injector(fault, variant, who="none", quick=quick)(inject)


def _hidden(*names: str) -> Callable[[Patient], Files]:
    def files(_patient: Patient) -> Files:
        return without(*names)

    files.__doc__ = f"{' and '.join(names)}: not installed."
    return files


def _linked(module: str, library: str, version: str = "") -> Callable[[Patient], Files]:
    """A package whose compiled part wants this library."""

    def files(patient: Patient) -> Files:
        work = patient.folder / "compiled"
        try:
            part = extension_that_wants(work, "core", library, version=version)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return {f"{module}/__init__.py": "from . import core\n", f"{module}/core.so": part}

    files.__doc__ = f"{module} is linked to {library} {version}".rstrip() + ", which is not there."
    return files


def _older_numpy(_patient: Patient) -> Files:
    """Another version of a package lies first on the path, without what others import from it."""
    return {"tokenizers/__init__.py": "from tokenizers.models import Unigram, WordPieceTrainer2\n",
            "tokenizers/models.py": "class Unigram: ...\n"}  # fmt: skip


_ASKED = """
from importlib.metadata import distributions, version
needs = [line for d in distributions(name="qwell") for line in d.requires or []]
need = next((line for line in needs if line.startswith("tokenizers")), "")
have = version("tokenizers")
assert have != "0.13.3", f"qwell requires {need}, but you have tokenizers {have}"
"""


def _old_metadata(_patient: Patient) -> Files:
    """An older version of a package is installed than this program asks for."""
    return {**_own_metadata(), **metadata("tokenizers", "0.13.3")}


def _own_metadata() -> Files:
    """What the installer would note of qwell, where it runs from its sources."""
    try:
        requires("qwell")
    except PackageNotFoundError:
        import tomllib

        import qwell

        source = Path(qwell.__file__).parents[2] / "pyproject.toml"
        if not source.is_file():
            raise NotInjected("qwell is not installed as a package with requirements") from None
        project = tomllib.loads(source.read_text(encoding="utf-8"))["project"]
        return metadata("qwell", qwell.__version__, *project["dependencies"])
    return {}


def _dead_import(_patient: Patient) -> Files:
    """A package that ends the interpreter: compiled for something else."""
    return {"numpy/__init__.py": "import os\nos.abort()\n"}


def _ssl_without_library(patient: Patient) -> Files:
    """Python's own ssl module is linked to an OpenSSL that is not there."""
    work = patient.folder / "compiled"
    try:
        part = extension_that_wants(work, "_ssl", "libssl.so.99")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {"_ssl.so": part}


def _old_transformers(_patient: Patient) -> Files:
    """A release of Transformers that does not know Qwen2."""
    return {
        **metadata("transformers", "4.30.2"),
        "transformers/__init__.py": (
            "__version__ = '4.30.2'\n"
            "CONFIGS = {'llama': 1, 'gpt2': 2}\n"
            "def load(kind):\n    return CONFIGS[kind]\n"
        ),
    }


_broken(
    "python-module-missing", "jinja2", _hidden("jinja2"), "import jinja2", clue="jinja2", quick=True
)
_broken("python-module-missing", "fastapi", _hidden("fastapi"), "import fastapi", clue="fastapi")
_broken(
    "ws-library-missing", "websockets", _hidden("websockets"), "import websockets",
    clue="websockets", quick=True,
)  # fmt: skip
_broken(
    "package-version-mismatch", "half-an-upgrade", _older_numpy, "import tokenizers",
    clue="tokenizers", quick=True,
)  # fmt: skip
_broken(
    "package-version-mismatch", "ends-the-interpreter", _dead_import,
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import numpy'], check=True)",
    clue="numpy",
)  # fmt: skip
_broken("pip-conflict", "older-than-asked-for", _old_metadata, _ASKED, clue="0.13.3")
_broken(
    "libgomp-missing", "of-tokenizers", _linked("tokenizers", "libgomp-a34b3233.so.1"),
    "import tokenizers", clue="libgomp", quick=True,
)  # fmt: skip
_broken(
    "libaio-missing", "of-tokenizers", _linked("tokenizers", "libaio.so.1qwell"),
    "import tokenizers", clue="libaio",
)  # fmt: skip
_broken("openssl-missing", "of-python", _ssl_without_library, "import ssl", clue="libssl")
_broken(
    "shared-lib-missing", "of-jinja2", _linked("jinja2", "libqwellneeds.so.4"),
    "import jinja2", clue="libqwellneeds",
)  # fmt: skip
_broken(
    "glibc-too-old", "newer-symbols", _linked("tokenizers", "libm.so.6", "GLIBC_2.99"),
    "import tokenizers", clue="GLIBC_2.99", quick=True,
)  # fmt: skip
_broken(
    "gpu-requested-on-cpu-host", "linked-to-cuda", _linked("tokenizers", "libcudart.so.12"),
    "import tokenizers", clue="libcudart",
)  # fmt: skip


@injector("transformers-too-old", "does-not-know-qwen2", who="none")
def old_transformers(patient: Patient) -> Iterator[Effect]:
    """A release of Transformers that does not know Qwen2, where that engine is chosen."""
    with ExitStack() as inside:
        inside.enter_context(first_on_path(patient, _old_transformers(patient)))
        inside.enter_context(patient.configured(engine="transformers"))

        def trouble() -> str:
            done = patient.python("import transformers; transformers.load('qwen2')")
            return done.stdout.strip().rpartition("\n")[2] if done.returncode else ""

        def upgrade() -> None:
            inside.close()
            patient.environ["QWELL_LAB"] = "upgraded"

        def tried() -> str:
            return "" if patient.environ.pop("QWELL_LAB", "") else trouble()

        yield Effect(proof=trouble(), trouble=tried, clue="4.30.2", by_hand=upgrade)


# ---- what installers say, which leaves nothing to look at


def _project(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\n{text}\n'
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
        encoding="utf-8",
    )
    (folder / f"{name}.py").touch()


def _install(patient: Patient, *what: str, **environ: str) -> str:
    """What the installer says; nothing is really put anywhere that matters."""
    target = patient.folder / "installed"
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--disable-pip-version-check",
               "--no-build-isolation", "--target", str(target), *what]  # fmt: skip
    done = patient.program(*command, is_whole=False, **environ)
    shutil.rmtree(target, ignore_errors=True)
    return done.stdout if done.returncode else ""


def _refused_by_pip(
    fault: str, variant: str, text: str, *, clue: str, better: str, quick: bool = False
) -> None:
    """Declare a case with a package that pip refuses to install, and one that it takes."""

    def inject(patient: Patient) -> Iterator[Effect]:
        folder = patient.folder / "project"
        _project(folder, "asking", text)

        def fix() -> None:
            shutil.rmtree(folder)
            _project(folder, "asking", better)

        try:
            yield Effect(
                proof=text,
                trouble=lambda: _install(patient, str(folder)),
                clue=clue,
                log=lambda: _install(patient, str(folder)),
                by_hand=fix,
            )
        finally:
            shutil.rmtree(folder)

    inject.__doc__ = f"pip refuses: {text}."
    injector(fault, variant, who="none", modules=("setuptools", "pip"), quick=quick)(inject)


_refused_by_pip(
    "python-too-old", "wants-a-newer-one", 'requires-python = ">=3.99"', clue="3.99",
    better='requires-python = ">=3.11"', quick=True,
)  # fmt: skip
_refused_by_pip(
    "pip-conflict", "two-that-exclude-each-other",
    'dependencies = ["numpy>=99", "numpy<1"]', clue="numpy",
    better="dependencies = []",
)  # fmt: skip


@injector("build-toolchain-missing", "no-compiler", who="none", modules=("setuptools", "pip"))
def no_compiler(patient: Patient) -> Iterator[Effect]:
    """A package has to be compiled, and there is nothing to do it with."""
    folder = patient.folder / "project"
    folder.mkdir()
    (folder / "setup.py").write_text(
        "from setuptools import Extension, setup\n"
        "setup(name='compiled', version='1', ext_modules=[Extension('compiled', ['c.c'])])\n",
        encoding="utf-8",
    )
    (folder / "c.c").write_text("void *PyInit_compiled(void) { return 0; }\n", encoding="ascii")
    poor = {"PATH": str(patient.folder / "tmp"), "CC": "gcc"}
    path = {"now": poor}
    try:
        yield Effect(
            proof=f"PATH={poor['PATH']}",
            trouble=lambda: _install(patient, str(folder), **path["now"]),
            clue="gcc",
            log=lambda: _install(patient, str(folder), **path["now"]),
            by_hand=lambda: path.update(now={"PATH": os.environ["PATH"]}),
        )
    finally:
        shutil.rmtree(folder)
