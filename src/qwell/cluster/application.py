"""The Ray Serve application: fronts, engines, and the board between them.

`serve run qwell.cluster.application:application engines=4` starts it; deploy/ray has files for
clusters. Knows Ray; what it carries is fleet.py's and the server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, fields
from typing import Any, cast

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.handle import DeploymentHandle

from qwell.cluster.board import POST_EVERY_S, Board, note_of
from qwell.cluster.copies import Copies, LedgerLostError
from qwell.cluster.fleet import EngineLostError, Fleet
from qwell.cluster.ledger import Ledger
from qwell.config import Settings, load
from qwell.core import Event, Request, event_from_dict, event_to_dict
from qwell.errors import QwellError

BOARD = "qwell-board"
LEDGER = "qwell-ledger"
FOLLOWERS = 10_000  # calls that wait in the ledger for news
_HEAD = "node:__internal_head__"  # what Ray calls that node's own resource
_ROUTER: Any = "qwell.cluster.router.AffinityRouter"
LONGEST_ANSWER_S = 600.0
FRONT_ONGOING = 4096  # connections of one front; most of them wait
SPARE_ANSWERS = 4  # that an engine takes beyond its slots before others are asked


@dataclass(frozen=True, slots=True)
class Size:
    """How large the cluster is; engines scale between min_engines and engines."""

    engines: int = 2
    min_engines: int = 1
    fronts: int = 1
    engine_cpus: float = 2.0
    busy_slots: float = 4.0  # answers at once per engine that autoscaling aims at


def application(arguments: Mapping[str, Any]) -> serve.Application:
    """Fields of `Size` and settings of `qwell serve`; settings also come from QWELL_*.

    Raises QwellError ``config-invalid`` for what is neither.
    """
    own = {field.name for field in fields(Size)}
    size = Size(**{name: _number(value) for name, value in arguments.items() if name in own})
    given = {name: value for name, value in arguments.items() if name not in own}
    settings, _ = load({"threads": int(size.engine_cpus), **_known(given)})
    engines = _engines(size, settings).bind(settings)
    return cast("serve.Application", _fronts(size, settings).bind(settings, engines))


def _number(value: Any) -> Any:
    return float(value) if "." in str(value) else int(value)


def _known(given: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(Settings)}
    if unknown := sorted(set(given) - names):
        raise QwellError(
            "config-invalid",
            found=f"the argument {unknown[0]!r}",
            expected=f"one of {', '.join(sorted({f.name for f in fields(Size)}))} or a setting",
            fix="correct the arguments of the application",
        )
    return dict(given)


def _engines(size: Size, settings: Settings) -> Any:
    n_slots = settings.parallel or 8
    return serve.deployment(
        name="Engine",
        max_ongoing_requests=n_slots + SPARE_ANSWERS,
        ray_actor_options={"num_cpus": size.engine_cpus},
        request_router_config=RequestRouterConfig(request_router_class=_ROUTER),
        autoscaling_config=AutoscalingConfig(
            min_replicas=size.min_engines,
            max_replicas=max(size.engines, size.min_engines),
            initial_replicas=max(size.engines, size.min_engines),
            target_ongoing_requests=size.busy_slots,
        ),
        graceful_shutdown_timeout_s=settings.drain_timeout_s + 10,
        health_check_period_s=2,
        health_check_timeout_s=10,
    )(Engine)


def _fronts(size: Size, settings: Settings) -> Any:
    longest_s = settings.request_timeout_s or LONGEST_ANSWER_S
    return serve.deployment(
        name="Front",
        num_replicas=size.fronts,
        max_ongoing_requests=FRONT_ONGOING,
        ray_actor_options={"num_cpus": 0.5},
        graceful_shutdown_timeout_s=longest_s,  # whoever reads an answer reads it to its end
    )(serve.ingress()(Front))


class Front:
    """The application of one machine, whose worker is the fleet."""

    def __init__(self, settings: Settings, engines: DeploymentHandle[Any]) -> None:
        self._settings = settings
        self._fleet = Fleet(RayEngines(engines))
        self._copies = Copies(RayLedger(), self._fleet)

    def __serve_build_asgi_app__(self) -> Any:
        from qwell.server.app import create_app

        return create_app(self._settings, self._fleet, copies=self._copies)


class Engine:
    """One worker process with its supervisor, as on one machine."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        from qwell.worker.supervisor import Supervisor

        self._name = serve.get_replica_context().replica_id.unique_id
        self._supervisor = Supervisor(settings)
        await self._supervisor.start()
        self._posting = asyncio.create_task(self._post())

    async def answer(self, request: dict[str, Any], key: str) -> AsyncGenerator[list[Any]]:  # noqa: ARG002  the router's
        """The engine's name, then events in groups."""
        yield [self._name]
        async with aclosing(self._supervisor.submit(Request.from_dict(request))) as events:
            async for group in _grouped(events):
                yield [event_to_dict(event) for event in group]

    async def tell(self, op: str, request_id: str, engine: str) -> None:
        if engine == self._name:  # another one was asked when that one is gone
            tell = {
                "cancel": self._supervisor.cancel,
                "pause": self._supervisor.pause,
                "resume": self._supervisor.resume,
            }[op]
            await tell(request_id)

    async def _post(self) -> None:
        board = _board()
        while True:
            with suppress(RayError):  # the board is started again when its node is lost
                await board.post.remote(self._name, note_of(self._supervisor.status))
            await asyncio.sleep(POST_EVERY_S)

    async def __del__(self) -> None:
        """Ray Serve's farewell: answers have ended."""
        self._posting.cancel()
        with suppress(RayError):
            await _board().remove.remote(self._name)
        await self._supervisor.stop(0)


async def _grouped(events: AsyncGenerator[Event]) -> AsyncGenerator[list[Event]]:
    """What comes within HELD_S after the first event, together with it."""
    arrived: asyncio.Queue[Event | None] = asyncio.Queue()

    async def collect() -> None:
        try:
            async for event in events:
                arrived.put_nowait(event)
        finally:
            arrived.put_nowait(None)

    collecting = asyncio.create_task(collect())
    try:
        while (event := await arrived.get()) is not None:
            group = [event]
            while not arrived.empty():
                if (more := arrived.get_nowait()) is None:
                    yield group
                    await collecting
                    return
                group.append(more)
            yield group
        await collecting
    finally:
        collecting.cancel()
        with suppress(asyncio.CancelledError):
            await collecting


class RayEngines:
    """Engines behind a deployment handle."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def ask(self, request: Request, key: str) -> AsyncGenerator[tuple[str, Sequence[Event]]]:
        answer: Any = self._handle.options(stream=True).answer.remote(request.to_dict(), key=key)
        engine = ""
        try:
            async for group in answer:
                if not engine:
                    engine = group[0]
                    yield engine, ()
                else:
                    yield engine, [event_from_dict(event) for event in group]
        except RayError as error:
            raise EngineLostError(f"{type(error).__name__} at engine {engine or '?'}") from error
        finally:
            answer.cancel()  # no effect once it has ended

    async def tell(self, engine: str, op: str, request_id: str) -> None:
        with suppress(RayError):
            await self._handle.tell.remote(op, request_id, engine=engine)

    async def notes(self) -> Sequence[Mapping[str, Any]]:
        try:
            notes: dict[str, Mapping[str, Any]] = await _board().read.remote()
        except RayError as error:
            raise EngineLostError(str(error)) from error
        return list(notes.values())


class RayLedger:
    """The one ledger of the cluster."""

    async def call(self, method: str, *arguments: Any) -> Any:
        try:
            return await getattr(_ledger(), method).remote(*arguments)
        except RayError as error:
            raise LedgerLostError(str(error)) from error


def _ledger() -> Any:
    return _lasting(Ledger, LEDGER, max_concurrency=FOLLOWERS)


def _board() -> Any:
    return _lasting(Board, BOARD)


def _lasting(kind: type, name: str, **options: Any) -> Any:
    """The one actor of this name, on the head node. It outlives all others, and starts again."""
    made: Any = ray.remote(num_cpus=0, max_restarts=-1, resources={_HEAD: 0.001})(kind)
    return made.options(
        name=name, namespace="qwell", lifetime="detached", get_if_exists=True, **options
    ).remote()
