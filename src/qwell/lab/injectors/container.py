"""Mounts, rights, users, addresses: what goes wrong between a host and a container.

There need not be a container runtime: the kernel's own means make the same states.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from qwell.lab.case import Effect, NotInjected, in_turn, injector
from qwell.lab.patient import Patient
from qwell.lab.rig.groups import cpu_group
from qwell.lab.rig.mounts import mounted, read_only
from qwell.lab.rig.namespaces import own_network
from qwell.lab.rig.packages import elsewhere, first_on_path

INSIDE = {"KUBERNETES_SERVICE_HOST": "10.43.0.1"}  # how a pod knows that it is one
NOBODY = 65534


# ---- the model's place


@injector("model-dir-not-mounted", "empty-folder", who="tiny", quick=True, uses="model")
def empty_folder(patient: Patient) -> Iterator[Effect]:
    """The mount point is there; nothing is mounted on it."""
    empty = patient.folder / "app" / "model"
    empty.mkdir(parents=True)
    right = patient.settings["model"]
    try:
        with patient.restarted(model=str(empty)):
            yield Effect(
                proof=f"{empty}: {list(empty.iterdir())}",
                trouble=patient.trouble,
                clue=str(empty),
                by_hand=lambda: _with_model(patient, right),
            )
    finally:
        shutil.rmtree(empty.parent)


def _with_model(patient: Patient, path: str) -> None:
    """As the written commands say: name the right place, by its whole path, and start again."""
    from qwell.doctor.config_file import write_settings

    write_settings(patient.config, {"model": path})
    patient.restart()


@injector("bind-mount-file-is-directory", "model-file", who="tiny", quick=True)
def folder_for_a_file(patient: Patient) -> Iterator[Effect]:
    """The runtime made a folder where the host had no such file."""
    made = patient.folder / "qwen2.5-0.5b-instruct-q4_k_m.gguf"
    made.mkdir()
    right = patient.settings["model"]
    try:
        with patient.restarted(model=str(made)):
            yield Effect(
                proof=f"{made} is a folder",
                trouble=patient.trouble,
                clue=str(made),
                by_hand=lambda: _with_model(patient, right),
            )
    finally:
        made.rmdir()


@injector("bind-mount-file-is-directory", "config-json", who="tiny")
def folder_for_config(patient: Patient) -> Iterator[Effect]:
    """The same with one file of the model's folder."""
    config = Path(patient.settings["model"]) / "config.json"
    kept = config.with_name("config.json.kept")
    with patient.stopped():
        config.rename(kept)
        config.mkdir()

        def put_back() -> None:
            if kept.exists():
                config.rmdir()
                kept.rename(config)

        try:
            patient.start()
            yield Effect(
                proof=f"{config} is a folder",
                trouble=patient.trouble,
                clue=str(config),
                by_hand=in_turn(put_back, patient.restart),
            )
        finally:
            put_back()


@injector("relative-mount-path", "empty-named-volume", who="tiny", root=True, quick=True)
def named_volume(patient: Patient) -> Iterator[Effect]:
    """`-v model:/app/model` made a new volume: what a path without a slash means to the runtime."""
    volume = patient.folder / "volumes" / "model" / "_data"
    volume.mkdir(parents=True)
    point = patient.folder / "app-model"
    right = patient.settings["model"]
    with mounted(patient.run, point, "--bind", str(volume)):
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        line = next(line for line in table.splitlines() if str(point) in line)
        with patient.restarted(model=str(point)):
            yield Effect(
                proof=line,
                trouble=patient.trouble,
                clue=str(point),
                by_hand=lambda: _with_model(patient, right),
            )


# ---- rights


_RIGHTS = "-dac_override,-dac_read_search"


def _without_privileges(patient: Patient, inside: ExitStack) -> None:
    """Every command as a user to whom the modes of files apply, which they do not for root."""
    plain = ("setpriv", f"--bounding-set={_RIGHTS}", f"--inh-caps={_RIGHTS}")
    inside.enter_context(patient.within(*plain))


@injector("permission-denied", "own-folders", root=True, programs=("setpriv",), quick=True)
def no_rights(patient: Patient) -> Iterator[Effect]:
    """Folders of ours that lost their rights, as after an archive was unpacked."""
    with patient.stopped(), ExitStack() as inside:
        _without_privileges(patient, inside)
        inside.callback(patient.data.chmod, 0o755)
        for path in patient.data.iterdir():
            path.chmod(0o400 if path.is_file() else 0o500)
            inside.callback(path.chmod, 0o644 if path.is_file() else 0o755)
        patient.data.chmod(0o500)
        patient.start()
        yield Effect(
            proof=f"{patient.data}: {oct(patient.data.stat().st_mode)}",
            trouble=patient.save_trouble if patient.server else patient.start_trouble,
            clue=str(patient.data),
        )
        inside.pop_all().close()


@injector(
    "permission-denied", "model-of-another-user", who="tiny", root=True, programs=("setpriv",)
)
def unreadable_model(patient: Patient) -> Iterator[Effect]:
    """The model belongs to somebody else, who lets nobody read it."""
    weights = Path(patient.settings["model"]) / "model.safetensors"
    with patient.stopped(), ExitStack() as inside:
        _without_privileges(patient, inside)

        def give_rights() -> None:
            shutil.chown(weights, 0, 0)
            weights.chmod(0o644)
            patient.restart()

        inside.callback(weights.chmod, 0o644)
        inside.callback(shutil.chown, weights, 0, 0)
        weights.chmod(0o600)
        shutil.chown(weights, NOBODY, NOBODY)
        shutil.rmtree(patient.folder / "cache" / "packs", ignore_errors=True)
        patient.start()
        yield Effect(
            proof=f"{weights}: {oct(weights.stat().st_mode)}, uid {weights.stat().st_uid}",
            trouble=patient.trouble,
            clue=str(weights),
            by_hand=give_rights,
        )


@injector("read-only-filesystem", "data-folder", root=True, quick=True, uses="data")
def read_only_data(patient: Patient) -> Iterator[Effect]:
    """The data folder is mounted read-only."""
    with patient.stopped(), ExitStack() as inside:
        inside.enter_context(read_only(patient.run, patient.data))
        patient.start()

        def make_writable() -> None:
            patient.stop()
            inside.close()
            patient.start()

        yield Effect(
            proof=_refusal(patient.data),
            trouble=patient.save_trouble,
            clue=str(patient.data),
            by_hand=make_writable,
        )


def _refusal(folder: Path) -> str:
    try:
        (folder / "probe").touch()
    except OSError as error:
        return str(error)
    raise NotInjected(f"{folder} can be written")


# ---- programs


@injector("exec-format-error", "engine-of-another-machine", who="none")
def foreign_engine(patient: Patient) -> Iterator[Effect]:
    """The program's compiled part was built for another processor."""
    compiled = find_spec("qwell._native")
    if compiled is None or compiled.origin is None:
        raise NotInjected("qwell has no compiled part here")
    own = Path(compiled.origin)
    target = patient.folder / own.name
    shutil.copy(own, target)
    _claim_machine(target, 183)
    with first_on_path(patient, elsewhere("qwell._native", target)):
        yield Effect(
            proof=f"{target}: machine 183 (aarch64) in its header",
            trouble=lambda: _import_trouble(patient),
            clue="aarch64",
            by_hand=lambda: _claim_machine(target, struct.unpack("<H", own.read_bytes()[18:20])[0]),
        )


def _claim_machine(path: Path, number: int) -> None:
    """Change the machine in the header of a compiled file."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, 18, number)
    path.unlink()
    path.write_bytes(content)


def _import_trouble(patient: Patient) -> str:
    done = patient.python("import qwell._native")
    return done.stdout.strip().rpartition("\n")[2] if done.returncode else ""


@injector("exec-format-error", "program-of-another-machine", who="none", alone=True)
def foreign_program(patient: Patient) -> Iterator[Effect]:
    """A start script calls a program that was built for another processor."""
    program = patient.folder / "qwell-arm64"
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 2, 183, 1) + bytes(40)
    program.write_bytes(head)
    program.chmod(0o755)
    right = patient.folder / "qwell-right"
    yield from _start_script_case(patient, program, right, "exec format error")


@injector("crlf-entrypoint", "start-script", who="none", quick=True, alone=True)
def windows_script(patient: Patient) -> Iterator[Effect]:
    """A start script that was edited on Windows."""
    script = patient.folder / "docker-entrypoint.sh"
    script.write_bytes(b"#!/bin/sh\r\nexec true\r\n")
    script.chmod(0o755)

    def run() -> str:
        done = patient.program("sh", "-c", f"exec {script}")
        return done.stdout.strip() if done.returncode else ""

    def convert() -> None:
        script.write_bytes(script.read_bytes().replace(b"\r\n", b"\n"))

    try:
        yield Effect(
            proof=repr(script.read_bytes()[:20]),
            trouble=run,
            clue="not found",
            log=lambda: _with_env(patient, script),
            by_hand=convert,
        )
    finally:
        script.unlink()


def _with_env(patient: Patient, script: Path) -> str:
    """What the kernel and `env` say, as `docker logs` would show both."""
    said = patient.program("sh", "-c", f"exec {script}").stdout
    script_by_env = script.with_name("entrypoint-env.sh")
    script_by_env.write_bytes(b"#!/usr/bin/env sh\r\nexec true\r\n")
    script_by_env.chmod(0o755)
    said += patient.program(str(script_by_env)).stdout
    script_by_env.unlink()
    return f"exec {script}\n{said}"


def _start_script_case(patient: Patient, wrong: Path, right: Path, clue: str) -> Iterator[Effect]:
    right.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
    right.chmod(0o755)
    script = patient.folder / "start.sh"
    script.write_text(f'#!/bin/sh\nexec "{wrong}" serve\n', encoding="ascii")
    script.chmod(0o755)

    def run() -> str:
        done = patient.program("bash", str(script))
        return done.stdout.strip() if done.returncode else ""

    try:
        yield Effect(
            proof=f"{wrong}: {wrong.read_bytes()[:20]!r}",
            trouble=run,
            clue="xec format error",
            log=run,
            by_hand=lambda: script.write_text(f'#!/bin/sh\nexec "{right}"\n'),
        )
    finally:
        for path in (wrong, right, script):
            path.unlink()
    del clue


# ---- addresses


@injector("container-localhost", "database-on-the-host", who="tiny", root=True, programs=("ip",))
def database_on_localhost(patient: Patient) -> Iterator[Effect]:
    """In a network of its own, localhost is not the machine where the database runs."""
    with patient.stopped(), own_network(patient.run) as net, ExitStack() as inside:
        inside.enter_context(patient.within(*net.prefix))
        inside.enter_context(patient.with_environ(**INSIDE))
        outer = inside.enter_context(ExitStack())
        address = "postgresql://qwell:secret@localhost:5432/qwell"
        outer.enter_context(patient.with_environ(QWELL_DATABASE_URL=address))
        patient.start()

        def right_address() -> None:
            outer.close()
            patient.restart()

        yield Effect(
            proof=f"{net.name}: {patient.program('ip', '-brief', 'address').stdout.strip()}",
            trouble=patient.save_trouble,
            clue="QWELL_DATABASE_URL",
            by_hand=right_address,
        )


@injector(
    "bind-localhost-in-container", "own-network", who="tiny", root=True, programs=("ip", "unshare")
)
def bound_to_loopback(patient: Patient) -> Iterator[Effect]:
    """It works in the container and not from outside: bound to the container's own loopback."""
    with patient.stopped(), own_network(patient.run, wired=True) as net, ExitStack() as inside:
        inside.enter_context(patient.with_environ(**INSIDE))
        inside.enter_context(patient.within(*net.prefix))
        first = inside.enter_context(ExitStack())
        first.enter_context(
            patient.within("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
        )
        outside = f"http://{net.inside}:{patient.port}"
        patient.start()
        first.close()
        _enter(patient, inside)

        def trouble() -> str:
            from qwell.lab.ask import ask

            return ask(outside, timeout_s=5).error

        yield Effect(
            proof=f"inside: {patient.state()}; from outside: {trouble()}",
            trouble=trouble,
            clue="127.0.0.1",
            by_hand=lambda: _listen_everywhere(patient, inside, net.prefix),
        )


def _enter(patient: Patient, inside: ExitStack) -> None:
    """Further commands join the container of the server, as `docker exec` does."""
    from qwell.bench.processes import children

    first = children(patient.pid)
    if not first:
        raise NotInjected("the container has no first process")
    inside.enter_context(patient.within())
    patient.prefix = ["nsenter", f"--target={first[0]}", "--net", "--pid", "--mount"]


def _listen_everywhere(patient: Patient, inside: ExitStack, prefix: tuple[str, ...]) -> None:
    from qwell.doctor.config_file import write_settings

    write_settings(patient.config, {"host": "0.0.0.0"})  # noqa: S104  that is the cure
    patient.stop()
    alone = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    patient.prefix = [*prefix, *alone]
    patient.start()
    _enter(patient, inside)


# ---- limits


@injector("cgroup-cpu-throttled", "a-fifth-of-a-cpu", who="real", root=True, alone=True)
def little_time(patient: Patient) -> Iterator[Effect]:
    """The server, and every worker that it starts, may compute for a fifth of the time."""
    usual = max(patient.chat(max_tokens=48).total_s for _ in range(2))
    with cpu_group(patient.run, 0.2) as group, ExitStack() as inside:
        inside.callback(patient.restart)
        group.take([patient.pid, patient.worker_pid()])

        def trouble() -> str:
            took = patient.chat(max_tokens=48).total_s
            return f"{took:.1f} s instead of {usual:.1f} s" if took > 2 * usual else ""

        yield Effect(
            proof=f"{group.folder}: {group.read('cpu.stat').split()[:4]}",
            trouble=trouble,
            clue="0.2",
            by_hand=inside.close,
        )
