"""The server: away, deaf, asked wrongly, locked out of what it saves."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

from qwell.lab.ask import ask
from qwell.lab.case import Effect, NotInjected, in_turn, injector
from qwell.lab.patient import Patient
from qwell.lab.rig.packages import first_on_path
from qwell.lab.rig.postgresql import postgresql

# in the server alone: some callback computes, or waits, where everybody waits with it
_BLOCKING = """
import sys
if sys.orig_argv[-1:] == ["serve"]:
    import asyncio, time
    made = asyncio.base_events.BaseEventLoop.run_forever
    def run_forever(self):
        def block():
            time.sleep(3.5)
            self.call_later(0.05, block)
        self.call_later(2.0, block)
        made(self)
    asyncio.base_events.BaseEventLoop.run_forever = run_forever
"""


@injector("backend-not-listening", "killed", quick=True, alone=True)
def killed_server(patient: Patient) -> Iterator[Effect]:
    """The server process was killed; nobody noticed."""
    os.kill(patient.pid, signal.SIGKILL)
    assert patient.server is not None
    patient.server.wait()
    patient.server = None
    yield Effect(
        proof=f"nobody listens on {patient.port}",
        trouble=patient.trouble,
        clue=str(patient.port),
        by_hand=patient.start,
    )


@injector("backend-not-listening", "mistyped-port")
def mistyped_port(patient: Patient) -> Iterator[Effect]:
    """The address in somebody's client has another port."""
    from qwell.lab.patient import free_port

    wrong = f"http://127.0.0.1:{free_port()}"
    address = {"now": wrong}
    yield Effect(
        proof=ask(wrong, timeout_s=5).error,
        trouble=lambda: ask(address["now"], timeout_s=5).error,
        clue=wrong,
        by_hand=lambda: address.update(now=patient.url),
        flags=("--url", wrong),
        cured_flags=(),
    )


@injector("event-loop-blocked", "process-stopped")
def stopped_server(patient: Patient) -> Iterator[Effect]:
    """The server takes connections and does nothing with them."""
    os.kill(patient.pid, signal.SIGSTOP)
    try:
        yield Effect(
            proof=f"process {patient.pid} is stopped",
            trouble=lambda: patient.chat(timeout_s=3).error,
            clue="api.awake",
            by_hand=lambda: os.kill(patient.pid, signal.SIGCONT),
        )
    finally:
        os.kill(patient.pid, signal.SIGCONT)


@injector("event-loop-blocked", "a-callback-that-waits")
def blocked_loop(patient: Patient) -> Iterator[Effect]:
    """Something in the server waits where everybody has to wait with it."""
    with patient.stopped(), ExitStack() as inside:
        inside.enter_context(first_on_path(patient, {"sitecustomize.py": _BLOCKING}))
        patient.start()

        def trouble() -> str:
            for _ in range(15):  # some questions come when the server is just awake
                chat = patient.chat(timeout_s=20)
                if chat.error or chat.first_s > 1.5:
                    return chat.error or f"{chat.first_s:.1f} s until the first word"
                time.sleep(0.3)
            return ""

        def repair() -> None:
            patient.stop()
            inside.close()
            patient.start()

        yield Effect(
            proof="a callback sleeps for 3.5 s, again and again", trouble=trouble, clue="api.",
            by_hand=repair,
        )  # fmt: skip


@injector("api-base-wrong", "with-v1", quick=True)
def wrong_base(patient: Patient) -> Iterator[Effect]:
    """The address of the page has the path of the API in it."""
    wrong = f"{patient.url}/v1"
    address = {"now": wrong}
    yield Effect(
        proof=f"POST {wrong}/api/chat",
        trouble=lambda: ask(address["now"]).error,
        clue="/v1",
        by_hand=lambda: address.update(now=patient.url),
        flags=("--url", wrong),
        cured_flags=(),
    )


@injector("auth-missing", "other-key", quick=True)
def wrong_key(patient: Patient) -> Iterator[Effect]:
    """The server wants a key, and people have another one."""
    right, wrong = "the-key-of-the-server", "some-other-key"
    key = {"now": wrong}
    with patient.stopped(), ExitStack() as inside:
        with patient.with_environ(QWELL_API_KEY=right):
            patient.start()
        inside.enter_context(patient.with_environ(QWELL_API_KEY=wrong))

        def set_key() -> None:
            key["now"] = right
            patient.environ["QWELL_API_KEY"] = right

        yield Effect(
            proof="two keys",
            trouble=lambda: ask(patient.url, api_key=key["now"]).error,
            clue="401",
            by_hand=set_key,
        )


# ---- what clients are told

_CLIENT = """
import openai
client = openai.OpenAI(base_url={url!r}, api_key="any", max_retries=0)
client.chat.completions.create(model={model!r}, messages={messages!r})
"""


def _client_case(
    fault: str,
    variant: str,
    model: str,
    messages: object,
    *,
    clue: str,
    times: int = 1,
    **settings: object,
) -> None:
    """Declare a case of a program that uses OpenAI's client; it only leaves a traceback."""

    def inject(patient: Patient) -> Iterator[Effect]:
        now = {"model": model, "messages": messages}

        def attempt() -> str:
            code = _CLIENT.format(url=f"{patient.url}/v1", **now)
            tried = [patient.python(code) for _ in range(times if now["model"] else 1)]
            return tried[-1].stdout if tried[-1].returncode else ""

        def repair() -> None:
            now.update(model="qwell", messages=[{"role": "user", "content": "hi"}])
            if settings:
                from qwell.doctor.config_file import write_settings

                write_settings(patient.config, dict.fromkeys(settings, 0))
                patient.restart()

        with ExitStack() as inside:
            if settings:
                inside.enter_context(patient.restarted(**settings))
            yield Effect(
                proof=attempt().strip().rpartition("\n")[2][:300], trouble=attempt, clue=clue,
                log=attempt, by_hand=repair,
            )  # fmt: skip

    inject.__doc__ = f"OpenAI's client: {variant}."
    injector(fault, variant, modules=("openai",))(inject)


_GOOD = [{"role": "user", "content": "hi"}]
_client_case("model-name-unknown", "gpt-4o", "gpt-4o", _GOOD, clue="gpt-4o")
_client_case("invalid-request-body", "messages-are-text", "qwell", "hi", clue="messages")
_client_case("rate-limited", "two-a-minute", "qwell", _GOOD, clue="429", times=4, rate_limit=2)


# ---- what is saved


@injector("database-locked", "held-by-another-program", quick=True)
def locked_database(patient: Patient) -> Iterator[Effect]:
    """Another program keeps a transaction open."""
    patient.save_trouble()
    path = patient.data / "qwell.db"
    hold = (
        "import sqlite3, sys, time\n"
        f"c = sqlite3.connect({str(path)!r}, isolation_level=None, timeout=60)\n"
        "c.execute('BEGIN EXCLUSIVE')\n"
        "open('held', 'w').close()\n"
        "time.sleep(600)\n"
    )
    held = patient.folder / "held"
    process = patient.spawn(sys.executable, "-c", hold)
    try:
        _until(held.exists)
        yield Effect(
            proof=f"process {process.pid} holds {path}",
            trouble=patient.save_trouble,
            clue=str(path),
            by_hand=in_turn(process.kill, process.wait),
        )
    finally:
        process.kill()
        process.wait()
        held.unlink(missing_ok=True)
        patient.restart()


def _until(is_so: Callable[[], bool], patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            raise NotInjected("it does not come about")
        time.sleep(0.05)


@injector("database-migration-failed", "made-by-a-newer-version", uses="data")
def newer_database(patient: Patient) -> Iterator[Effect]:
    """A newer version of the program was here, and left its schema; a backup lies beside it."""
    patient.save_trouble()
    with patient.stopped():
        path = patient.data / "qwell.db"
        with closing(sqlite3.connect(path)) as connection:
            before = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
            backup = path.with_name(f"qwell.db.before-{before}.bak")
            with closing(sqlite3.connect(backup)) as target:
                connection.backup(target)
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()
        patient.start()
        try:
            yield Effect(
                proof=f"alembic_version: 9999 instead of {before}",
                trouble=patient.save_trouble,
                clue="9999",
            )
        finally:
            patient.stop()
            for part in patient.data.glob("qwell.db*"):
                part.unlink()


@injector("database-unreachable", "postgresql-stopped", modules=("psycopg",))
def stopped_postgresql(patient: Patient) -> Iterator[Effect]:
    """The PostgreSQL server that keeps the conversations was stopped."""
    with ExitStack() as stack:
        stack.enter_context(patient.stopped())
        database = stack.enter_context(postgresql(patient.run))
        stack.enter_context(patient.with_environ(QWELL_DATABASE_URL=database.url))
        patient.start()
        if why := patient.save_trouble():
            raise NotInjected(f"not even with PostgreSQL: {why}")
        database.stop()
        yield Effect(
            proof=f"{database.folder}: {sorted(p.name for p in database.folder.iterdir())}",
            trouble=patient.save_trouble,
            clue="socket",
            by_hand=database.start,
        )
