from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwell.errors import QwellError
from qwell.weights import hubs
from qwell.weights.hubs import Hub, RemoteFile
from qwell.weights.locate import at_path
from qwell.weights.progress import Progress, unwatched

REPO = "someone/Tiny-Instruct"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_hubs_in_their_order() -> None:
    assert [h.url for h in hubs.known_hubs({})] == [
        "https://huggingface.co",
        "https://hf-mirror.com",
        "https://www.modelscope.cn",
    ]


def test_hf_endpoint_replaces_the_first_hub() -> None:
    assert hubs.known_hubs({"HF_ENDPOINT": "https://hub.example/"})[0].url == "https://hub.example"
    mirror = hubs.known_hubs({"HF_ENDPOINT": "https://hf-mirror.com"})
    assert [h.url for h in mirror] == ["https://hf-mirror.com", "https://www.modelscope.cn"]


def test_offline_there_are_no_hubs() -> None:
    assert hubs.known_hubs({"HF_HUB_OFFLINE": "1"}) == []
    assert "HF_HUB_OFFLINE" in hubs.unreachable({}).found


# ---- probe


def test_a_probe_keeps_the_order_and_says_why(site: Any) -> None:
    site.replies["/"] = (404, b"")  # an answer is an answer
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = Hub("closed", f"http://127.0.0.1:{unused.getsockname()[1]}", "huggingface")
        one, two = (Hub(n, site.url + "/", "huggingface") for n in ("one", "two"))
        alive, reasons = hubs.probe([one, closed, two], report=unwatched)
    assert alive == [one, two]
    assert list(reasons) == ["closed"]
    assert "refused" in reasons["closed"]


def test_a_silent_hub_costs_no_more_than_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = Hub("silent", f"http://127.0.0.1:{silent.getsockname()[1]}", "huggingface")
        started = time.monotonic()
        alive, reasons = hubs.probe([hub, hub], report=unwatched, deadline_s=0.3)
        assert time.monotonic() - started < 5
    assert alive == []
    assert "no answer" in reasons["silent"] or "timed out" in reasons["silent"]


@pytest.mark.parametrize("status", [502, 503])
def test_a_hub_in_trouble_is_not_alive(site: Any, status: int) -> None:
    site.replies["/"] = (status, b"")
    hub = Hub("sick", site.url + "/", "huggingface")
    assert hubs.probe([hub], report=unwatched) == ([], {"sick": f"HTTP {status}"})


def test_distrusted_certificates_have_their_own_name() -> None:
    distrust = "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"
    assert hubs.unreachable({"a": distrust, "b": distrust}).fault == "tls-verify-failed"
    assert hubs.unreachable({"a": distrust, "b": "timed out"}).fault == "hf-hub-unreachable"


# ---- which files


def remote(*names: str) -> list[RemoteFile]:
    return [RemoteFile(name, 1, "") for name in names]


def test_safetensors_come_with_their_words_and_nothing_else() -> None:
    names = ["config.json", "model.safetensors", "tokenizer.json", "README.md", "onnx/model.onnx",
             "pytorch_model.bin", "original/model.safetensors"]  # fmt: skip
    wanted = hubs.wanted_files(remote(*names), REPO, "auto")
    assert [f.path for f in wanted] == ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.mark.parametrize(("quant", "name"), [("auto", "q5_0"), ("q8", "q8_0"), ("q4", "q4_k_m")])
def test_one_gguf_file_that_suits_the_format(quant: str, name: str) -> None:
    files = remote("README.md", "m-q4_k_m.gguf", "m-q5_0.gguf", "m-q8_0.gguf")
    assert [f.path for f in hubs.wanted_files(files, REPO, quant)] == [f"m-{name}.gguf"]


def test_a_repository_without_a_model() -> None:
    with pytest.raises(QwellError, match="model-path-missing"):
        hubs.wanted_files(remote("README.md"), REPO, "auto")


# ---- fetching


@pytest.fixture
def modelscope(site: Any, write_directory: Callable[..., Path]) -> Hub:
    """A hub that speaks ModelScope's interface."""
    listing = []
    for file in sorted(write_directory().iterdir()):
        body = file.read_bytes()
        site.replies[f"/api/v1/models/{REPO}/repo?Revision=master&FilePath={file.name}"] = (
            200,
            body,
        )
        digest = hashlib.sha256(body).hexdigest()
        listing.append({"Path": file.name, "Size": len(body), "Sha256": digest, "Type": "blob"})
    answer = {"Code": 200, "Data": {"Files": [*listing, {"Path": "onnx", "Type": "tree"}]}}
    query = "Revision=master&Recursive=true"
    site.replies[f"/api/v1/models/{REPO}/repo/files?{query}"] = (200, json.dumps(answer).encode())
    return Hub("ModelScope", site.url, "modelscope")


def test_fetching_from_modelscope(modelscope: Hub, tmp_path: Path) -> None:
    seen: list[Progress] = []
    folder = hubs.fetch(modelscope, REPO, "auto", tmp_path / "models", seen.append)
    assert at_path(folder, "hub").format == "directory"
    assert seen[-1].done == seen[-1].total > 0


def test_fetching_again_asks_for_the_list_only(modelscope: Hub, site: Any, tmp_path: Path) -> None:
    hubs.fetch(modelscope, REPO, "auto", tmp_path / "models", unwatched)
    site.asked.clear()
    hubs.fetch(modelscope, REPO, "auto", tmp_path / "models", unwatched)
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("status", "fault"), [(404, "model-path-missing"), (401, "hf-token-required")]
)
@pytest.mark.parametrize("kind", ["modelscope", "huggingface"])
def test_a_hub_that_refuses(
    site: Any, tmp_path: Path, *, kind: Any, status: int, fault: str
) -> None:
    site.always = (status, b'{"error": "no"}')
    with pytest.raises(QwellError) as refused:
        hubs.fetch(Hub("hub", site.url, kind), REPO, "auto", tmp_path / "models", unwatched)
    assert refused.value.fault == fault


@pytest.mark.parametrize("kind", ["modelscope", "huggingface"])
def test_a_hub_that_has_gone(tmp_path: Path, kind: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hub = Hub("hub", f"http://127.0.0.1:{unused.getsockname()[1]}", kind)
        with pytest.raises(QwellError, match=r"download-interrupted.*refused"):
            hubs.fetch(hub, REPO, "auto", tmp_path / "models", unwatched)


@pytest.fixture
def huggingface(
    site: Any, write_directory: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Hub:
    """A hub that speaks as much of Hugging Face's interface as a download needs."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    siblings, tree = [], []
    for file in sorted(write_directory().iterdir()):
        body = file.read_bytes()
        oid = hashlib.sha1(body, usedforsecurity=False).hexdigest()
        siblings.append({"rfilename": file.name, "size": len(body), "blobId": oid})
        tree.append({"type": "file", "path": file.name, "size": len(body), "oid": oid})
        for revision in ("main", COMMIT):
            path = f"/{REPO}/resolve/{revision}/{file.name}"
            site.files[path] = body
            site.headers[path] = {"X-Repo-Commit": COMMIT, "ETag": f'"{oid}"'}
    info = {"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": siblings, "tags": [],
            "private": False, "downloads": 0, "likes": 0}  # fmt: skip
    site.files[f"/api/models/{REPO}"] = json.dumps(info).encode()
    for revision in ("main", COMMIT):
        site.files[f"/api/models/{REPO}/revision/{revision}"] = json.dumps(info).encode()
        site.files[f"/api/models/{REPO}/tree/{revision}"] = json.dumps(tree).encode()
    return Hub("Hugging Face", site.url, "huggingface")


def test_fetching_from_hugging_face(huggingface: Hub, tmp_path: Path) -> None:
    seen: list[Progress] = []
    folder = hubs.fetch(huggingface, REPO, "auto", tmp_path / "models", seen.append)
    assert at_path(folder, "hub").format == "directory"
    assert seen[-1].stage == "download"
    assert seen[-1].done >= seen[-1].total > 0


def test_what_was_fetched_is_found_in_the_cache(huggingface: Hub, tmp_path: Path) -> None:
    folder = hubs.fetch(huggingface, REPO, "auto", tmp_path / "models", unwatched)
    found = hubs.cached_snapshot(REPO, {"HF_HUB_CACHE": str(tmp_path / "hf")})
    assert found == folder
    assert hubs.cached_snapshot("someone/else", {"HF_HOME": str(tmp_path)}) is None


def test_the_hub_cache_follows_its_variables(tmp_path: Path) -> None:
    folder = tmp_path / "huggingface" / "hub" / "models--a--b"
    (folder / "snapshots" / "rev").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("rev")
    for environ in (
        {"XDG_CACHE_HOME": str(tmp_path)},
        {"HF_HOME": str(tmp_path / "huggingface")},
        {"HF_HUB_CACHE": str(tmp_path / "huggingface" / "hub")},
    ):
        assert hubs.cached_snapshot("a/b", environ) == folder / "snapshots" / "rev"
