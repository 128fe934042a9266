"""Python and its packages: there, of versions that fit, loadable with their libraries.

Packages are imported in a child of the doctor, never here.
"""

from __future__ import annotations

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from qwell.doctor.checks.host import LOCAL
from qwell.doctor.finding import Facts, Outcome, check, failed, passed, skipped, warned

if TYPE_CHECKING:
    from qwell.doctor.system import System

_PYTHON = (3, 11)
_MODULES = (
    "ssl", "sqlite3", "numpy", "tokenizers", "jinja2", "huggingface_hub", "filelock", "fastapi",
    "uvicorn", "websockets", "qwell._native",
)  # fmt: skip
_OF_TRANSFORMERS = ("torch", "transformers")
_ELF = b"\x7fELF"
_DIED, _ENDLESS = "the process died with code", "it was still at it when time was up"
_IMPORTS_S = 12.0  # for all of them together, on a slow disk
IMPORTED = ("dependency.imports_run",)
_LIBRARY = re.compile(r"(lib[\w.+-]+?\.so[\d.]*): cannot open shared object")
_VERSION_TAG = re.compile(r"version `?(GLIBC\w*_[\d.]+|CXXABI_[\d.]+)'? not found")


def import_failures(system: System) -> dict[str, str]:
    """Module to message, of all that cannot be imported."""
    return system.once("imports", lambda: _import_all(system))


def _import_all(system: System) -> dict[str, str]:
    wanted: tuple[str, ...] = _MODULES
    if system.settings.engine == "transformers":
        wanted += _OF_TRANSFORMERS
    heavy = system.settings.engine == "transformers"
    found = system.probe(
        "qwell.doctor.import_probe", *wanted, timeout_s=30.0 if heavy else _IMPORTS_S
    )
    if "failures" in found:
        return dict(found["failures"])
    said = found.get("said", "")
    last = re.findall(r"^importing (\S+)", said, re.MULTILINE)
    how = _ENDLESS if "timed out" in said else f"{_DIED} {found.get('died')}"
    return {last[-1] if last else "python": how}


@check("dependency.python", layer="dependency", needs=LOCAL)
def python(system: System) -> Outcome:
    """The interpreter is new enough."""
    del system
    shown = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _PYTHON:
        return failed("this Python is too old", "sys.version", python=shown, needed="3.11")
    return passed("sys.version", python=shown)


@check("dependency.installed", layer="dependency", needs=LOCAL)
def installed(system: System) -> Outcome:
    """Every package that the program requires is installed."""
    del system
    missing = [name for name, _ in _requirements() if _version_of(name) is None]
    if missing:
        return failed(
            "a package is missing", "metadata", module=missing[0], missing=" ".join(missing)
        )
    return passed("metadata")


@check("dependency.versions", layer="dependency", needs=("dependency.installed",))
def versions(system: System) -> Outcome:
    """Installed versions are those that the program asks for."""
    del system
    for name, bounds in _requirements():
        have = _version_of(name) or ""
        if not _satisfies(have, bounds):
            facts: Facts = {"module": name, "version": have, "needed": bounds}
            return failed("a package has another version", "metadata", **facts)
    return passed("metadata")


def _requirements() -> list[tuple[str, str]]:
    """Name and version bounds of what qwell needs without extras."""
    from importlib import metadata

    try:
        lines = metadata.requires("qwell") or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for line in lines:
        requirement, _, marker = line.partition(";")
        if "extra" not in marker and (
            match := re.match(r"([\w.-]+)(?:\[.*\])?\s*(.*)", requirement)
        ):
            found.append((match[1], match[2].strip(" ()")))
    return found


def _version_of(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _satisfies(version: str, bounds: str) -> bool:
    """Only lower and upper bounds, which is what qwell uses."""
    have = _numbers(version)
    for operator, wanted in re.findall(r"(>=|<=|==|<|>)\s*([\w.]+)", bounds):
        limit = _numbers(wanted)
        order = (have > limit) - (have < limit)
        if not {
            ">=": order >= 0,
            "<=": order <= 0,
            "==": order == 0,
            "<": order < 0,
            ">": order > 0,
        }[operator]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return (*(int(n) for n in re.findall(r"\d+", version.partition("+")[0])[:3]), 0, 0)[:3]


@check("dependency.imports_run", layer="dependency", needs=LOCAL, timeout_s=35.0)
def imports_run(system: System) -> Outcome:
    """No package ends the interpreter, or holds it up, when it is imported."""
    for name, text in import_failures(system).items():
        if text.startswith(_DIED):
            return failed("importing it ends the process", "import", module=name, error=text)
        if text == _ENDLESS:
            return failed("importing it comes to no end", "import", module=name, error=text)
    return passed("import", n_modules=len(_MODULES))


@check("dependency.modules", layer="dependency", needs=IMPORTED)
def modules(system: System) -> Outcome:
    """Every module is found."""
    for name, text in import_failures(system).items():
        if text.startswith("ModuleNotFoundError") and name not in ("websockets", "qwell._native"):
            missing = re.search(r"No module named '([^']+)'", text)
            facts: Facts = {"module": missing[1] if missing else name, "error": text}
            return failed("a module is missing", "import", **facts)
    return passed("import")


@check("dependency.compatible", layer="dependency", needs=IMPORTED)
def compatible(system: System) -> Outcome:
    """Packages agree with each other when they are imported."""
    for name, text in import_failures(system).items():
        is_other = any(word in text for word in ("ModuleNotFound", "shared object", "GLIBC"))
        if not is_other and name not in ("ssl", "websockets", "qwell._native"):
            return failed("the import fails", "import", module=name, error=text[:300])
    return passed("import")


@check("dependency.shared_libraries", layer="dependency", needs=IMPORTED)
def shared_libraries(system: System) -> Outcome:
    """Every shared library that a package links to is there."""
    library, name = _missing_library(system)
    if library and not library.startswith(("libgomp", "libaio", "libssl", "libcrypto")):
        return failed("a shared library is missing", "import", library=library, module=name)
    return passed("import")


def _missing_library(system: System) -> tuple[str, str]:
    for name, text in import_failures(system).items():
        if match := _LIBRARY.search(text):
            return match[1], name
    return "", ""


@check("dependency.libgomp", layer="dependency", needs=IMPORTED)
def libgomp(system: System) -> Outcome:
    """The OpenMP runtime is there for the packages that use it."""
    return _library_present(system, "libgomp")


@check("dependency.libaio", layer="dependency", needs=IMPORTED)
def libaio(system: System) -> Outcome:
    """The asynchronous I/O library is there for the packages that use it."""
    return _library_present(system, "libaio")


def _library_present(system: System, start: str) -> Outcome:
    library, name = _missing_library(system)
    if library.startswith(start):
        return failed("a shared library is missing", "import", library=library, module=name)
    return passed("import")


@check("dependency.openssl", layer="dependency", needs=IMPORTED)
def openssl(system: System) -> Outcome:
    """Python can speak TLS."""
    library, _ = _missing_library(system)
    text = import_failures(system).get("ssl", "")
    if text or library.startswith(("libssl", "libcrypto")):
        return failed(
            "Python's ssl module does not load", "import ssl", library=library, error=text
        )
    return passed("import ssl")


@check("dependency.libc_symbols", layer="dependency", needs=IMPORTED)
def libc_symbols(system: System) -> Outcome:
    """No package needs a newer C or C++ library."""
    for name, text in import_failures(system).items():
        if match := _VERSION_TAG.search(text):
            return failed("a newer C library is needed", "import", needed=match[1], module=name)
    return passed("import")


@check("dependency.websockets", layer="dependency", needs=IMPORTED)
def websockets(system: System) -> Outcome:
    """The server can speak WebSocket."""
    if text := import_failures(system).get("websockets"):
        return failed("no WebSocket library", "import", module="websockets", error=text)
    return passed("import")


def extension_path() -> str | None:
    """The file of the compiled engine; an editable installation keeps it beside no source."""
    spec = find_spec("qwell._native")
    return spec.origin if spec else None


def _head(path: str) -> bytes:
    """Its first bytes; none of a file that cannot be read, which native_loads will say."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_ELF))
    except OSError:
        return _ELF


@check("dependency.native_extension", layer="dependency", needs=LOCAL)
def native_extension(system: System) -> Outcome:
    """The compiled engine is where the interpreter looks for it."""
    if path := extension_path():
        if sys.platform == "linux" and _head(path) != _ELF:
            facts: Facts = {"module": "qwell._native", "path": path}
            return failed("the compiled engine is damaged", "ELF header", **facts)
        return passed("listing", path=path)
    if system.settings.engine != "native":
        return skipped("another engine is chosen")
    return failed("the compiled engine is missing", "listing", module="qwell._native")


@check(
    "dependency.native_loads", layer="dependency", needs=("dependency.native_extension", *IMPORTED)
)
def native_loads(system: System) -> Outcome:
    """The compiled engine can be loaded."""
    if text := import_failures(system).get("qwell._native"):
        return failed("it cannot be loaded", "import", module="qwell._native", error=text)
    return passed("import")


@check("dependency.build_tools", layer="dependency", needs=LOCAL)
def build_tools(system: System) -> Outcome:
    """Where the engine still has to be built, there is what builds it."""
    if extension_path() or system.settings.engine != "native":
        return passed("listing", needed=False)
    missing = [name for name in ("c++", "cmake") if shutil.which(name) is None]
    if missing:
        return failed("no compiler to build the engine with", "PATH", program=missing[0])
    return passed("PATH")


@check("dependency.transformers", layer="dependency", needs=LOCAL)
def transformers(system: System) -> Outcome:
    """The Transformers engine, when chosen, is new enough for Qwen2.5."""
    if system.settings.engine != "transformers":
        return skipped("another engine is chosen")
    have = _version_of("transformers")
    if have is None:
        return skipped("not installed: dependency.modules names it")
    if _numbers(have) < (4, 56, 0):
        return failed("too old", "metadata", version=have, needed="4.56")
    return passed("metadata", version=have)


@check("dependency.gpu", layer="dependency", needs=IMPORTED)
def gpu(system: System) -> Outcome:
    """No package that was built for a GPU is needed on this machine."""
    for name, text in import_failures(system).items():
        if re.search(r"cuda|libcudart|libcublas|nvidia", text, re.IGNORECASE):
            return failed("a package wants a GPU", "import", module=name, error=text[:300])
    return passed("import")


@check("dependency.shadowed", layer="dependency", needs=LOCAL)
def shadowed(system: System) -> Outcome:
    """No file of the working folder hides a package of the same name."""
    del system
    here = Path.cwd().resolve()
    for name in ("numpy", "tokenizers", "fastapi", "uvicorn", "jinja2", "torch"):
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin and origin.parent in (here, here / name) and "site-packages" not in origin.parts:
            return warned(
                "a local file hides a package", "find_spec", module=name, path=str(origin)
            )
    return passed("find_spec")
