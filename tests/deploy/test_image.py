"""The image: built, started as hardened as the documents say, asked, stopped, started again."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.conftest import Container, Program, Start

pytestmark = pytest.mark.timeout(1200)
MAX_BYTES = 400_000_000
BUILDS = ("gcc", "g++", "cc", "ld", "make", "cmake", "ninja", "node", "npm", "pip")
SLOW = "--env=QWELL_SCRIPT=" + json.dumps(
    {"answer": " ".join(map(str, range(60))), "token_delay_s": 0.05}
)


def chat(container: Container, text: str, **more: Any) -> str:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 24, **more}
    answer = container.client.post("/v1/chat/completions", json={"model": "qwell", **body})
    assert answer.is_success, answer.text + container.log()
    return str(answer.json()["choices"][0]["message"]["content"])


@pytest.fixture(scope="module")
def config(podman: Program, image: str) -> dict[str, Any]:
    (described,) = json.loads(podman("image", "inspect", image))
    return dict(described)


@contextmanager
def files_of(podman: Program, image: str) -> Iterator[Path]:
    place = podman("image", "mount", image).strip()
    try:
        yield Path(place)
    finally:
        podman("image", "unmount", image)


def test_what_the_image_says_of_itself(config: dict[str, Any]) -> None:
    said = config["Config"]
    assert said["User"] == "10001:10001"
    assert said["Entrypoint"] + said["Cmd"] == ["qwell", "serve"]
    assert config["Healthcheck"]["Test"] == ["CMD", "qwell", "health"]
    assert list(said["Volumes"]) == ["/data"]
    assert said["StopSignal"] == "SIGTERM"
    labels = {name.rpartition(".")[2]: text for name, text in said["Labels"].items()}
    assert labels["title"] == "qwell"
    assert len(labels["revision"]) == 40
    assert labels["version"]
    # what the build was told of an index stays with the build
    assert not [name for name in said["Env"] if "INDEX" in name or "NPM" in name]


def test_it_is_small_and_builds_nothing(
    config: dict[str, Any], podman: Program, record_property: Callable[[str, object], None]
) -> None:
    print(f"image: {config['Size']:,} bytes without weights")
    record_property("image_bytes", config["Size"])
    assert config["Size"] < MAX_BYTES
    with files_of(podman, config["Id"]) as root:
        path = [root / "opt/qwell/bin", root / "usr/bin", root / "usr/local/bin", root / "bin"]
        assert not [name for name in BUILDS if shutil.which(name, path=":".join(map(str, path)))]
        assert not (root / "etc/pip.conf").exists()
        assert not [*root.glob("run/secrets/*"), *root.glob("src/*"), *root.glob("root/.*/*")]


def test_the_bills_of_materials_name_everything(podman: Program, image: str) -> None:
    with files_of(podman, image) as root:
        bills = root / "opt/qwell/sbom"
        python = json.loads((bills / "python.cdx.json").read_text())
        page = json.loads((bills / "page.cdx.json").read_text())
        installed = list(root.glob("opt/qwell/lib/python3.*/site-packages/*.dist-info"))
    assert python["bomFormat"] == page["bomFormat"] == "CycloneDX"
    assert len(python["components"]) == len(installed) > 20
    assert {"react", "antd", "katex"} <= {part["name"] for part in page["components"]}


def test_a_conversation_outlives_its_container(start: Start, tiny_model: Path) -> None:
    talk = {"conversation": "c", "parent": None, "question": "q1", "answer": "a1"}
    messages = [{"role": "user", "content": "你好"}]
    with start(tiny_model) as container:
        container.wait_until("/ready")
        asked = container.client.post("/api/chat", json={"messages": messages, **talk})
        assert '"done"' in asked.text
        before = container.client.get("/api/conversations/c/messages").json()
        assert container.stop() == 0
    with start(tiny_model) as container:
        container.wait_until("/ready")
        assert container.client.get("/api/conversations/c/messages").json() == before
        assert before["messages"][0]["content"] == "你好"


def test_a_backup_taken_inside_comes_back_in_a_new_container(
    start: Start, podman: Program, image: str, data: Path
) -> None:
    """As docs/upgrade.md says: copy while it serves, stop, restore, start."""
    scripted = "--env=QWELL_ENGINE=scripted"
    talk = {"conversation": "c", "parent": None}
    messages = [{"role": "user", "content": "kept"}]
    with start(None, scripted) as container:
        container.wait_until("/ready")
        assert container.client.post("/api/chat", json={"messages": messages, **talk}).is_success
        assert container.run("qwell", "backup", "/data/copy.db").returncode == 0
        container.client.delete("/api/conversations/c").raise_for_status()
        assert container.stop() == 0
    podman(
        "run", "--rm", "--read-only", f"--volume={data}:/data", image, "restore", "/data/copy.db"
    )
    with start(None, scripted) as container:
        container.wait_until("/ready")
        asked = container.client.get("/api/conversations/c/messages").json()["messages"][0]
        assert asked["content"] == "kept"


def test_the_health_check_says_how_it_is(
    start: Start, tiny_model: Path, config: dict[str, Any]
) -> None:
    check = config["Healthcheck"]["Test"][1:]
    with start(tiny_model) as container:
        container.wait_until("/ready")
        assert container.run(*check).returncode == 0
        assert container.run(*check, "--ready").returncode == 0
        assert container.run(*check, "--port", "1").returncode == 1


def test_the_doctor_finds_nothing_wrong_with_container_and_machine(
    start: Start, tiny_model: Path
) -> None:
    """Nothing but /data can be written, and no right is left: all of that is as it should be."""
    with start(tiny_model, "--memory=2g") as container:
        container.wait_until("/ready")
        done = container.run("qwell", "doctor", "--json", "--layer=host", "--layer=container")
        found = json.loads(done.stdout)
        wrong = {f["check"] for f in found["findings"] if f["status"] == "fail"}
    assert wrong == {"container.bind_address"}  # the tests listen on loopback alone
    assert container.name


def test_an_empty_mount_is_explained_by_a_server_that_is_up(start: Start, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with start(empty, "--env=QWELL_MODEL=/app/model") as container:
        container.wait_until("/health")
        ready = container.client.get("/ready")
        assert ready.status_code == 503
        assert "model-dir-not-mounted" in ready.text


def test_sigterm_lets_a_running_answer_end(start: Start) -> None:
    with start(None, "--env=QWELL_ENGINE=scripted", SLOW) as container:
        container.wait_until("/ready")
        stopping = threading.Thread(target=container.stop)
        body = {"messages": [{"role": "user", "content": "count"}]}
        with container.client.stream("POST", "/api/chat", json=body) as answer:
            lines = answer.iter_lines()
            while '"delta"' not in next(lines):
                pass
            stopping.start()
            rest = "".join(lines)
        stopping.join(60)
        assert '"done"' in rest
        assert '"stop"' in rest
        assert container.stop() == 0


@pytest.mark.weights
def test_the_real_model_within_two_gigabytes(start: Start, real_gguf: Path, data: Path) -> None:
    """Packed at the first start, by a user without rights, from a mount that nobody can write."""
    with start(real_gguf.parent, "--memory=2g", "--memory-swap=2g", "--cpus=2") as container:
        container.wait_until("/ready", at_most_s=240)
        assert "Paris" in chat(container, "What is the capital of France? Answer in one word.")
        state = json.loads(container.podman("inspect", container.name))[0]["State"]
        assert state["OOMKilled"] is False
        assert container.stop() == 0
    assert list((data / "cache/packs").glob("*.qpack"))
