from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwell.errors import QwellError
from qwell.weights import hubs, locate
from qwell.weights.bundle import Bundle
from qwell.weights.locate import Places, at_path
from qwell.weights.progress import unwatched
from qwell.weights.tiny import write_tiny_pack

NO_BUNDLE = Bundle("Tiny", "tiny.gguf", "0", (("no-such-part", 10),), "0" * 64)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Nothing anywhere: an empty cache, no mount, no hub."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return Places(tmp_path / "models", tmp_path / "app-model", NO_BUNDLE, hubs=())


def fault_of(path: Path) -> str:
    with pytest.raises(QwellError) as refused:
        at_path(path, "path")
    assert refused.value.fix
    return refused.value.fault


def test_a_gguf_file(write_gguf: Callable[..., Path]) -> None:
    assert at_path(write_gguf(), "path").format == "gguf"


def test_a_directory_with_one_gguf_file(write_gguf: Callable[..., Path]) -> None:
    path = write_gguf()
    assert at_path(path.parent, "path").path == path


def test_a_model_directory(write_directory: Callable[..., Path]) -> None:
    folder = write_directory()
    found = at_path(folder, "path")
    assert (found.path, found.format) == (folder, "directory")


def test_a_ready_pack(tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path / "m.qpack")
    assert at_path(pack, "path").format == "pack"
    assert at_path(tmp_path, "path").format == "pack"


def test_a_missing_path_says_where_it_looked(tmp_path: Path) -> None:
    (tmp_path / "near.txt").write_text("x")
    with pytest.raises(QwellError, match="model-path-missing") as refused:
        at_path(tmp_path / "modle", "path")
    assert "near.txt" in refused.value.found
    assert str(Path.cwd()) in refused.value.found


def test_an_empty_mount(tmp_path: Path) -> None:
    assert fault_of(tmp_path) == "model-dir-not-mounted"


def test_a_file_that_docker_made_a_directory(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").mkdir()
    assert fault_of(tmp_path / "model.gguf") == "bind-mount-file-is-directory"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_where_its_directory_is_expected(
    write_directory: Callable[..., Path], name: str
) -> None:
    folder = write_directory()
    with pytest.raises(QwellError, match="model-path-missing") as refused:
        at_path(folder / name, "path")
    assert f"--model '{folder}'" in refused.value.fix


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "lfs-pointer"),
        (b"<html>", "html-instead-of-model"),
        (b"", "weights-truncated"),
        (b"PK\3\4 a zip file", "weights-corrupt"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    assert fault_of(tmp_path / "model.gguf") == fault
    assert fault_of(tmp_path) == fault


def test_a_directory_one_level_too_high(write_directory: Callable[..., Path]) -> None:
    folder = write_directory()
    with pytest.raises(QwellError, match="model-path-missing") as refused:
        at_path(folder.parent, "path")
    assert folder.name in refused.value.found


def test_unfinished_downloads(tmp_path: Path) -> None:
    (tmp_path / "model.gguf.part").write_bytes(b"GGUF")
    assert fault_of(tmp_path) == "download-interrupted"


@pytest.mark.parametrize("is_gguf", [True, False])
def test_links_into_a_hub_folder_that_is_not_mounted(tmp_path: Path, is_gguf: bool) -> None:
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    names = ["a.gguf", "b.gguf"] if is_gguf else ["config.json", "model.safetensors"]
    for name in names:
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    for path in (snapshot, snapshot / names[0]):
        with pytest.raises(QwellError, match=f"{names[0]} to ../../blobs/{names[0]}") as raised:
            at_path(path, "path")
        assert raised.value.fault == "model-path-missing"


def test_two_models_in_one_directory(write_gguf: Callable[..., Path]) -> None:
    write_gguf("b.gguf")
    with pytest.raises(QwellError, match=r"a\.gguf, b\.gguf"):
        at_path(write_gguf("a.gguf").parent, "path")


def test_a_directory_that_may_not_be_entered(
    places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """root may enter everything, so the refusal of the kernel is played."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(QwellError, match=r"permission-denied.*secret"):
        locate.locate(str(tmp_path / "secret"), "auto", places, unwatched)


# ---- auto


def test_auto_takes_the_mount_first(places: Places, write_gguf: Callable[..., Path]) -> None:
    places.mount.mkdir()
    shutil.move(write_gguf(), places.mount / "m.gguf")
    found = locate.locate("auto", "auto", places, unwatched)
    assert (found.origin, found.path) == ("mount", places.mount / "m.gguf")


def test_auto_takes_the_hub_cache_next(
    places: Places, write_directory: Callable[..., Path], tmp_path: Path
) -> None:
    repo = tmp_path / "hf" / "hub" / "models--Qwen--Qwen2.5-0.5B-Instruct"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    (repo / "snapshots").mkdir()
    shutil.move(write_directory(), repo / "snapshots" / "abc")
    found = locate.locate("auto", "auto", places, unwatched)
    assert (found.origin, found.name) == ("cache", "Qwen2.5-0.5B-Instruct")


def test_an_unfinished_hub_download_is_not_the_cache(places: Places, tmp_path: Path) -> None:
    repo = tmp_path / "hf" / "hub" / "models--Qwen--Qwen2.5-0.5B-Instruct"
    (repo / "snapshots" / "abc").mkdir(parents=True)
    (repo / "snapshots" / "abc" / "config.json").write_text("{}")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    with pytest.raises(QwellError, match="hf-hub-unreachable"):
        locate._repository(locate.DEFAULT_REPO, "auto", places, unwatched)


def test_auto_takes_the_bundle_that_was_fetched_before(places: Places) -> None:
    places.models.mkdir()
    (places.models / NO_BUNDLE.file_name).write_bytes(b"GGUF123456")
    found = locate.locate("auto", "auto", places, unwatched)
    assert (found.origin, found.name, found.sha256) == ("cache", "Tiny", NO_BUNDLE.sha256)


def refusing(fault: str) -> Callable[..., Any]:
    def refuse(*args: object) -> Any:
        raise QwellError(fault, found="nothing came", expected="a model", fix="try again")

    return refuse


def test_auto_goes_from_hub_to_hub_to_the_bundle(
    places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def fetch(hub: hubs.Hub, *rest: object) -> Any:
        asked.append(hub.name)
        return refusing("download-interrupted")()

    listed = [hubs.Hub(name, "http://127.0.0.1:1", "huggingface") for name in ("one", "two")]
    monkeypatch.setattr(hubs, "probe", lambda *_, **__: (listed, {}))
    monkeypatch.setattr(hubs, "fetch", fetch)
    monkeypatch.setattr(locate, "fetch_bundle", lambda *_: tmp_path / "b.gguf")
    found = locate.locate("auto", "auto", places, unwatched)
    assert asked == ["one", "two"]
    assert (found.origin, found.name) == ("bundle", "Tiny")


def test_a_full_disk_ends_the_search(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "fetch_bundle", refusing("disk-full"))
    with pytest.raises(QwellError, match="disk-full"):
        locate.locate("auto", "auto", places, unwatched)


def test_nothing_anywhere(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locate, "fetch_bundle", refusing("hf-hub-unreachable"))
    with pytest.raises(QwellError, match="hf-hub-unreachable") as refused:
        locate.locate("auto", "auto", places, unwatched)
    assert "nothing came" in refused.value.found


def test_nothing_anywhere_and_an_empty_mount(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mount is what a person can mend at once, so it is named."""
    places.mount.mkdir()
    monkeypatch.setattr(locate, "fetch_bundle", refusing("hf-hub-unreachable"))
    with pytest.raises(QwellError, match="model-dir-not-mounted"):
        locate.locate("auto", "auto", places, unwatched)


# ---- repository ids


def test_an_existing_path_wins_over_a_repository(
    places: Places, write_directory: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_directory()
    monkeypatch.chdir(folder.parent.parent)
    relative = f"{folder.parent.name}/{folder.name}"
    assert locate.locate(relative, "auto", places, unwatched).origin == "path"


@pytest.mark.parametrize("model", ["./model", "/nowhere/model", "model", "models/x.gguf"])
def test_what_is_a_path_and_no_repository(places: Places, model: str) -> None:
    with pytest.raises(QwellError, match="model-path-missing"):
        locate.locate(model, "auto", places, unwatched)


def test_an_own_download_of_a_repository(places: Places, write_gguf: Callable[..., Path]) -> None:
    folder = places.models / "someone--Tiny-GGUF"
    folder.mkdir(parents=True)
    shutil.move(write_gguf(), folder / "m.gguf")
    found = locate.locate("someone/Tiny-GGUF", "auto", places, unwatched)
    assert (found.origin, found.name) == ("cache", "Tiny")
