"""Model hubs: which one answers, and fetching a repository's files from it.

Knows Hugging Face and its mirror through huggingface_hub, and ModelScope's HTTP interface.
Honours HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE and proxy variables.
"""

from __future__ import annotations

import json
import os
import queue
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qwell.errors import QwellError
from qwell.weights.disk import require_space, writing
from qwell.weights.download import get_file
from qwell.weights.lock import alone_in
from qwell.weights.progress import Progress, Report

PROBE_S = 3.0
_OFFICIAL, _MIRROR = "https://huggingface.co", "https://hf-mirror.com"
_MODELSCOPE = "https://www.modelscope.cn"
_SMALL = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
_WANTED = (*_SMALL, "chat_template.jinja", "*.safetensors", "model.safetensors.index.json")
_GGUF_ORDER = {
    "auto": ("q5_0", "q5_k_m", "q4_k_m", "q8_0"),
    "q8": ("q8_0", "q6_k", "f16"),
    "q5": ("q5_0", "q5_k_m", "q8_0"),
    "q4": ("q4_k_m", "q4_0", "q8_0"),
}


@dataclass(frozen=True, slots=True)
class Hub:
    name: str
    url: str
    kind: Literal["huggingface", "modelscope"]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    path: str
    size: int
    sha256: str  # empty where the hub doesn't know it


def known_hubs(environ: Mapping[str, str] = os.environ) -> list[Hub]:
    """The hubs in the order of preference; none when HF_HUB_OFFLINE is set."""
    if environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return []
    first = environ.get("HF_ENDPOINT", "").rstrip("/") or _OFFICIAL
    hubs = [Hub("Hugging Face", first, "huggingface")]
    if first != _MIRROR:
        hubs.append(Hub("hf-mirror", _MIRROR, "huggingface"))
    return [*hubs, Hub("ModelScope", _MODELSCOPE, "modelscope")]


def probe(
    hubs: Sequence[Hub], *, report: Report, deadline_s: float = PROBE_S
) -> tuple[list[Hub], dict[str, str]]:
    """The hubs that answer within the deadline, in the given order, and why the others don't.

    All are asked at the same time. Threads that hang in name resolution are left behind: they
    are daemons and end with the process.
    """
    answers: queue.Queue[tuple[Hub, str]] = queue.Queue()
    for hub in hubs:
        threading.Thread(target=_ask, args=(hub, deadline_s, answers), daemon=True).start()
    reasons = {hub.name: f"no answer within {deadline_s:g} s" for hub in hubs}
    report(Progress("probe", 0, len(hubs), ", ".join(hub.url for hub in hubs)))
    clock = threading.Event()
    timer = threading.Timer(deadline_s, clock.set)
    timer.daemon = True
    timer.start()
    for done in range(1, len(hubs) + 1):
        answer = _next(answers, clock)
        if answer is None:
            break
        hub, reason = answer
        reasons[hub.name] = reason
        report(Progress("probe", done, len(hubs), f"{hub.name}: {reason or 'answers'}"))
    timer.cancel()
    alive = [hub for hub in hubs if not reasons[hub.name]]
    return alive, {name: reason for name, reason in reasons.items() if reason}


def _next(answers: queue.Queue[tuple[Hub, str]], clock: threading.Event) -> tuple[Hub, str] | None:
    """The next answer, or None when the clock has run out."""
    while not clock.is_set():
        try:
            return answers.get(timeout=0.05)
        except queue.Empty:
            continue
    return None


def _ask(hub: Hub, timeout_s: float, answers: queue.Queue[tuple[Hub, str]]) -> None:
    request = urllib.request.Request(hub.url, method="HEAD")  # noqa: S310  http(s) by configuration
    try:
        with urllib.request.urlopen(request, timeout=timeout_s):  # noqa: S310  the same
            reason = ""
    except urllib.error.HTTPError as error:
        error.close()
        reason = "" if error.code < 500 and error.code != 407 else f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error))
    answers.put((hub, reason))


def unreachable(reasons: Mapping[str, str]) -> QwellError:
    """The error when no source can deliver a model, with what each one said."""
    said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    certificates = reasons and all("CERTIFICATE_VERIFY_FAILED" in r for r in reasons.values())
    return QwellError(
        "tls-verify-failed" if certificates else "hf-hub-unreachable",
        found=said or "offline mode (HF_HUB_OFFLINE is set) and no model in the cache",
        expected="one source that answers within 3 seconds",
        fix="set HF_ENDPOINT=https://hf-mirror.com or HTTPS_PROXY=http://host:port, or copy a "
        "model here and start with `--model /path/to/model`",
    )


def cached_snapshot(repo: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where Hugging Face's cache keeps the repository's current files, if it has it.

    Reads the documented layout instead of importing huggingface_hub, which takes a second.
    """
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = environ.get("HF_HOME") or Path(base) / "huggingface"
    hub = Path(environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    folder = hub / f"models--{repo.replace('/', '--')}"
    try:
        revision = (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    snapshot = folder / "snapshots" / revision
    return snapshot if snapshot.is_dir() else None


def fetch(hub: Hub, repo: str, quant: str, models: Path, report: Report) -> Path:
    """Fetch a repository's model files. Returns its directory, or its GGUF file.

    models is where files that come without huggingface_hub are kept. Raises QwellError:
    ``hf-token-required``, ``model-name-unknown``, ``download-interrupted``, ``disk-full``, ...
    """
    if hub.kind == "modelscope":
        return _fetch_modelscope(hub, repo, quant, models / repo.replace("/", "--"), report)
    return _fetch_huggingface(hub, repo, quant, report)


def wanted_files(files: Sequence[RemoteFile], repo: str, quant: str) -> list[RemoteFile]:
    """The files of a repository to fetch: safetensors with its words, or else one GGUF."""
    if any(f.path.endswith(".safetensors") and "/" not in f.path for f in files):
        return [
            f for f in files if any(Path(f.path).match(w) for w in _WANTED) and "/" not in f.path
        ]
    ggufs = sorted((f for f in files if f.path.endswith(".gguf")), key=lambda f: f.path)
    for name in _GGUF_ORDER[quant]:
        if fitting := [f for f in ggufs if f.path.lower().endswith(f"{name}.gguf")]:
            return fitting[:1]
    if ggufs:
        return ggufs[:1]
    raise QwellError(
        "model-path-missing",
        found=f"{repo} with {len(files)} files, none of them a model",
        expected="safetensors or GGUF files",
        fix="choose a Qwen2.5 repository, e.g. `--model Qwen/Qwen2.5-0.5B-Instruct`",
    )


def _result(directory: Path, files: Sequence[RemoteFile]) -> Path:
    return directory / files[0].path if len(files) == 1 else directory


# ---- Hugging Face


def _fetch_huggingface(hub: Hub, repo: str, quant: str, report: Report) -> Path:
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # the caller shows progress
    try:
        info = HfApi(endpoint=hub.url).model_info(repo, files_metadata=True, timeout=30)
        listed = [_remote(s) for s in info.siblings or ()]
        files = wanted_files(listed, repo, quant)
        cache = Path(constants.HF_HUB_CACHE)
        with writing(cache):
            total = sum(f.size for f in files)
            blobs = cache / f"models--{repo.replace('/', '--')}" / "blobs"
            require_space(cache, total - _held(blobs), f"the files of {repo}")
            with _watched(blobs, total, f"{repo} from {hub.url}", report):
                folder = snapshot_download(
                    repo, endpoint=hub.url, allow_patterns=[f.path for f in files]
                )
    except HfHubHTTPError as error:
        raise _refused(hub, repo, getattr(error.response, "status_code", 0), str(error)) from error
    except _client_errors() as error:
        raise _broken_off(hub, repo, str(error)) from error
    return _result(Path(folder), files)


def _client_errors() -> tuple[type[Exception], ...]:
    """What a broken connection raises; the hub's HTTP client is another one in every version."""
    from huggingface_hub.errors import HfHubHTTPError

    clients = (base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))
    return (*clients, OSError)


def _remote(sibling: Any) -> RemoteFile:
    lfs = sibling.lfs
    return RemoteFile(sibling.rfilename, sibling.size or 0, lfs.sha256 if lfs else "")


def _held(folder: Path) -> int:
    """Bytes already there; files may come and go while this looks."""
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


class _watched:  # noqa: N801  used as a context manager, reads as a verb
    """Reports the growth of a folder while the body runs."""

    def __init__(self, folder: Path, total: int, detail: str, report: Report) -> None:
        self._folder, self._total, self._detail, self._report = folder, total, detail, report
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _look(self) -> None:
        self._report(Progress("download", _held(self._folder), self._total, self._detail))

    def _run(self) -> None:
        while not self._over.wait(0.25):
            self._look()

    def __enter__(self) -> None:
        self._look()
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()


def _refused(hub: Hub, repo: str, status: int, reason: str) -> QwellError:
    if status in (401, 403):
        return QwellError(
            "hf-token-required",
            found=f"{hub.url} answers {status} for {repo}",
            expected="a public repository, or a token that may read it",
            fix="check the spelling; for a private or gated one set HF_TOKEN=hf_...",
        )
    if status == 404:
        return QwellError(
            "model-path-missing",
            found=f"{hub.url} has no model {repo}",
            expected="the id of a repository, owner/name",
            fix="check the spelling, or use --model auto",
        )
    return _broken_off(hub, repo, reason)


def _broken_off(hub: Hub, repo: str, reason: str) -> QwellError:
    return QwellError(
        "download-interrupted",
        found=f"{repo} from {hub.url}: {reason.splitlines()[0] if reason else 'no reason given'}",
        expected="all files of the model",
        fix="run the same command again: it goes on where it stopped",
    )


# ---- ModelScope


def _fetch_modelscope(hub: Hub, repo: str, quant: str, folder: Path, report: Report) -> Path:
    files = wanted_files(_modelscope_files(hub, repo), repo, quant)
    total, done = sum(f.size for f in files), 0
    detail = f"{repo} from {hub.url}"

    def arrived(n: int) -> None:
        report(Progress("download", done + n, total, detail))

    with writing(folder), alone_in(folder, "download", report):
        require_space(folder, total - _held(folder), f"the files of {repo}")
        for file in files:
            target = folder / file.path
            if not (target.is_file() and target.stat().st_size == file.size):
                url = _modelscope_url(hub, repo, "repo", FilePath=file.path)
                get_file(url, target, size=file.size, sha256=file.sha256, report=arrived)
            done += file.size
    arrived(0)
    return _result(folder, files)


def _modelscope_url(hub: Hub, repo: str, what: str, **query: str) -> str:
    words = urllib.parse.urlencode({"Revision": "master", **query})
    return f"{hub.url}/api/v1/models/{urllib.parse.quote(repo)}/{what}?{words}"


def _modelscope_files(hub: Hub, repo: str) -> list[RemoteFile]:
    url = _modelscope_url(hub, repo, "repo/files", Recursive="true")
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:  # noqa: S310  https by construction
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(hub, repo, error.code, str(error)) from error
    except (OSError, ssl.SSLError, ValueError) as error:
        raise _broken_off(hub, repo, str(error)) from error
    return [
        RemoteFile(f["Path"], f["Size"], f["Sha256"])
        for f in answer["Data"]["Files"]
        if f["Type"] == "blob"
    ]
