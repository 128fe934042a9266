"""What the server knows of itself, for the doctor: worker, deaths, queue, recent answers.

Gathers; judges nothing. Holds no prompt and no answer of anybody.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from typing import Any

import qwell
from qwell.config import Settings
from qwell.core import Done, Notice
from qwell.doctor import baseline
from qwell.doctor.baseline import Baseline
from qwell.doctor.posted import Posted
from qwell.errors import QwellError
from qwell.server.streams import Stream, Streams
from qwell.server.worker_protocol import Status, Worker
from qwell.store import StoreKeeper

RECENT = 20  # answers that count as "of late"
SHORT = 128  # tokens; tests, titles and the doctor itself ask for no more
_MOST_DEATHS = 20
_SHOWN = (
    "host", "port", "model", "engine", "quant", "ctx_size", "parallel", "threads", "max_queue",
)  # fmt: skip


class SelfView:
    """One per server. Told of ended answers and looked at worker states; read by `facts`."""

    def __init__(
        self, settings: Settings, worker: Worker, streams: Streams, keeper: StoreKeeper
    ) -> None:
        self.settings = settings
        self.worker = worker
        self.streams = streams
        self.posted = Posted()
        self.lag_s: deque[float] = deque(maxlen=50)  # the last five seconds
        self._keeper = keeper
        self._started = self._phase_since = time.monotonic()
        self._phase = ""
        self._restarts = 0
        self._status: Status | None = None
        self._heard = self._started
        self._deaths: deque[tuple[float, str, str]] = deque(maxlen=_MOST_DEATHS)
        self._recent: deque[tuple[str, frozenset[str]]] = deque(maxlen=RECENT)
        self._baseline_key = ""
        self._baseline = Baseline()

    def answer_ended(self, stream: Stream) -> None:
        """How it ended, and which remarks it carried. Answers meant to be short tell nothing."""
        most = stream.request.max_tokens
        if most is not None and most <= SHORT:
            return
        end = stream.end
        notices = (entry.event for entry in stream.entries)
        codes = frozenset(event.code for event in notices if isinstance(event, Notice))
        self._recent.append((end.reason if isinstance(end, Done) else "error", codes))

    def look_at_worker(self) -> None:
        """Note a death, a change of phase, a report. Called often enough to miss none."""
        status = self.worker.status
        now = time.monotonic()
        if status is not self._status:  # replaced with each of its reports
            self._status, self._heard = status, now
        if status.phase != self._phase:
            self._phase, self._phase_since = status.phase, now
            if status.phase == "restarting":
                self._note_death(now, status.error)
        if status.restarts > self._restarts:
            if not self._deaths or now - self._deaths[-1][0] > 60.0:  # it passed unseen
                self._note_death(now, status.error)
            self._restarts = status.restarts

    def _note_death(self, now: float, error: QwellError | None) -> None:
        fault, found = (error.fault, error.found) if error else ("worker-crashed", "")
        self._deaths.append((now, fault, found))

    @property
    def baseline(self) -> Baseline:
        """Of the model that is served now."""
        model = self.worker.status.model
        key = baseline.key_of(model) if model else ""
        if key != self._baseline_key:
            self._baseline_key = key
            self._baseline = baseline.load(self.settings.data_path, key) if key else Baseline()
        return self._baseline

    def learn(self, tok_s: float, ttft_ms: float, answer: str) -> None:
        """One more healthy answer to the fixed question. Raises OSError when it cannot be kept."""
        self._baseline = baseline.extended(self.baseline, tok_s, ttft_ms, answer)
        baseline.save(self.settings.data_path, self._baseline_key, self._baseline)

    def facts(self) -> dict[str, Any]:
        """JSON-ready, without secrets and without folders of this machine."""
        known, store_error = self.baseline, self._keeper.error
        return {
            "name": "qwell",
            "version": qwell.__version__,
            "pid": os.getpid(),
            "uptime_s": round(time.monotonic() - self._started, 1),
            "settings": {name: getattr(self.settings, name) for name in _SHOWN},
            "worker": self._worker(),
            "answers_live": self.streams.n_live,
            **self._of_late(),
            "baseline": {
                "tok_s": known.tok_s,
                "ttft_ms": known.ttft_ms,
                "n": known.n,
                "answers": list(known.answers),
            },
            "loop_lag_ms": round(1e3 * max(self.lag_s, default=0.0), 1),
            "posted": [finding.to_dict() for finding in self.posted.findings()],
            "store": {"error": store_error.to_dict() if store_error else None},
        }

    def _worker(self) -> dict[str, Any]:
        status, now = self.worker.status, time.monotonic()
        model = {key: value for key, value in status.model.items() if key != "source"}
        return {
            "phase": status.phase,
            "phase_s": round(now - self._phase_since, 1),
            "silent_s": round(now - self._heard, 1),
            "progress": status.progress,
            "model": model,
            "error": status.error.to_dict() if status.error else None,
            "pid": status.pid,
            "restarts": status.restarts,
            "running": status.running,
            "waiting": status.waiting,
            "deaths": [
                {"ago_s": round(now - at, 1), "fault": fault, "found": found}
                for at, fault, found in self._deaths
            ],
        }

    def _of_late(self) -> dict[str, Any]:
        """How the last answers ended, and how many of them carried which remark."""
        return {
            "answers": len(self._recent),
            "reasons": dict(Counter(how for how, _ in self._recent)),
            "notices": dict(Counter(code for _, codes in self._recent for code in codes)),
        }
