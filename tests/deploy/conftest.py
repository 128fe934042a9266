"""Containers without a daemon, over a Debian that debootstrap has laid down.

buildah builds in a change of root, podman runs what it has built under the limits that a container
has; they share a store, which is kept under build/deploy with the Debian that is made once. The
index and the certificates that pip and npm use outside are handed to the build as secrets.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from qwell.weights.tiny import write_tiny_pack

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build/deploy"
RUN = Path("/run/qwell-tests")  # the store remembers it: it must be the same the next time
PYTHON, PYTHON_DEV = "localhost/debian-python", "localhost/debian-python-dev"
IMAGE = "localhost/qwell:latest"
USER = 10001
RELEASE = "bookworm"
_LEAN = ["var/cache/apt/*", "var/lib/apt/lists/*", "usr/share/doc/*", "usr/share/locale/*", "dev/*"]
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_CONTAINERS_CONF = """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "runc"
[containers]
netns = "host"
log_driver = "k8s-file"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""


@dataclass(frozen=True)
class Program:
    """buildah or podman, with a store of ours."""

    name: str
    environ: dict[str, str]

    def run(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.name, *arguments], env=self.environ, timeout=timeout_s, check=False,
            capture_output=True, text=True,
        )  # fmt: skip

    def __call__(self, *arguments: str, timeout_s: float = 60) -> str:
        """Standard output of what must succeed."""
        done = self.run(*arguments, timeout_s=timeout_s)
        assert done.returncode == 0, f"{self.name} {shlex.join(arguments)}: {done.stderr}"
        return done.stdout

    def has(self, image: str) -> bool:
        return self.run("image", "exists", image).returncode == 0


@dataclass(frozen=True)
class Container:
    """One that runs, and what it is asked from outside."""

    podman: Program
    name: str
    client: httpx.Client

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return self.podman.run("exec", self.name, *command)

    def log(self) -> str:
        done = self.podman.run("logs", self.name)
        return done.stdout + done.stderr

    def stop(self, grace_s: int = 20) -> int:
        """SIGTERM, and what it then exits with; 137 where it had to be killed."""
        self.podman("stop", "--time", str(grace_s), self.name)
        return int(self.podman("inspect", "--format", "{{.State.ExitCode}}", self.name))

    def wait_until(self, path: str, *, at_most_s: float = 60) -> None:
        deadline = time.monotonic() + at_most_s
        while time.monotonic() < deadline:
            try:
                if self.client.get(path).is_success:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(0.1)  # readiness can only be asked for
        pytest.fail(f"{path} does not answer 200:\n{self.log()}")


Start = Callable[..., AbstractContextManager[Container]]


@pytest.fixture(scope="session")
def podman(
    requires_program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    for program in ("buildah", "podman", "runc", "debootstrap"):
        requires_program(program)
    if os.geteuid() != 0:
        pytest.skip("only root may lay down a Debian and start containers in it")
    KEPT.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("podman")
    # overlay: the other driver that always works copies the whole image for each container
    storage = f'driver = "overlay"\nrunroot = "{RUN}"\ngraphroot = "{KEPT}/storage"\n'
    (folder / "storage.conf").write_text(f"[storage]\n{storage}")
    (folder / "containers.conf").write_text(_CONTAINERS_CONF)
    own = {
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "BUILDAH_ISOLATION": "chroot",
    }
    yield Program("podman", os.environ | own)
    overlay = KEPT / "storage/overlay"
    # the driver's own mount would stand in the way of whoever removes the folder
    subprocess.run(["umount", "--recursive", overlay], check=False, capture_output=True)


@pytest.fixture(scope="session")
def buildah(podman: Program) -> Program:
    return replace(podman, name="buildah")


@pytest.fixture(scope="session")
def debian(podman: Program, buildah: Program) -> None:
    """Debian with its own Python, and the same with a compiler. Made once."""
    if not podman.has(PYTHON):
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            _lay_down(podman, Path(folder))
    if not podman.has(PYTHON_DEV):
        install = "apt-get -q update && apt-get -q install --yes --no-install-recommends"
        recipe = KEPT / "python-dev.Dockerfile"
        recipe.write_text(f"FROM {PYTHON}\nRUN {install} g++ python3-dev\n")
        buildah("build", "--tag", PYTHON_DEV, "--file", str(recipe), str(KEPT), timeout_s=600)


def _mirror() -> str:
    """Where this machine has its Debian from."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(SITE)"],
        check=True, capture_output=True, text=True,
    ).stdout.split("\n")  # fmt: skip
    sites = [line.split()[1] for line in listed if line.startswith(f"{RELEASE} ")]
    return sites[0] if sites else "http://deb.debian.org/debian"


def _lay_down(podman: Program, folder: Path) -> None:
    packages = "--include=python3,python3-venv,ca-certificates"
    bootstrap = ["debootstrap", "--variant=minbase", packages, RELEASE, str(folder / "root")]
    subprocess.run([*bootstrap, _mirror()], check=True, stdout=subprocess.DEVNULL, timeout=600)
    archive = folder / "root.tar"
    lean = [f"--exclude=./{pattern}" for pattern in _LEAN]
    subprocess.run(["tar", "-C", folder / "root", *lean, "-cf", archive, "."], check=True)
    podman("import", str(archive), PYTHON, timeout_s=120)


@pytest.fixture(scope="session")
def image(podman: Program, debian: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `make image` builds from this tree."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "pip.conf").write_text(_pip_conf())
    (secrets / "npmrc").write_text("cafile=/run/secrets/ca.crt\n")
    (secrets / "ca.crt").write_bytes(
        Path(os.environ.get("SSL_CERT_FILE", _CERTIFICATES)).read_bytes()
    )
    given = [f"--secret=id={path.name},src={path}" for path in secrets.iterdir()]
    bases = [f"--build-arg=PYTHON_IMAGE={PYTHON}", f"--build-arg=BUILD_IMAGE={PYTHON_DEV}"]
    arguments = shlex.join(["--layers=false", *bases, *given])
    done = subprocess.run(
        ["make", "image", "BUILDER=buildah", f"ARGS={arguments}"], cwd=ROOT, env=podman.environ,
        check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    podman("image", "prune", "--force")
    return IMAGE


def _pip_conf() -> str:
    """pip's settings of this machine that mean the same inside: no folders of this machine."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    lines = {"cert": "cert = /run/secrets/ca.crt"}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        name, words = key.rpartition(".")[2], shlex.split(value)[0].split()
        away = [w for w in words if not w.startswith(("/", "file:"))]
        if away and name in ("index-url", "extra-index-url", "trusted-host", "proxy"):
            lines[name] = f"{name} = {' '.join(away)}"
    return "\n".join(["[global]", *lines.values(), ""])


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    """A folder to be mounted at /app/model."""
    folder = tmp_path / "model"
    folder.mkdir()
    write_tiny_pack(folder / "tiny.qpack")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder to be mounted at /data, which belongs to the image's user."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    os.chown(folder, USER, USER)
    return folder


@pytest.fixture
def start(podman: Program, image: str, free_port: int, data: Path) -> Start:
    """Starts the image as hardened as the documents say, on a loopback port."""

    @contextmanager
    def started(model: Path | None, *options: str) -> Iterator[Container]:
        hardened = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all"]
        hardened += ["--security-opt=no-new-privileges", "--no-healthcheck"]
        mounts = [f"--volume={data}:/data"]
        mounts += [f"--volume={model}:/app/model:ro"] if model else []
        place = ["--env=QWELL_HOST=127.0.0.1", f"--env=QWELL_PORT={free_port}"]
        name = podman("create", *hardened, *mounts, *place, *options, image).strip()
        podman("start", name)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{free_port}", timeout=60) as client:
                yield Container(podman, name, client)
        finally:
            podman("rm", "--force", "--time", "0", name)

    return started


@pytest.fixture(scope="session")
def port_of() -> Callable[[], int]:
    """A loopback port that was free a moment ago together with its neighbour."""

    def two() -> int:
        while True:
            with socket.socket() as one, socket.socket() as other:
                one.bind(("127.0.0.1", 0))
                port = int(one.getsockname()[1])
                try:
                    other.bind(("127.0.0.1", port + 1))
                except OSError:
                    continue
                return port

    return two
