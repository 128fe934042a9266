"""Installations that are really broken: modules that hide others, libraries that do not load.

They lie in a folder that comes first on the path of the patient's interpreter, so that taking it
back is leaving the folder out.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from qwell.lab.case import NotInjected
from qwell.lab.patient import Patient

_HIDE = """\
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {names!r} or name.startswith({starts!r}):
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Absent())
"""
_ELSEWHERE = """\
import sys
from importlib.util import spec_from_file_location
class Elsewhere:
    def find_spec(self, name, path=None, target=None):
        return spec_from_file_location(name, {path!r}) if name == {name!r} else None
sys.meta_path.insert(0, Elsewhere())
"""
_EXTENSION = """\
{declarations}
void *PyInit_{name}(void) {{ {calls} return 0; }}
"""


@contextlib.contextmanager
def first_on_path(patient: Patient, files: Mapping[str, str | bytes]) -> Iterator[Path]:
    """These files in a folder that is searched before everything else."""
    folder = patient.folder / "first-on-path"
    folder.mkdir()
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with patient.with_environ(PYTHONPATH=str(folder)):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def without(*names: str) -> dict[str, str]:
    """Files that make modules of these names absent, as if they were not installed."""
    return {
        "sitecustomize.py": _HIDE.format(names=set(names), starts=tuple(f"{n}." for n in names))
    }


def elsewhere(name: str, path: Path) -> dict[str, str]:
    """Files that make the interpreter take a module from there, wherever it is installed."""
    return {"sitecustomize.py": _ELSEWHERE.format(name=name, path=str(path))}


def metadata(name: str, version: str, *requires: str) -> dict[str, str]:
    """A distribution as the installer notes it."""
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    text = "Metadata-Version: 2.1\n" + "\n".join(lines) + "\n"
    return {f"{name}-{version}.dist-info/METADATA": text}


def extension_that_wants(folder: Path, module: str, library: str, *, version: str = "") -> bytes:
    """A compiled module linked to a library that is not there when it is loaded.

    version: the library is there, but only without this version of its symbols.
    """
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotInjected("not installed: a C compiler")
    folder.mkdir(exist_ok=True)
    (folder / "wanted.c").write_text("int wanted_by_lab(void) { return 1; }\n", encoding="ascii")
    script = [f"-Wl,-soname,{library}"]
    if version:
        (folder / "versions").write_text(
            f"{version} {{ global: wanted_by_lab; }};\n", encoding="ascii"
        )
        script.append(f"-Wl,--version-script,{folder / 'versions'}")
    shared = [compiler, "-shared", "-fPIC"]
    _run(*shared, *script, "-o", str(folder / library), str(folder / "wanted.c"))
    text = _EXTENSION.format(
        declarations="int wanted_by_lab(void);", name=module, calls="wanted_by_lab();"
    )
    (folder / "module.c").write_text(text, encoding="ascii")
    made = folder / "module.so"
    _run(*shared, "-o", str(made), str(folder / "module.c"), str(folder / library))
    return made.read_bytes()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInjected(f"{os.path.basename(command[0])}: {done.stderr[-300:]}")  # noqa: PTH119  a name, no path
