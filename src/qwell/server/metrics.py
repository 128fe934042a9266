"""What is counted and measured, and /metrics, which shows it.

Labels have few values: routes are named by their pattern, never by what a client sent.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse

import qwell
from qwell.core import Done, Failed
from qwell.log_file import dropped_lines
from qwell.server.exposition import CONTENT_TYPE, Counter, Gauge, Histogram, Metric, Reading, render
from qwell.server.worker_protocol import Status, Worker

SECONDS = (0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
RATES = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 200.0)
LAGS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
router = APIRouter(tags=["operations"])


class Metrics:
    """Counts what it is told. Readings of the present are added by `watch`."""

    def __init__(self) -> None:
        self.requests = Counter(
            "qwell_http_requests_total", "HTTP requests answered", ("method", "route", "status")
        )
        self.request_s = Histogram(
            "qwell_http_request_seconds", "time to the last byte of a response", SECONDS, ("route",)
        )
        self.refusals = Counter(
            "qwell_refusals_total", "answers refused before they began", ("fault",)
        )
        self.answers = Counter(
            "qwell_answers_total", "answers by how they ended: a reason or a fault id", ("end",)
        )
        self.tokens = Counter(
            "qwell_tokens_total", "tokens of answers: prompt, cached (of the prompt), completion",
            ("kind",),
        )  # fmt: skip
        self.queue_s = Histogram("qwell_queue_seconds", "time an answer waited", SECONDS)
        self.prefill_s = Histogram("qwell_prefill_seconds", "time to read a prompt", SECONDS)
        self.first_token_s = Histogram(
            "qwell_first_token_seconds", "time from accepting a request to its first token", SECONDS
        )
        self.tok_s = Histogram("qwell_tokens_per_second", "rate of decoding an answer", RATES)
        self.loop_lag_s = Histogram(
            "qwell_loop_lag_seconds", "how late the server's event loop was", LAGS
        )
        self._gauges: list[Gauge] = []

    def answer_ended(self, end: Done | Failed) -> None:
        if isinstance(end, Failed):
            self.answers.add(end.code)
            return
        self.answers.add(end.reason)
        self.tokens.add("prompt", by=end.usage.prompt_tokens)
        self.tokens.add("cached", by=end.usage.cached_tokens)
        self.tokens.add("completion", by=end.usage.completion_tokens)
        if end.usage.completion_tokens:
            self.queue_s.observe(end.timings.queue_ms / 1e3)
            self.prefill_s.observe(end.timings.prefill_ms / 1e3)
            self.first_token_s.observe(end.timings.ttft_ms / 1e3)
            self.tok_s.observe(end.timings.tok_s)

    def watch(self, *gauges: Gauge) -> None:
        self._gauges.extend(gauges)

    def document(self) -> str:
        own: tuple[Metric, ...] = (
            self.requests, self.request_s, self.refusals, self.answers, self.tokens,
            self.queue_s, self.prefill_s, self.first_token_s, self.tok_s, self.loop_lag_s,
        )  # fmt: skip
        return render([*own, *self._gauges])


def worker_gauges(worker: Worker) -> list[Gauge]:
    """What the worker reports of itself, read at each scrape."""
    return [
        Gauge("qwell_worker_ready", "1: a token can come out", lambda: _is_ready(worker.status)),
        Gauge(
            "qwell_worker_phase", "1 for the worker's phase",
            lambda: {(worker.status.phase,): 1}, ("phase",),
        ),
        Gauge("qwell_worker_running", "answers computed now", lambda: worker.status.running),
        Gauge("qwell_worker_waiting", "answers in the engine's queue",
              lambda: worker.status.waiting),
        Gauge("qwell_worker_restarts_total", "children started after the first",
              lambda: worker.status.restarts, kind="counter"),
        Gauge(
            "qwell_model_info", "1 for the model that is served",
            lambda: _model(worker.status), ("name", "quant", "engine", "isa"),
        ),
        Gauge("qwell_worker_resident_bytes", "memory of the worker process",
              lambda: resident_bytes(worker.status.pid)),
    ]  # fmt: skip


def process_gauges() -> list[Gauge]:
    """What the server's own process uses."""
    return [
        Gauge("qwell_build_info", "1 for the version that runs",
              lambda: {(qwell.__version__,): 1}, ("version",)),
        Gauge("qwell_server_resident_bytes", "memory of the server process",
              lambda: resident_bytes(os.getpid())),
        Gauge("qwell_server_open_fds", "open files of the server process",
              lambda: sum(1 for _ in Path("/proc/self/fd").glob("*"))),
        Gauge("qwell_server_tasks", "tasks of the server's event loop",
              lambda: len(asyncio.all_tasks())),
        Gauge("qwell_log_lines_dropped_total", "log lines that could not be written",
              dropped_lines, kind="counter"),
    ]  # fmt: skip


def resident_bytes(pid: int | None) -> float:
    """Resident memory of a process; 0 where there is none, or no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def _is_ready(status: Status) -> float:
    return float(status.phase == "ready")


def _model(status: Status) -> Reading:
    model = status.model
    if not model:
        return {}
    return {tuple(str(model.get(key, "")) for key in ("name", "quant", "engine", "isa")): 1}


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> PlainTextResponse:
    """Counters and measurements for Prometheus. Asks for the key, where one is set."""
    document = request.app.state.metrics.document()
    return PlainTextResponse(document, headers={"Content-Type": CONTENT_TYPE})
